//! Receiving many frames at a time, each with the kernel's note of when it arrived.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::ethernet::VlanTag;

/// Frames that one system call may return.
const BATCH: usize = 64;
/// Captured of each frame: enough for the header behind VLAN tags, IPv6, VXLAN and IPv6 again.
const CAPTURED_BYTES: usize = 256;

/// What was received.
#[derive(Debug)]
pub struct Received<'a> {
    /// The start of the frame or datagram.
    pub captured: &'a [u8],
    /// Its whole size in bytes.
    pub length: usize,
    /// When the kernel received it, in ns of CLOCK_REALTIME.
    pub arrival_realtime_ns: Option<u64>,
    /// The VLAN tag that the kernel took out of the frame.
    pub tag: Option<VlanTag>,
    /// Whether it came over IPv4, also to an IPv6 socket. Of UDP sockets only.
    pub is_ipv4: bool,
}

/// Buffers for one `recvmmsg` after another.
pub struct Receiver {
    data: Box<[[u8; CAPTURED_BYTES]; BATCH]>,
    control: Box<[ControlBuffer; BATCH]>,
    names: Box<[libc::sockaddr_in6; BATCH]>,
}

impl Receiver {
    /// Empty buffers.
    pub fn new() -> Self {
        // SAFETY: all zeroes is a valid sockaddr_in6, which holds only integers.
        let name: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
        Self {
            data: Box::new([[0; CAPTURED_BYTES]; BATCH]),
            control: Box::new([ControlBuffer::new(); BATCH]),
            names: Box::new([name; BATCH]),
        }
    }

    /// Hands all that one call finds in the socket to `each`, in order of arrival, and returns how many
    /// that were. Does not wait.
    ///
    /// # Errors
    ///
    /// As recvmmsg(2), but that an empty socket is no error.
    pub fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        mut each: impl FnMut(Received<'_>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut parts: [libc::iovec; BATCH] = std::array::from_fn(|index| libc::iovec {
            iov_base: self.data[index].as_mut_ptr().cast(),
            iov_len: CAPTURED_BYTES,
        });
        let mut messages: [libc::mmsghdr; BATCH] = std::array::from_fn(|index| {
            // SAFETY: all zeroes is a valid mmsghdr: null pointers with lengths of 0.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            let header = &mut message.msg_hdr;
            header.msg_iov = &mut parts[index];
            header.msg_iovlen = 1;
            header.msg_control = self.control[index].as_mut_ptr();
            header.msg_controllen = ControlBuffer::BYTES as _;
            header.msg_name = std::ptr::from_mut(&mut self.names[index]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            message
        });
        // MSG_TRUNC: the length returned is that of the frame, also where that is more than was captured.
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: each of the BATCH messages points to one part, control buffer and name, which live to the
        // end of this function with the lengths given; there is no timeout.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH as _,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        let Ok(received) = usize::try_from(received) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        for (index, message) in messages[..received].iter().enumerate() {
            let length = message.msg_len as usize;
            let mut frame = Received {
                captured: &self.data[index][..length.min(CAPTURED_BYTES)],
                length,
                arrival_realtime_ns: None,
                tag: None,
                is_ipv4: is_ipv4(&self.names[index]),
            };
            // SAFETY: the kernel has just filled in this message, whose control buffer is still alive.
            for (level, kind, data) in unsafe { control_messages(&message.msg_hdr) } {
                match (level, kind) {
                    (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                        frame.arrival_realtime_ns = timespec_ns(data);
                    }
                    (libc::SOL_PACKET, libc::PACKET_AUXDATA) => frame.tag = auxdata_tag(data),
                    _ => {}
                }
            }
            each(frame)?;
        }
        Ok(received)
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

/// Room for the control messages of one frame, aligned for their headers.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct ControlBuffer([u8; Self::BYTES]);

impl ControlBuffer {
    pub(super) const BYTES: usize = 256;

    pub(super) fn new() -> Self {
        Self([0; Self::BYTES])
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut c_void {
        self.0.as_mut_ptr().cast()
    }
}

/// The control messages of a received message: level, type, data.
///
/// # Safety
///
/// The kernel must have filled in `message`, and its control buffer must be alive and unchanged while the
/// iterator and what it returned are in use.
pub(super) unsafe fn control_messages(
    message: &libc::msghdr,
) -> impl Iterator<Item = (i32, i32, &[u8])> {
    // SAFETY: the control buffer is alive (the caller promises), and holds as many bytes as the kernel said.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    std::iter::from_fn(move || {
        // SAFETY: `next` is null or one of the headers that the kernel wrote into the live control buffer;
        // its data follow it, as many as its length says less the header; CMSG_NXTHDR stays in the buffer.
        unsafe {
            let header = next.as_ref()?;
            let length = header.cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            let data = std::slice::from_raw_parts(libc::CMSG_DATA(next), length);
            next = libc::CMSG_NXTHDR(message, next);
            Some((header.cmsg_level, header.cmsg_type, data))
        }
    })
}

/// Reads a `struct timespec` as 64-bit kernels write it.
fn timespec_ns(data: &[u8]) -> Option<u64> {
    let (seconds, rest) = data.split_first_chunk()?;
    let (nanoseconds, _) = rest.split_first_chunk()?;
    let ns = i64::from_ne_bytes(*seconds) * 1_000_000_000 + i64::from_ne_bytes(*nanoseconds);
    u64::try_from(ns).ok()
}

/// Reads a `struct tpacket_auxdata`.
fn auxdata_tag(data: &[u8]) -> Option<VlanTag> {
    let status_at = std::mem::offset_of!(libc::tpacket_auxdata, tp_status);
    let tci_at = std::mem::offset_of!(libc::tpacket_auxdata, tp_vlan_tci);
    let status = u32::from_ne_bytes(data.get(status_at..status_at + 4)?.try_into().ok()?);
    let tci = u16::from_ne_bytes(data.get(tci_at..tci_at + 2)?.try_into().ok()?);
    (status & libc::TP_STATUS_VLAN_VALID != 0).then(|| VlanTag::from_tci(tci))
}

fn is_ipv4(name: &libc::sockaddr_in6) -> bool {
    const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    name.sin6_family == libc::AF_INET as u16 || name.sin6_addr.s6_addr[..12] == MAPPED
}
