//! Requests to rtnetlink and the parts of its answers.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, recv, send};

use super::device::{netlink, u16_at, u32_at};

/// `struct nlmsghdr` in bytes.
const HEADER_BYTES: usize = 16;
/// `NLA_F_NESTED`.
const NESTED: u16 = 1 << 15;

/// A request.
pub struct Message(Vec<u8>);

impl Message {
    /// With flags beside `NLM_F_REQUEST`, and the record that a message of this kind begins with.
    pub fn new(kind: u16, flags: i32, body: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(((libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        // Sequence and port.
        bytes.extend([0; 8]);
        bytes.extend(body);
        Self(bytes)
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.extend(((4 + value.len()) as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// Adds an attribute that consists of attributes.
    pub fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.attribute(kind | NESTED, &[]);
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// As it is sent.
    pub fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// Sends a request that changes something, and waits until the kernel has done it.
pub fn acknowledged(message: Message) -> io::Result<()> {
    let mut bytes = message.finish();
    let flags = u16::from_ne_bytes([bytes[6], bytes[7]]) | libc::NLM_F_ACK as u16;
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    let socket = netlink()?;
    send(socket.as_raw_fd(), &bytes, MsgFlags::empty())?;
    let mut answer = vec![0; 32 * 1024];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    if read_part(&answer[..length], |_| Some(()))? {
        return Ok(());
    }
    Err(io::Error::other("rtnetlink does not acknowledge"))
}

/// Hands each record in a part of an answer to `read`, which gives `None` for one that is cut off. Whether it was the last
/// part.
///
/// # Errors
///
/// The kernel's refusal, when the part is cut off, or [`io::ErrorKind::Interrupted`] when something changed while the kernel
/// told of it, so that the whole answer may be wrong.
pub fn read_part(mut answer: &[u8], mut read: impl FnMut(&[u8]) -> Option<()>) -> io::Result<bool> {
    const DONE: u16 = libc::NLMSG_DONE as u16;
    const ERROR: u16 = libc::NLMSG_ERROR as u16;
    const INTERRUPTED: u16 = libc::NLM_F_DUMP_INTR as u16;
    let cut_off = || io::Error::other("rtnetlink's answer is cut off");
    while !answer.is_empty() {
        let length = u32_at(answer, 0).ok_or_else(cut_off)? as usize;
        let body = answer.get(HEADER_BYTES..length).ok_or_else(cut_off)?;
        if u16_at(answer, 6).ok_or_else(cut_off)? & INTERRUPTED != 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match u16_at(answer, 4).ok_or_else(cut_off)? {
            // The end of what is told may also be why there is no more of it.
            DONE | ERROR => {
                return match u32_at(body, 0).ok_or_else(cut_off)? as i32 {
                    0 => Ok(true),
                    errno => Err(io::Error::from_raw_os_error(errno.wrapping_neg())),
                };
            }
            _ => read(body).ok_or_else(cut_off)?,
        }
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_aligned_and_counted() {
        let mut message = Message::new(44, libc::NLM_F_CREATE, &[7; 4]);
        message.attribute(1, b"bpf\0x");
        message.nested(2, |inner| inner.attribute(6, &[9; 4]));
        let bytes = message.finish();
        assert_eq!(u32_at(&bytes, 0), Some(bytes.len() as u32));
        assert_eq!(bytes[16..20], [7; 4]);
        assert_eq!((u16_at(&bytes, 20), u16_at(&bytes, 22)), (Some(9), Some(1)));
        assert_eq!(bytes[29..32], [0; 3]);
        assert_eq!(u16_at(&bytes, 32), Some(12));
        assert_eq!(u16_at(&bytes, 34), Some(2 | NESTED));
        assert_eq!(bytes.len(), 44);
    }

    #[test]
    fn answers_are_read_or_refused_at_every_length() {
        let mut answer = Message::new(36, 0, &[1; 20]).finish();
        answer.extend(Message::new(libc::NLMSG_DONE as u16, 0, &[0; 4]).finish());
        let records = |part: &[u8]| {
            let mut records = 0;
            let result = read_part(part, |body| {
                records += 1;
                (body.len() == 20).then_some(())
            });
            (result.ok(), records)
        };
        assert_eq!(records(&answer), (Some(true), 1));
        assert_eq!(records(&answer[..36]), (Some(false), 1));
        for length in (1..answer.len()).filter(|length| *length != 36) {
            assert_eq!(records(&answer[..length]).0, None, "{length}");
        }
    }

    #[test]
    fn a_refusal_is_the_kernels_error() {
        let refusal = (-libc::ENOENT).to_ne_bytes();
        let answer = Message::new(libc::NLMSG_ERROR as u16, 0, &refusal).finish();
        let error = read_part(&answer, |_| Some(())).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        let done = Message::new(libc::NLMSG_ERROR as u16, 0, &[0; 4]).finish();
        assert!(read_part(&done, |_| Some(())).unwrap());
    }

    #[test]
    fn an_answer_that_is_not_whole_is_an_error() {
        let too_long = (-libc::EMSGSIZE).to_ne_bytes();
        let end = Message::new(libc::NLMSG_DONE as u16, 0, &too_long).finish();
        let error = read_part(&end, |_| Some(())).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        let changed = Message::new(36, libc::NLM_F_DUMP_INTR, &[1; 20]).finish();
        let error = read_part(&changed, |_| Some(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
