//! What the kernel says of a network device: its speed, and when it loses or finds its carrier.

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd;

use futures_util::StreamExt;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::sync::mpsc;

const ETHTOOL_GSET: u32 = 1;
const SPEED_UNKNOWN: u32 = 0xffff_ffff;

/// `struct ethtool_cmd` of linux/ethtool.h.
#[repr(C)]
#[derive(Default)]
struct EthtoolCmd {
    cmd: u32,
    supported: u32,
    advertising: u32,
    speed: u16,
    duplex_to_eth_tp_mdix: [u8; 6],
    maxtxpkt: u32,
    maxrxpkt: u32,
    speed_hi: u16,
    eth_tp_mdix: [u8; 2],
    lp_advertising: u32,
    reserved: [u32; 2],
}

const _: () = assert!(size_of::<EthtoolCmd>() == 44);

/// The speed of a device in Mb/s.
///
/// # Errors
///
/// When there is no such device, or it does not know its speed.
pub fn link_speed_mbps(device: &str) -> io::Result<u32> {
    let mut command = EthtoolCmd {
        cmd: ETHTOOL_GSET,
        ..EthtoolCmd::default()
    };
    let data = libc::__c_anonymous_ifr_ifru {
        ifru_data: (&raw mut command).cast(),
    };
    // SAFETY: the request points to a record of the size that ETHTOOL_GSET fills; it lives through the call.
    unsafe { device_ioctl(device, libc::SIOCETHTOOL, data)? };
    match u32::from(command.speed) | u32::from(command.speed_hi) << 16 {
        0 | 0xffff | SPEED_UNKNOWN => Err(io::Error::other("the device does not tell its speed")),
        speed => Ok(speed),
    }
}

/// Whether frames can leave by a device: it is up and has its carrier.
///
/// # Errors
///
/// When there is no such device.
pub fn has_carrier(device: &str) -> io::Result<bool> {
    let data = libc::__c_anonymous_ifr_ifru { ifru_flags: 0 };
    // SAFETY: SIOCGIFFLAGS fills the flags in the request itself.
    let answer = unsafe { device_ioctl(device, libc::SIOCGIFFLAGS, data)? };
    // SAFETY: these are the flags that SIOCGIFFLAGS has filled.
    let flags = i32::from(unsafe { answer.ifr_ifru.ifru_flags });
    Ok(flags & libc::IFF_UP != 0 && flags & libc::IFF_RUNNING != 0)
}

/// Asks the kernel about a device of this network namespace.
///
/// # Safety
///
/// `data` must be what `request` takes: plain values, or a pointer to a live record of the right size.
pub(crate) unsafe fn device_ioctl(
    device: &str,
    request: libc::Ioctl,
    data: libc::__c_anonymous_ifr_ifru,
) -> io::Result<libc::ifreq> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let name = CString::new(device)?;
    let name = name.as_bytes_with_nul();
    let mut message = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: data,
    };
    if name.len() > message.ifr_name.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (to, from) in message.ifr_name.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    // SAFETY: `message` names a device and lives through the call; the caller answers for its data.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), request, &raw mut message) };
    nix::Error::result(result)?;
    Ok(message)
}

/// What happened to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is there, with or without carrier.
    Present {
        /// Its name.
        device: String,
        /// Whether frames can leave.
        carrier: bool,
    },
    /// It is gone.
    Gone {
        /// Its name.
        device: String,
    },
}

/// Tells of every change of the devices in this network namespace, until the receiver is dropped.
///
/// # Errors
///
/// When the netlink socket cannot be opened.
pub fn watch_links() -> io::Result<mpsc::UnboundedReceiver<LinkEvent>> {
    let (connection, _, mut messages) = new_multicast_connection(&[MulticastGroup::Link])?;
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(connection);
    tokio::spawn(async move {
        while let Some((message, _)) = messages.next().await {
            let NetlinkPayload::InnerMessage(message) = message.payload else {
                continue;
            };
            let (link, present) = match message {
                RouteNetlinkMessage::NewLink(link) => (link, true),
                RouteNetlinkMessage::DelLink(link) => (link, false),
                _ => continue,
            };
            let Some(device) = link
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    LinkAttribute::IfName(name) => Some(name.clone()),
                    _ => None,
                })
            else {
                continue;
            };
            let carrier = link
                .header
                .flags
                .contains(LinkFlags::Up | LinkFlags::LowerUp);
            let event = if present {
                LinkEvent::Present { device, carrier }
            } else {
                LinkEvent::Gone { device }
            };
            if sender.send(event).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}
