//! An AF_XDP socket whose UMEM is memory that is already there: a mempool's, or that of other sockets.
//!
//! xsk-rs and libxdp map the memory themselves, so the few system calls are made here.
//! See <https://docs.kernel.org/networking/af_xdp.html>.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::{Ring, ring_offsets};

/// For how long a device may be busy after another socket on it was closed. The kernel takes about 25 ms.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Slots of a socket that nothing is moved by.
const PROBE_SLOTS: u32 = 2;

/// `SOL_XDP` option since Linux 6.17: frames that one `sendto` moves (32 before).
const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// Memory that a socket is registered with.
#[derive(Debug, Clone, Copy)]
pub struct XskMemory {
    /// Where it begins; on a page.
    pub base: usize,
    /// How long it is; whole pages.
    pub bytes: usize,
    /// Bytes of a chunk: 2048 or 4096, or anything up to 4096 if `unaligned`.
    pub chunk_bytes: u32,
    /// Whether chunks may begin anywhere, not only at multiples of their length.
    pub unaligned: bool,
}

/// Who moves the frames between memory and device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XskMode {
    /// The kernel copies. Every device can do that.
    Copy,
    /// The device itself reads and writes the memory, as far as its driver can.
    ///
    /// It receives all that arrives at its queue into the chunks of the fill ring, also what then takes the kernel's
    /// path. It goes on doing so for a moment after the socket was closed: see [`XskSocket::is_released`].
    ZeroCopy,
}

/// A socket with its four rings, bound to queue 0 of a device.
pub struct XskSocket {
    // Dropped in this order. The kernel keeps what is mapped, and is done with the memory when the descriptor is closed.
    /// Received frames.
    pub rx: Ring<libc::xdp_desc>,
    /// Frames to send.
    pub tx: Ring<libc::xdp_desc>,
    /// Addresses of chunks to receive into.
    pub fill: Ring<u64>,
    /// Addresses of frames that were sent.
    pub completion: Ring<u64>,
    fd: OwnedFd,
}

impl XskSocket {
    /// Opens it with rings of `slots` (a power of two) each, of which the fill ring holds the addresses `receive` when the
    /// socket is bound. Waits up to a second for a device that is busy.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the memory, the rings, or the device in this mode.
    ///
    /// # Safety
    ///
    /// The memory stays mapped as long as the socket is open, and what is given to the kernel by `receive`, `fill` and `tx`
    /// is used by nobody else until it comes back.
    pub unsafe fn open(
        ifindex: u32,
        mode: XskMode,
        memory: XskMemory,
        slots: u32,
        receive: &[u64],
    ) -> io::Result<Self> {
        let start = Instant::now();
        loop {
            // SAFETY: by the caller.
            match unsafe { Self::try_open(ifindex, mode, memory, slots, receive) } {
                Err(error)
                    if error.raw_os_error() == Some(libc::EBUSY)
                        && start.elapsed() < BUSY_PATIENCE =>
                {
                    std::thread::sleep(BUSY_PAUSE);
                }
                result => return result,
            }
        }
    }

    /// Waits, for a second at most, until a device has let go of the socket that was closed last. Whether it has.
    ///
    /// The kernel takes a device out of zero-copy mode some time after it has closed the socket; until then the chunks of
    /// that socket are the device's.
    pub fn is_released(ifindex: u32, memory: XskMemory) -> bool {
        // SAFETY: the new socket is given nothing to read or write.
        let another = unsafe { Self::open(ifindex, XskMode::Copy, memory, PROBE_SLOTS, &[]) };
        // A device that is gone has nothing left. Any other reason says nothing about it.
        another.map_or_else(
            |error| matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)),
            |_| true,
        )
    }

    /// # Safety
    ///
    /// As [`open`](Self::open).
    unsafe fn try_open(
        ifindex: u32,
        mode: XskMode,
        memory: XskMemory,
        slots: u32,
        receive: &[u64],
    ) -> io::Result<Self> {
        // SAFETY: makes a new descriptor, and touches no memory.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, so nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let registration = libc::xdp_umem_reg {
            addr: memory.base as u64,
            len: memory.bytes as u64,
            chunk_size: memory.chunk_bytes,
            headroom: 0,
            flags: if memory.unaligned {
                libc::XDP_UMEM_UNALIGNED_CHUNK_FLAG
            } else {
                0
            },
            tx_metadata_len: 0,
        };
        set_option(fd.as_fd(), libc::XDP_UMEM_REG, &registration)?;
        for ring in [
            libc::XDP_UMEM_FILL_RING,
            libc::XDP_UMEM_COMPLETION_RING,
            libc::XDP_RX_RING,
            libc::XDP_TX_RING,
        ] {
            set_option(fd.as_fd(), ring, &slots)?;
        }
        raise_transmit_budget(fd.as_fd(), slots);
        let borrowed = fd.as_fd();
        let offsets = ring_offsets(borrowed)?;
        // SAFETY: these rings were just made with so many slots; fill and completion ring hold addresses, the others
        // descriptors.
        let (rx, tx, mut fill, completion) = unsafe {
            (
                Ring::map(borrowed, slots, &offsets.rx, libc::XDP_PGOFF_RX_RING)?,
                Ring::map(borrowed, slots, &offsets.tx, libc::XDP_PGOFF_TX_RING)?,
                Ring::map(
                    borrowed,
                    slots,
                    &offsets.fr,
                    libc::XDP_UMEM_PGOFF_FILL_RING as libc::off_t,
                )?,
                Ring::map(
                    borrowed,
                    slots,
                    &offsets.cr,
                    libc::XDP_UMEM_PGOFF_COMPLETION_RING as libc::off_t,
                )?,
            )
        };
        for &address in receive {
            if !fill.push(address) {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            }
        }
        bind(&fd, ifindex, mode)?;
        Ok(Self {
            rx,
            tx,
            fill,
            completion,
            fd,
        })
    }

    /// Has the kernel send from the transmit ring: one system call.
    ///
    /// # Errors
    ///
    /// The kernel's: `EAGAIN`, `EBUSY` and `ENOBUFS` are no failures of the device.
    pub fn kick(&self) -> io::Result<()> {
        kick(self.as_fd())
    }

    /// What the kernel counts for this socket (one system call).
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn statistics(&self) -> io::Result<libc::xdp_statistics> {
        // SAFETY: a record of plain numbers, for which 0 is a value; the kernel fills as much of it as it knows.
        let mut statistics: libc::xdp_statistics = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        unsafe { get_option(&self.fd, libc::XDP_STATISTICS, &mut statistics)? };
        Ok(statistics)
    }
}

impl AsFd for XskSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Has the kernel send from an AF_XDP socket's transmit ring: one system call.
///
/// # Errors
///
/// As [`XskSocket::kick`].
pub fn kick(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: sends no memory of ours beyond the ring; the descriptor is open as long as it is borrowed.
    let result = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            std::ptr::null(),
            0,
            libc::MSG_DONTWAIT,
            std::ptr::null(),
            0,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Lets one [`kick`] move so many frames. An older kernel does not know the option: there a kick moves 32, and has to be
/// repeated.
pub fn raise_transmit_budget(socket: BorrowedFd<'_>, frames: u32) {
    if let Err(error) = set_option(socket, XDP_MAX_TX_SKB_BUDGET, &frames) {
        tracing::debug!(%error, "the kernel sends at most 32 frames a call");
    }
}

fn bind(fd: &OwnedFd, ifindex: u32, mode: XskMode) -> io::Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as libc::__u16,
        sxdp_flags: libc::XDP_USE_NEED_WAKEUP
            | match mode {
                XskMode::Copy => libc::XDP_COPY,
                XskMode::ZeroCopy => libc::XDP_ZEROCOPY,
            },
        sxdp_ifindex: ifindex,
        sxdp_queue_id: 0,
        sxdp_shared_umem_fd: 0,
    };
    // SAFETY: passes a pointer to a live address and its size.
    let result = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_xdp>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn set_option<T>(fd: BorrowedFd<'_>, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: passes a pointer to a live value and its size, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_XDP,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// # Safety
///
/// `T` is the record that the kernel fills for `option`, or begins with it.
unsafe fn get_option<T>(fd: &OwnedFd, option: libc::c_int, value: &mut T) -> io::Result<()> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: passes a pointer to a live value and its size, which the kernel does not exceed.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_XDP,
            option,
            std::ptr::from_mut(value).cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
