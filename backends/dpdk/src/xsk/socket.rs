//! An AF_XDP socket whose UMEM is memory that is already there: a mempool's.
//!
//! xsk-rs and libxdp map the memory themselves, so the few system calls are made here.
//! See <https://docs.kernel.org/networking/af_xdp.html>.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use tsn_programs::{Ring, ring_offsets};

use crate::Mempool;

/// For how long a device may be busy after another socket on it was closed. The kernel takes about 25 ms.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// `SOL_XDP` option since Linux 6.17: frames that one `sendto` moves (32 before).
const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// The kernel writes a received frame so far into a buffer (`XDP_PACKET_HEADROOM`).
pub(super) const HEADROOM_BYTES: usize = 256;
/// A UMEM consists of whole pages, and none of its buffers is longer than one.
const PAGE_BYTES: usize = 4096;

/// The memory of a UMEM, in which every frame's buffer lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    /// Where it begins; on a page.
    pub base: usize,
    /// How long it is; whole pages.
    pub bytes: usize,
    /// What the kernel may use from the start of a buffer, its own headroom included.
    buffer_bytes: u32,
}

impl Area {
    /// The memory of a mempool, and of what shares its first and last page.
    pub fn of(pool: &Mempool) -> Self {
        let memory = pool.memory();
        let base = memory.start / PAGE_BYTES * PAGE_BYTES;
        Self {
            base,
            bytes: memory.end.next_multiple_of(PAGE_BYTES) - base,
            buffer_bytes: pool.layout().buffer_bytes.min(PAGE_BYTES as u32),
        }
    }

    /// The longest frame that the kernel receives into a buffer.
    pub fn capacity_bytes(&self) -> usize {
        self.buffer_bytes as usize - HEADROOM_BYTES
    }
}

/// A socket with its four rings, bound to queue 0 of a device in copy mode.
pub(super) struct Socket {
    // Dropped in this order. The kernel keeps what is mapped, and is done with the memory when the descriptor is closed.
    pub rx: Ring<libc::xdp_desc>,
    pub tx: Ring<libc::xdp_desc>,
    pub fill: Ring<u64>,
    pub completion: Ring<u64>,
    fd: OwnedFd,
}

impl Socket {
    /// Opens it with rings of `slots` (a power of two) each. Waits up to a second for a device that is busy.
    ///
    /// # Safety
    ///
    /// The memory of `area` stays mapped as long as the socket is open, and what is given to the kernel by `fill` and
    /// `tx` is used by nobody else until it comes back.
    pub unsafe fn open(ifindex: u32, area: Area, slots: u32) -> io::Result<Self> {
        let start = Instant::now();
        loop {
            // SAFETY: by the caller.
            match unsafe { Self::try_open(ifindex, area, slots) } {
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

    /// # Safety
    ///
    /// As [`open`](Self::open).
    unsafe fn try_open(ifindex: u32, area: Area, slots: u32) -> io::Result<Self> {
        // SAFETY: makes a new descriptor, and touches no memory.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, so nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let memory = libc::xdp_umem_reg {
            addr: area.base as u64,
            len: area.bytes as u64,
            chunk_size: area.buffer_bytes,
            headroom: 0,
            // A mempool's buffers lie at distances of their own.
            flags: libc::XDP_UMEM_UNALIGNED_CHUNK_FLAG,
            tx_metadata_len: 0,
        };
        set_option(&fd, libc::XDP_UMEM_REG, &memory)?;
        for ring in [
            libc::XDP_UMEM_FILL_RING,
            libc::XDP_UMEM_COMPLETION_RING,
            libc::XDP_RX_RING,
            libc::XDP_TX_RING,
        ] {
            set_option(&fd, ring, &slots)?;
        }
        if let Err(error) = set_option(&fd, XDP_MAX_TX_SKB_BUDGET, &slots) {
            tracing::debug!(%error, "the kernel sends at most 32 frames a call");
        }
        let borrowed = fd.as_fd();
        let offsets = ring_offsets(borrowed)?;
        // SAFETY: these rings were just made with so many slots; fill and completion ring hold addresses, the others
        // descriptors.
        let (rx, tx, fill, completion) = unsafe {
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
        bind(&fd, ifindex)?;
        Ok(Self {
            rx,
            tx,
            fill,
            completion,
            fd,
        })
    }

    /// Has the kernel send from the transmit ring: one system call.
    pub fn kick(&self) -> io::Result<()> {
        // SAFETY: sends no memory of ours beyond the ring.
        let result = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
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

    /// What the kernel counts for this socket (one system call).
    pub fn statistics(&self) -> io::Result<libc::xdp_statistics> {
        // SAFETY: a record of plain numbers, for which 0 is a value; the kernel fills as much of it as it knows.
        let mut statistics: libc::xdp_statistics = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        unsafe { get_option(&self.fd, libc::XDP_STATISTICS, &mut statistics)? };
        Ok(statistics)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn bind(fd: &OwnedFd, ifindex: u32) -> io::Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as libc::__u16,
        sxdp_flags: libc::XDP_COPY | libc::XDP_USE_NEED_WAKEUP,
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

fn set_option<T>(fd: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
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
