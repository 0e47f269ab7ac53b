//! By which number one network namespace knows another, by rtnetlink.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sys::socket::{MsgFlags, recv, send};

use super::device::{attributes, netlink, u16_at, u32_at};

/// The number by which the network namespace of the calling thread knows the one at `path` (`RTM_GETNSID`); `None` if it
/// has none.
pub fn of(path: &Path) -> io::Result<Option<i32>> {
    /// linux/net_namespace.h.
    const NETNSA_NSID: u16 = 1;
    const NETNSA_FD: u16 = 3;
    const HEADER_BYTES: usize = 16;
    const ERROR: u16 = libc::NLMSG_ERROR as u16;
    let namespace = File::open(path)?;
    let socket = netlink()?;
    let mut message = Vec::new();
    // struct nlmsghdr: length, type, flags, sequence, port.
    message.extend(((HEADER_BYTES + 12) as u32).to_ne_bytes());
    message.extend(libc::RTM_GETNSID.to_ne_bytes());
    message.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    message.extend([0; 8]);
    // struct rtgenmsg: family, padding. Then the one attribute.
    message.extend([0; 4]);
    message.extend(8_u16.to_ne_bytes());
    message.extend(NETNSA_FD.to_ne_bytes());
    message.extend(namespace.as_raw_fd().to_ne_bytes());
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;

    let mut answer = [0; 256];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let cut_off = || io::Error::other("rtnetlink's answer is cut off");
    let body = answer[..length].get(HEADER_BYTES..).ok_or_else(cut_off)?;
    if u16_at(&answer, 4) == Some(ERROR) {
        let errno = u32_at(body, 0).ok_or_else(cut_off)? as i32;
        return Err(io::Error::from_raw_os_error(errno.wrapping_neg()));
    }
    let number = attributes(body.get(4..).unwrap_or_default())
        .find(|(kind, _)| *kind == NETNSA_NSID)
        .and_then(|(_, value)| u32_at(value, 0));
    // -1 stands for none.
    Ok(number
        .map(|number| number as i32)
        .filter(|number| *number >= 0))
}
