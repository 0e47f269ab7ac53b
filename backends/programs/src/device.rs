//! Network devices of the current thread's network namespace, by rtnetlink and ioctl: sysfs would show those of its
//! mount's.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send,
    setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};

use tsn_port::Link;

use super::ProgramError;
use super::{addresses, ethtool};

/// What rtnetlink tells of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `veth`, `vlan`, ...; empty for a physical one.
    pub kind: String,
    /// Its Ethernet address.
    pub address: [u8; 6],
    /// Its MTU in bytes.
    pub mtu: u32,
    /// `txqueuelen`: frames that a queueing discipline at it may keep by default.
    pub transmit_queue_frames: u32,
    /// A veth's other end, by its index in the network namespace where that is.
    pub peer: Option<u32>,
    /// The number by which the network namespace of this device knows that of the other end; `None` where both are in one.
    pub peer_namespace: Option<i32>,
    /// The device that it is a port of, by its index.
    pub master: Option<u32>,
    /// Whether it is up and has its carrier.
    pub running: bool,
    /// The XDP program that is attached to it.
    pub xdp: Option<XdpAttachment>,
}

/// An XDP program on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XdpAttachment {
    /// The kernel's number of the program; 0 where several modes have one each.
    pub program_id: u32,
    /// Whether it runs in the kernel's generic mode, not in the driver or the device.
    pub generic: bool,
}

impl Device {
    /// The device of that name.
    ///
    /// # Errors
    ///
    /// When there is none, or rtnetlink does not answer.
    pub fn by_name(name: &str) -> Result<Self, ProgramError> {
        let index =
            if_nametoindex(name).map_err(|errno| failed("find the index", name)(errno.into()))?;
        Self::by_index(index)
    }

    /// The device of that index.
    ///
    /// # Errors
    ///
    /// When there is none, or rtnetlink does not answer.
    pub fn by_index(index: u32) -> Result<Self, ProgramError> {
        request(index).map_err(failed("read the properties", &format!("index {index}")))
    }

    /// Whether frames can leave by the device of that index. One that cannot be asked just now counts as up.
    pub fn link(index: u32) -> Link {
        match Self::by_index(index) {
            Ok(found) if found.running => Link::Up {
                speed_mbps: ethtool::link_speed_mbps(&found.name),
            },
            Ok(_) => Link::Down,
            Err(ProgramError::Device { source, .. })
                if source.raw_os_error() == Some(libc::ENODEV) =>
            {
                Link::Gone
            }
            Err(error) => {
                tracing::warn!(%error, "cannot tell whether the uplink is up");
                Link::Up { speed_mbps: None }
            }
        }
    }

    /// Sets the MTU in bytes.
    pub(super) fn set_mtu(&self, mtu: u32) -> Result<(), ProgramError> {
        let set = || {
            let mut request = request_of(&self.name)?;
            request.ifr_ifru.ifru_mtu = mtu as i32;
            // SAFETY: SIOCSIFMTU reads the MTU in the request itself.
            unsafe { ioctl(libc::SIOCSIFMTU, &mut request) }
        };
        set().map_err(failed("set the MTU", &self.name))
    }

    /// The IP addresses by which others can reach it.
    pub(super) fn ip_addresses(&self) -> Result<Vec<IpAddr>, ProgramError> {
        addresses::global(self.index).map_err(failed("read the IP addresses", &self.name))
    }

    /// The bridge that it is a port of.
    pub(super) fn bridge(&self) -> Result<Option<Self>, ProgramError> {
        let master = self.master.map(Self::by_index).transpose()?;
        Ok(master.filter(|master| master.kind == "bridge"))
    }

    /// The Ethernet address of the node's routing towards this host end of a veth pair: of the bridge that it is a port
    /// of, or its own.
    pub(super) fn router(&self) -> Result<[u8; 6], ProgramError> {
        let bridge = self.bridge()?;
        Ok(bridge.map_or(self.address, |bridge| bridge.address))
    }

    /// Whether generic receive offload is on, and with it on a veth the receive polling (NAPI).
    pub(super) fn gro(&self) -> Result<bool, ProgramError> {
        ethtool::gro(&self.name).map_err(failed("read GRO", &self.name))
    }

    /// Switches it on or off.
    pub(super) fn set_gro(&self, on: bool) -> Result<(), ProgramError> {
        ethtool::set_gro(&self.name, on).map_err(failed("switch GRO", &self.name))
    }

    /// Leaves VLAN tags in received frames, since an XDP program that redirects a frame loses a tag beside it.
    ///
    /// A device that cannot be told so keeps its way.
    pub(super) fn keep_vlan_tags(&self) -> io::Result<()> {
        ethtool::keep_vlan_tags(&self.name)
    }

    /// How many receive queues are in use.
    pub(super) fn receive_queues(&self) -> Result<u32, ProgramError> {
        let channels =
            ethtool::channels(&self.name).map_err(failed("read the queues", &self.name))?;
        Ok(channels.receive)
    }
}

/// A request about a device.
pub(super) fn request_of(device: &str) -> io::Result<libc::ifreq> {
    // SAFETY: all of `ifreq` is integers, pointers and unions of them, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays 0.
    if device.len() >= request.ifr_name.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

fn failed(action: &'static str, device: &str) -> impl Fn(io::Error) -> ProgramError {
    move |source| ProgramError::Device {
        action,
        device: device.to_owned(),
        source,
    }
}

/// Asks or tells the kernel about a device of this network namespace.
///
/// # Safety
///
/// The request must hold what `command` takes: plain values, or a pointer to a live record of the right size.
pub(super) unsafe fn ioctl(command: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    let socket = netlink()?;
    // SAFETY: `request` lives through the call; the caller answers for what is in it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), command, &raw mut *request) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A socket on which nobody answers but the kernel, and that soon: it may be in a pod's network namespace, where the pod can
/// send to it as well.
pub(super) fn netlink() -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(1))?;
    Ok(socket)
}

/// Asks rtnetlink for one device (`RTM_GETLINK`).
pub(super) fn request(index: u32) -> io::Result<Device> {
    const HEADER_BYTES: u32 = 16;
    const LINK_BYTES: u32 = 16;
    let socket = netlink()?;
    let mut message = Vec::new();
    // struct nlmsghdr: length, type, flags, sequence, port.
    message.extend((HEADER_BYTES + LINK_BYTES).to_ne_bytes());
    message.extend(libc::RTM_GETLINK.to_ne_bytes());
    message.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    message.extend([0; 8]);
    // struct ifinfomsg: family, padding, type, index, flags, change.
    message.extend([0; 4]);
    message.extend(index.to_ne_bytes());
    message.extend([0; 8]);
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;

    let mut answer = vec![0; 32 * 1024];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    parse(&answer[..length]).ok_or_else(|| io::Error::other("rtnetlink's answer is cut off"))?
}

/// Reads the answer; `None` if it is cut off.
fn parse(answer: &[u8]) -> Option<io::Result<Device>> {
    const ERROR: u16 = libc::NLMSG_ERROR as u16;
    let length = u32_at(answer, 0)? as usize;
    let kind = u16_at(answer, 4)?;
    let message = answer.get(16..length)?;
    if kind == ERROR {
        let errno = u32_at(message, 0)? as i32;
        return Some(Err(io::Error::from_raw_os_error(errno.wrapping_neg())));
    }
    const RUNNING: u32 = (libc::IFF_UP | libc::IFF_RUNNING) as u32;
    let mut device = Device {
        index: u32_at(message, 4)?,
        running: u32_at(message, 8)? & RUNNING == RUNNING,
        ..Device::default()
    };
    for (kind, value) in attributes(message.get(16..)?) {
        match kind {
            libc::IFLA_IFNAME => device.name = text(value),
            libc::IFLA_MTU => device.mtu = u32_at(value, 0)?,
            libc::IFLA_TXQLEN => device.transmit_queue_frames = u32_at(value, 0)?,
            libc::IFLA_LINK => device.peer = Some(u32_at(value, 0)?),
            libc::IFLA_LINK_NETNSID => device.peer_namespace = Some(u32_at(value, 0)? as i32),
            libc::IFLA_MASTER => device.master = Some(u32_at(value, 0)?),
            libc::IFLA_ADDRESS => device.address = value.try_into().unwrap_or_default(),
            libc::IFLA_XDP => device.xdp = xdp(value),
            libc::IFLA_LINKINFO => {
                let kind = attributes(value).find(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                device.kind = kind.map(|(_, value)| text(value)).unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(Ok(device))
}

/// Reads the attributes inside `IFLA_XDP` (`linux/if_link.h`).
fn xdp(nested: &[u8]) -> Option<XdpAttachment> {
    const ATTACHED: u16 = 2;
    const PROGRAM_ID: u16 = 4;
    const ATTACHED_GENERIC: u8 = 2;
    let find = |wanted| attributes(nested).find(|(kind, _)| *kind == wanted);
    let mode = *find(ATTACHED)?.1.first()?;
    (mode != 0).then(|| XdpAttachment {
        program_id: find(PROGRAM_ID)
            .and_then(|(_, id)| u32_at(id, 0))
            .unwrap_or_default(),
        generic: mode == ATTACHED_GENERIC,
    })
}

/// The attributes in a message: their types without flags, and their values.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const TYPE_MASK: u16 = 0x3fff;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(
        bytes.get(offset..offset + 2)?.try_into().ok()?,
    ))
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(
        bytes.get(offset..offset + 4)?.try_into().ok()?,
    ))
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found() {
        let device = Device::by_name("lo").unwrap();
        assert_eq!(
            (device.name.as_str(), device.kind.as_str(), device.peer),
            ("lo", "", None)
        );
        assert_eq!(Device::by_index(device.index).unwrap(), device);
    }

    #[test]
    fn a_device_that_does_not_exist_is_gone() {
        assert_eq!(Device::link(0x7fff_fff0), Link::Gone);
    }

    #[test]
    fn missing_device_is_an_error() {
        let error = Device::by_index(0x7fff_fff0).unwrap_err().to_string();
        assert!(error.contains("index 2147483632"), "{error}");
        assert!(Device::by_name("no-such-device").is_err());
    }

    #[test]
    fn cut_answers_are_refused_at_every_length() {
        let mut answer = vec![0; 32];
        answer[4..6].copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
        answer.extend([8, 0, 4, 0, 0xdc, 5, 0, 0]);
        answer[0] = answer.len() as u8;
        assert_eq!(parse(&answer).unwrap().unwrap().mtu, 1500);
        for length in 0..answer.len() {
            assert!(parse(&answer[..length]).is_none());
        }
    }
}
