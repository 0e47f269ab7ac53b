//! Sending one frame, with or without a launch time.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{SockAddr, Socket};

/// Room for one control message with 8 bytes of data, aligned for its header.
type Control = [u64; 4];

/// A socket, and where its frames go.
pub struct Transmitter {
    socket: Socket,
    destination: Option<SockAddr>,
}

impl Transmitter {
    /// `destination` is `None` where each frame says itself where it goes. A UDP socket is not connected,
    /// so that an ICMP error costs no frame.
    pub fn new(socket: Socket, destination: Option<SockAddr>) -> Self {
        Self {
            socket,
            destination,
        }
    }

    /// Hands one frame to the socket, with `launch_time_ns` as its SCM_TXTIME, in the clock that
    /// SO_TXTIME was set to.
    ///
    /// # Errors
    ///
    /// As sendmsg(2).
    pub fn send(&self, frame: &[u8], launch_time_ns: Option<u64>) -> io::Result<()> {
        let mut data = libc::iovec {
            iov_base: frame.as_ptr().cast_mut().cast(),
            iov_len: frame.len(),
        };
        let mut control: Control = [0; 4];
        // SAFETY: all zeroes is a valid msghdr: null pointers with lengths of 0.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &mut data;
        message.msg_iovlen = 1;
        if let Some(destination) = &self.destination {
            message.msg_name = destination.as_ptr().cast_mut().cast();
            message.msg_namelen = destination.len();
        }
        if let Some(launch_time_ns) = launch_time_ns {
            put_launch_time(&mut message, &mut control, launch_time_ns);
        }
        // SAFETY: `message` points to `data`, `frame`, `control` and the destination, which all live to the
        // end of this function with the lengths given; sendmsg writes to none of them.
        let sent = unsafe { libc::sendmsg(self.socket.as_raw_fd(), &message, 0) };
        if sent < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }
}

impl AsFd for Transmitter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn put_launch_time(message: &mut libc::msghdr, control: &mut Control, launch_time_ns: u64) {
    const DATA_BYTES: u32 = size_of::<u64>() as u32;
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute. `control` is as large as CMSG_SPACE says (24 of its 32
    // bytes) and aligned for a cmsghdr, so that CMSG_FIRSTHDR returns its start and header and data are
    // within it; the data may be unaligned and are written so.
    unsafe {
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(DATA_BYTES) as _;
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_TXTIME;
        (*header).cmsg_len = libc::CMSG_LEN(DATA_BYTES) as _;
        libc::CMSG_DATA(header)
            .cast::<u64>()
            .write_unaligned(launch_time_ns);
    }
}
