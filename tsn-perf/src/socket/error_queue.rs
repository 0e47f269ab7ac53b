//! The launch times that a queueing discipline refused, from the socket's error queue
//! (SOF_TXTIME_REPORT_ERRORS, tc-etf(8)).

use std::os::fd::{AsRawFd, BorrowedFd};

use super::receive::{ControlBuffer, control_messages};

/// SO_EE_ORIGIN_TXTIME of linux/errqueue.h.
const ORIGIN_TXTIME: u8 = 6;
/// SO_EE_CODE_TXTIME_INVALID_PARAM of linux/errqueue.h.
const CODE_INVALID_PARAMETER: u8 = 1;
/// SO_EE_CODE_TXTIME_MISSED of linux/errqueue.h.
const CODE_MISSED: u8 = 2;

/// Why a queueing discipline refused a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The launch time was past, or in another clock than the discipline's.
    InvalidLaunchTime,
    /// The launch time went by while the frame waited.
    Missed,
}

/// Takes one report from the socket's error queue. `None` when it holds no more.
pub fn next_refusal(socket: BorrowedFd<'_>) -> Option<Refusal> {
    let mut control = ControlBuffer::new();
    loop {
        // SAFETY: all zeroes is a valid msghdr: null pointers with lengths of 0.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_control = control.as_mut_ptr();
        message.msg_controllen = ControlBuffer::BYTES as _;
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // SAFETY: `message` points only to `control`, which outlives the call and has the size given.
        if unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) } < 0 {
            return None;
        }
        // SAFETY: the kernel has just filled in `message`, whose control buffer is still alive.
        let refusal = unsafe { control_messages(&message) }.find_map(|(level, kind, data)| {
            let is_error = matches!(
                (level, kind),
                (libc::SOL_IP, libc::IP_RECVERR)
                    | (libc::SOL_IPV6, libc::IPV6_RECVERR)
                    | (libc::SOL_PACKET, libc::PACKET_TX_TIMESTAMP)
            );
            if is_error { refusal_of(data) } else { None }
        });
        // Reports of another origin are passed over.
        if refusal.is_some() {
            return refusal;
        }
    }
}

/// Reads `struct sock_extended_err`: error number (4 bytes), origin, type, code (one byte each).
fn refusal_of(data: &[u8]) -> Option<Refusal> {
    let (origin, code) = (*data.get(4)?, *data.get(6)?);
    match (origin, code) {
        (ORIGIN_TXTIME, CODE_INVALID_PARAMETER) => Some(Refusal::InvalidLaunchTime),
        (ORIGIN_TXTIME, CODE_MISSED) => Some(Refusal::Missed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(origin: u8, code: u8) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[std::mem::offset_of!(libc::sock_extended_err, ee_origin)] = origin;
        bytes[std::mem::offset_of!(libc::sock_extended_err, ee_code)] = code;
        bytes
    }

    #[test]
    fn a_report_is_read_where_the_kernel_puts_it() {
        assert_eq!(refusal_of(&report(6, 1)), Some(Refusal::InvalidLaunchTime));
        assert_eq!(refusal_of(&report(6, 2)), Some(Refusal::Missed));
        assert_eq!(refusal_of(&report(6, 3)), None);
        assert_eq!(refusal_of(&report(2, 1)), None, "an ICMP error");
        assert_eq!(refusal_of(&[0; 6]), None);
    }
}
