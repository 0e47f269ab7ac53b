//! A packet socket that sees every frame of a device with the kernel's receive timestamp, and sends whole frames.

use std::{
    io,
    mem::{size_of, zeroed},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

/// What the socket saw: how long the frame is and when the kernel received it, in nanoseconds of CLOCK_REALTIME.
pub(crate) struct Seen {
    pub(crate) length: usize,
    pub(crate) realtime_ns: u64,
}

pub(crate) struct PacketSocket {
    fd: OwnedFd,
}

/// Large enough for a second of a flood on a busy machine.
const RECEIVE_BUFFER_BYTES: i32 = 64 << 20;

const VLAN_TAG_BYTES: usize = 4;
const ADDRESSES_BYTES: usize = 12;

impl PacketSocket {
    /// Opens one for all frames of `interface`, a device of the calling thread's namespace.
    pub(crate) fn open(interface: &std::ffi::CStr) -> io::Result<Self> {
        // Protocol 0 receives nothing before it is bound, so that no frame of another device slips in.
        // SAFETY: takes no pointers.
        let fd = check(unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0)
        })?;
        // SAFETY: just opened, and owned by nothing else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let socket = Self { fd };
        socket.set_option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)?;
        socket.set_option(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        socket.set_option(libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
        socket.set_option(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        // SAFETY: `interface` is a C string.
        let index = unsafe { libc::if_nametoindex(interface.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: all zeros is a value of this plain structure.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index.cast_signed();
        // SAFETY: the address is a sockaddr_ll of the size given.
        check(unsafe {
            libc::bind(
                socket.fd.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        })?;
        Ok(socket)
    }

    /// Waits up to `bound` for a frame and reads it into `buffer`, a VLAN tag included.
    pub(crate) fn receive(&self, buffer: &mut [u8], bound: Duration) -> io::Result<Option<Seen>> {
        let mut ready = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd that outlives the call.
        if check(unsafe { libc::poll(&raw mut ready, 1, bound.as_millis() as i32) })? == 0 {
            return Ok(None);
        }
        let mut control = [0_u64; 32];
        let mut vector = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: all zeros is a value of this plain structure.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        // SAFETY: the header points to a buffer and a control area that outlive the call, with their sizes.
        let received =
            unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        let mut seen = Seen {
            length,
            realtime_ns: 0,
        };
        // SAFETY: the kernel filled the message in; CMSG_FIRSTHDR and CMSG_NXTHDR stay within its control area, and
        // each kind of record is read as what the kernel documents for it.
        unsafe {
            let mut header = libc::CMSG_FIRSTHDR(&raw const message);
            while !header.is_null() {
                let data = libc::CMSG_DATA(header);
                match ((*header).cmsg_level, (*header).cmsg_type) {
                    (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                        let at: libc::timespec = data.cast::<libc::timespec>().read_unaligned();
                        seen.realtime_ns =
                            at.tv_sec.cast_unsigned() * 1_000_000_000 + at.tv_nsec.cast_unsigned();
                    }
                    (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                        let auxiliary = data.cast::<libc::tpacket_auxdata>().read_unaligned();
                        if auxiliary.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                            seen.length = put_tag_back(
                                buffer,
                                length,
                                auxiliary.tp_vlan_tpid,
                                auxiliary.tp_vlan_tci,
                            );
                        }
                    }
                    _ => {}
                }
                header = libc::CMSG_NXTHDR(&raw const message, header);
            }
        }
        Ok(Some(seen))
    }

    /// Sends a whole frame by the device; one system call.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the buffer is as long as the length says.
        let sent =
            unsafe { libc::send(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// How many frames the kernel dropped since the last call, because nobody read them in time.
    pub(crate) fn dropped(&self) -> io::Result<u32> {
        // SAFETY: all zeros is a value of this plain structure.
        let mut statistics: libc::tpacket_stats = unsafe { zeroed() };
        let mut length = size_of::<libc::tpacket_stats>() as u32;
        // SAFETY: the option's value has this type, and `length` tells its size.
        check(unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        })?;
        Ok(statistics.tp_drops)
    }

    fn set_option(&self, level: i32, name: i32, value: i32) -> io::Result<()> {
        // SAFETY: the value is an int that outlives the call.
        check(unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                name,
                (&raw const value).cast(),
                size_of::<i32>() as u32,
            )
        })?;
        Ok(())
    }
}

/// The kernel takes the outer tag out of a frame before packet sockets see it; the wire had it.
fn put_tag_back(buffer: &mut [u8], length: usize, protocol: u16, control: u16) -> usize {
    if length < ADDRESSES_BYTES || length + VLAN_TAG_BYTES > buffer.len() {
        return length;
    }
    buffer.copy_within(ADDRESSES_BYTES..length, ADDRESSES_BYTES + VLAN_TAG_BYTES);
    buffer[ADDRESSES_BYTES..ADDRESSES_BYTES + 2].copy_from_slice(&protocol.to_be_bytes());
    buffer[ADDRESSES_BYTES + 2..ADDRESSES_BYTES + 4].copy_from_slice(&control.to_be_bytes());
    length + VLAN_TAG_BYTES
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
