//! The IP addresses of a device of the current thread's network namespace, by rtnetlink.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, recv, send};

use super::device::{attributes, netlink, u16_at, u32_at};

/// `struct nlmsghdr` and `struct ifaddrmsg` in bytes.
const HEADER_BYTES: usize = 16;
const ADDRESS_BYTES: usize = 8;
/// `RT_SCOPE_UNIVERSE`: the addresses that others can be told of.
const SCOPE_GLOBAL: u8 = 0;

/// The device's addresses of global scope.
pub fn global(ifindex: u32) -> io::Result<Vec<IpAddr>> {
    let socket = netlink()?;
    let mut message = Vec::new();
    // struct nlmsghdr: length, type, flags, sequence, port.
    message.extend(((HEADER_BYTES + ADDRESS_BYTES) as u32).to_ne_bytes());
    message.extend(libc::RTM_GETADDR.to_ne_bytes());
    message.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    message.extend([0; 8]);
    // struct ifaddrmsg: of any family, of all devices.
    message.extend([0; ADDRESS_BYTES]);
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;

    let mut addresses = Vec::new();
    let mut answer = vec![0; 32 * 1024];
    loop {
        let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        let end = parse(&answer[..length], ifindex, &mut addresses)
            .ok_or_else(|| io::Error::other("rtnetlink's answer is cut off"))??;
        if end {
            return Ok(addresses);
        }
    }
}

/// Reads one part of the answer; whether it is the last one, `None` if it is cut off.
fn parse(mut answer: &[u8], ifindex: u32, addresses: &mut Vec<IpAddr>) -> Option<io::Result<bool>> {
    const DONE: u16 = libc::NLMSG_DONE as u16;
    const ERROR: u16 = libc::NLMSG_ERROR as u16;
    while !answer.is_empty() {
        let length = u32_at(answer, 0)? as usize;
        let message = answer.get(HEADER_BYTES..length)?;
        match u16_at(answer, 4)? {
            DONE => return Some(Ok(true)),
            ERROR => {
                let errno = u32_at(message, 0)? as i32;
                return Some(Err(io::Error::from_raw_os_error(errno.wrapping_neg())));
            }
            libc::RTM_NEWADDR => addresses.extend(address(message, ifindex)?),
            _ => {}
        }
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Ok(false))
}

/// The address in a message, if it is a global one of the device; the outer `None` if the message is cut off.
fn address(message: &[u8], ifindex: u32) -> Option<Option<IpAddr>> {
    let attributes_after = message.get(ADDRESS_BYTES..)?;
    if message[3] != SCOPE_GLOBAL || u32_at(message, 4)? != ifindex {
        return Some(None);
    }
    // On a point-to-point link IFA_ADDRESS is the other end's.
    let find = |wanted| attributes(attributes_after).find(|(kind, _)| *kind == wanted);
    let found = find(libc::IFA_LOCAL).or_else(|| find(libc::IFA_ADDRESS));
    Some(found.and_then(|(_, bytes)| ip(bytes)))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(|bytes| Ipv4Addr::from(bytes).into())
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).into()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address message of device 7 with one attribute.
    fn message(scope: u8, kind: u16, value: &[u8]) -> Vec<u8> {
        let attribute_bytes = 4 + value.len();
        let mut bytes = ((HEADER_BYTES + ADDRESS_BYTES + attribute_bytes) as u32)
            .to_ne_bytes()
            .to_vec();
        bytes.extend(libc::RTM_NEWADDR.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([libc::AF_INET as u8, 24, 0, scope]);
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend((attribute_bytes as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes
    }

    #[test]
    fn global_addresses_of_the_device_are_read() {
        let answer = [
            message(0, libc::IFA_LOCAL, &[10, 244, 1, 2]),
            message(253, libc::IFA_ADDRESS, &[0xfe; 16]),
            message(0, libc::IFA_ADDRESS, &[0xfd; 16]),
        ]
        .concat();
        let mut found = Vec::new();
        assert!(!parse(&answer, 7, &mut found).unwrap().unwrap());
        let expected: [IpAddr; 2] = [
            Ipv4Addr::new(10, 244, 1, 2).into(),
            Ipv6Addr::from([0xfd; 16]).into(),
        ];
        assert_eq!(found, expected);
        found.clear();
        assert!(!parse(&answer, 8, &mut found).unwrap().unwrap());
        assert!(found.is_empty());
    }

    #[test]
    fn an_answer_that_is_cut_off_is_survived_at_every_length() {
        let answer = message(0, libc::IFA_LOCAL, &[10, 244, 1, 2]);
        for length in 1..answer.len() {
            assert!(parse(&answer[..length], 7, &mut Vec::new()).is_none());
        }
    }

    #[test]
    fn the_loopbacks_own_addresses_are_not_global() {
        let loopback = nix::net::if_::if_nametoindex("lo").unwrap();
        let found = global(loopback).unwrap();
        assert!(found.iter().all(|address| !address.is_loopback()));
    }
}
