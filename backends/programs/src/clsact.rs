//! The stamp program as a filter of the `clsact` queueing discipline, for kernels without links to tcx (before 6.6).
//!
//! All of it concerns devices of the current thread's network namespace, by rtnetlink. The filter is recognised by its
//! place, preference and handle, so that there is never a second one. See `tc-bpf(8)`, "direct-action".

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::socket::{MsgFlags, recv, send};

use super::device::{attributes, netlink, request, u32_at};
use super::rtnetlink::{self, Message};

/// `TC_H_CLSACT`, under which the discipline is attached, and its two places for filters.
const CLSACT: u32 = 0xffff_fff1;
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
/// The discipline's own handle.
const CLSACT_HANDLE: u32 = 0xffff_0000;

/// The filter's preference, and its handle among those of the same preference: `ts`, as in each secret.
const PREFERENCE: u32 = tsn_common::StampHeader::MARK as u32;
const HANDLE: u32 = 1;
const NAME: &[u8] = b"tsnd/stamp\0";

/// linux/rtnetlink.h and linux/pkt_cls.h.
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_CHAIN: u16 = 11;
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_ID: u16 = 11;
const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;

const TCMSG_BYTES: usize = 20;
/// `struct ifinfomsg`.
const LINK_BYTES: usize = 16;

/// A queueing discipline where `clsact` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discipline {
    /// None.
    None,
    /// `clsact`.
    Clsact,
    /// Another, which leaves no place for `clsact`: `ingress`.
    Other,
}

/// What is where the discipline goes.
pub fn discipline(ifindex: u32) -> io::Result<Discipline> {
    let found = dump(libc::RTM_GETQDISC, ifindex, 0, |record| {
        (record.ifindex == ifindex && record.parent == CLSACT).then(|| record.is_kind(b"clsact"))
    })?;
    Ok(match found.first() {
        None => Discipline::None,
        Some(true) => Discipline::Clsact,
        Some(false) => Discipline::Other,
    })
}

/// Puts the program in force; in the place of an earlier one without a moment between.
pub fn set_program(ifindex: u32, program: BorrowedFd<'_>) -> io::Result<()> {
    if discipline(ifindex)? == Discipline::None {
        add_discipline(ifindex)?;
    }
    let mut message = filter_message(libc::RTM_NEWTFILTER, libc::NLM_F_CREATE, ifindex);
    message.attribute(TCA_KIND, b"bpf\0");
    message.nested(TCA_OPTIONS, |options| {
        options.attribute(TCA_BPF_FD, &program.as_raw_fd().to_ne_bytes());
        options.attribute(TCA_BPF_NAME, NAME);
        options.attribute(TCA_BPF_FLAGS, &TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes());
    });
    rtnetlink::acknowledged(message)
}

/// Adds `clsact`, and nothing else: with any first discipline the kernel sets a `txqueuelen` of 0, as container runtimes
/// leave at a veth, to 1000 (`qdisc_create`).
fn add_discipline(ifindex: u32) -> io::Result<()> {
    let queue_frames = || request(ifindex).map(|device| device.transmit_queue_frames);
    let before = queue_frames()?;
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let mut message = tc_message(libc::RTM_NEWQDISC, flags, ifindex, CLSACT_HANDLE, CLSACT, 0);
    message.attribute(TCA_KIND, b"clsact\0");
    rtnetlink::acknowledged(message)?;
    if queue_frames()? == before {
        return Ok(());
    }
    let mut link = [0; LINK_BYTES];
    link[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    let mut message = Message::new(libc::RTM_NEWLINK, 0, &link);
    message.attribute(libc::IFLA_TXQLEN, &before.to_ne_bytes());
    rtnetlink::acknowledged(message)
}

/// The kernel's number of the program that is in force.
pub fn program(ifindex: u32) -> io::Result<Option<u32>> {
    let found = dump(libc::RTM_GETTFILTER, ifindex, EGRESS, |record| {
        // A pod may have one with the same numbers in another chain.
        let is_ours =
            record.info >> 16 == PREFERENCE && record.handle == HANDLE && record.chain() == 0;
        (is_ours && record.is_kind(b"bpf")).then(|| record.program())?
    })?;
    Ok(found.first().copied())
}

/// Removes the program, and the discipline as well if that is `to_remove` and has no other filters.
pub fn remove(ifindex: u32, to_remove: bool) -> io::Result<()> {
    if program(ifindex)?.is_some() {
        rtnetlink::acknowledged(filter_message(libc::RTM_DELTFILTER, 0, ifindex))?;
    }
    let is_unused = |place| {
        let filters = dump(libc::RTM_GETTFILTER, ifindex, place, |_| Some(()));
        filters.map(|filters| filters.is_empty())
    };
    if to_remove
        && discipline(ifindex)? == Discipline::Clsact
        && is_unused(INGRESS)?
        && is_unused(EGRESS)?
    {
        let message = tc_message(libc::RTM_DELQDISC, 0, ifindex, CLSACT_HANDLE, CLSACT, 0);
        rtnetlink::acknowledged(message)?;
    }
    Ok(())
}

/// A message about the filter.
fn filter_message(kind: u16, flags: i32, ifindex: u32) -> Message {
    let all_protocols = u16::to_be(libc::ETH_P_ALL as u16);
    let info = PREFERENCE << 16 | u32::from(all_protocols);
    tc_message(kind, flags, ifindex, HANDLE, EGRESS, info)
}

/// A message with a `struct tcmsg`.
fn tc_message(kind: u16, flags: i32, ifindex: u32, handle: u32, parent: u32, info: u32) -> Message {
    let mut tcmsg = [0; TCMSG_BYTES];
    for (at, value) in [(4, ifindex), (8, handle), (12, parent), (16, info)] {
        tcmsg[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    Message::new(kind, flags, &tcmsg)
}

/// A discipline or filter that the kernel tells of.
struct Record<'a> {
    ifindex: u32,
    handle: u32,
    parent: u32,
    info: u32,
    attributes: &'a [u8],
}

impl<'a> Record<'a> {
    /// `None` if it is cut off.
    fn read(body: &'a [u8]) -> Option<Self> {
        Some(Self {
            ifindex: u32_at(body, 4)?,
            handle: u32_at(body, 8)?,
            parent: u32_at(body, 12)?,
            info: u32_at(body, 16)?,
            attributes: body.get(TCMSG_BYTES..)?,
        })
    }

    fn is_kind(&self, kind: &[u8]) -> bool {
        attributes(self.attributes)
            .any(|(of, value)| of == TCA_KIND && value.strip_suffix(b"\0") == Some(kind))
    }

    fn chain(&self) -> u32 {
        let found = attributes(self.attributes).find(|(kind, _)| *kind == TCA_CHAIN);
        found.and_then(|(_, chain)| u32_at(chain, 0)).unwrap_or(0)
    }

    fn program(&self) -> Option<u32> {
        let (_, options) = attributes(self.attributes).find(|(kind, _)| *kind == TCA_OPTIONS)?;
        let (_, number) = attributes(options).find(|(kind, _)| *kind == TCA_BPF_ID)?;
        u32_at(number, 0)
    }
}

/// What `read` makes of each discipline or filter of a device. Asks again when they change meanwhile.
fn dump<T>(
    kind: u16,
    ifindex: u32,
    parent: u32,
    read: impl Fn(&Record<'_>) -> Option<T>,
) -> io::Result<Vec<T>> {
    const ATTEMPTS: u32 = 5;
    let mut attempts = 1;
    loop {
        match dump_once(kind, ifindex, parent, &read) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && attempts < ATTEMPTS => {
                attempts += 1;
            }
            result => return result,
        }
    }
}

fn dump_once<T>(
    kind: u16,
    ifindex: u32,
    parent: u32,
    read: &impl Fn(&Record<'_>) -> Option<T>,
) -> io::Result<Vec<T>> {
    let socket = netlink()?;
    let message = tc_message(kind, libc::NLM_F_DUMP, ifindex, 0, parent, 0);
    send(socket.as_raw_fd(), &message.finish(), MsgFlags::empty())?;
    let mut found = Vec::new();
    let mut answer = vec![0; 32 * 1024];
    loop {
        let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        let is_last = rtnetlink::read_part(&answer[..length], |body| {
            // What has no handle stands for all filters of one preference.
            let record = Record::read(body)?;
            let is_one = kind == libc::RTM_GETQDISC || record.handle != 0;
            found.extend(is_one.then(|| read(&record)).flatten());
            Some(())
        })?;
        if is_last {
            return Ok(found);
        }
    }
}
