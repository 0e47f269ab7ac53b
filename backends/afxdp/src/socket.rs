//! One AF_XDP socket with its four rings, and who owns which chunk.
//!
//! A chunk belongs either to the free list, to a frame, or to one socket's rings (and the kernel behind them). The
//! socket notes the ones in its rings, so that all of them come back when it is closed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use xsk_rs::config::{BindFlags, Interface, LibxdpFlags, QueueSize, SocketConfig};
use xsk_rs::socket::XdpStatistics;
use xsk_rs::{CompQueue, FillQueue, FrameDesc, RxQueue, TxQueue};

use tsn_programs::{Ring, kick, raise_transmit_budget, ring_offsets};

use crate::SocketError;
use crate::held::HeldChunks;
use crate::mappings::mapped_at;
use crate::umem::{AfxdpFrame, Umem, close_on_exec, with_source};

/// Descriptors moved by one ring operation.
const BATCH: usize = 32;

/// For how long a device may be busy after another socket on it was closed. The kernel takes about 25 ms.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// A socket bound to queue 0 of a device.
pub(crate) struct Socket {
    // Dropped in this order: when the last of the five goes, the socket is closed and the kernel is done with the
    // memory; only then may `held` free the chunks. The library's transmit queue sends a frame only from the place in its
    // chunk where it was received, so its ring is filled here.
    tx: Ring<libc::xdp_desc>,
    rx: RxQueue,
    _tx: TxQueue,
    fill: FillQueue,
    completion: CompQueue,
    held: HeldChunks,
    umem: Arc<Umem>,
    batch: [FrameDesc; BATCH],
    batch_next: usize,
    batch_end: usize,
    /// How many chunks this socket keeps for receiving, and how many of them it has now.
    fill_target: usize,
    filled: usize,
    slots: u32,
}

impl Socket {
    /// Opens a socket on queue 0 of `device` with `ring_slots` slots in each ring, keeping `fill_target` chunks (at
    /// most `ring_slots`) ready to receive into. Waits up to a second for a device that is busy.
    ///
    /// The device is used in copy mode: zero-copy needs a registration of its own ([`crate::zero_copy`]).
    pub fn open(
        umem: &Arc<Umem>,
        device: &str,
        ring_slots: u32,
        fill_target: u32,
    ) -> Result<Self, SocketError> {
        let open_error = |source| SocketError::Open {
            device: device.to_owned(),
            source,
        };
        let invalid =
            |error: String| open_error(io::Error::new(io::ErrorKind::InvalidInput, error));
        let slots = QueueSize::new(ring_slots).map_err(|error| invalid(error.to_string()))?;
        let interface: Interface = device
            .parse()
            .map_err(|error| invalid(format!("{error}")))?;
        // Mode and wake-up flag are inherited from the socket that the memory was registered with.
        let config = SocketConfig::builder()
            .rx_queue_size(slots)
            .tx_queue_size(slots)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(BindFlags::empty())
            .build();
        let start = Instant::now();
        let (library_tx, rx, rings) = loop {
            // SAFETY: the UMEM is shared, and the required flag (no program is loaded) is set.
            match unsafe { xsk_rs::Socket::new(config, umem.region(), &interface, 0) } {
                Ok(queues) => break queues,
                Err(error) => {
                    let cause = errno(&error);
                    if cause != Some(libc::EBUSY) || start.elapsed() >= BUSY_PATIENCE {
                        let source = cause.map_or_else(
                            || io::Error::other(with_source(&error)),
                            io::Error::from_raw_os_error,
                        );
                        return Err(open_error(source));
                    }
                    std::thread::sleep(BUSY_PAUSE);
                }
            }
        };
        let Some((fill, completion)) = rings else {
            return Err(SocketError::AlreadyOpen {
                device: device.to_owned(),
            });
        };
        close_on_exec(rx.fd().as_raw_fd()).map_err(open_error)?;
        let tx = transmit_ring(&rx, ring_slots).map_err(open_error)?;
        let mut socket = Self {
            tx,
            rx,
            _tx: library_tx,
            fill,
            completion,
            held: HeldChunks::new(umem),
            umem: Arc::clone(umem),
            batch: [FrameDesc::default(); BATCH],
            batch_next: 0,
            batch_end: 0,
            fill_target: fill_target.min(ring_slots) as usize,
            filled: 0,
            slots: ring_slots,
        };
        raise_transmit_budget(socket.as_fd(), ring_slots);
        socket.refill();
        Ok(socket)
    }

    /// Slots of each ring.
    pub fn slots(&self) -> usize {
        self.slots as usize
    }

    /// The most frames that can wait to be received.
    pub fn receive_slots(&self) -> usize {
        self.fill_target
    }

    /// The shared memory.
    pub fn umem(&self) -> &Arc<Umem> {
        &self.umem
    }

    /// Takes the next received frame; once for every batch, looks at the ring and refills the fill ring.
    pub fn receive(&mut self) -> Option<AfxdpFrame> {
        if self.batch_next == self.batch_end {
            self.batch_next = 0;
            // SAFETY: this ring only returns chunks of this socket's UMEM.
            self.batch_end = unsafe { self.rx.consume(&mut self.batch) };
            self.filled -= self.batch_end;
            self.refill();
            if self.batch_end == 0 {
                return None;
            }
        }
        let descriptor = self.batch[self.batch_next];
        self.batch_next += 1;
        self.held.remove(self.umem.chunk_of(descriptor.addr()));
        // SAFETY: the kernel gave up the chunk with the descriptor, and we have just given up our note of it.
        Some(unsafe { AfxdpFrame::received(&self.umem, &descriptor) })
    }

    /// Gives the kernel free chunks to receive into, up to the target and as far as there are any.
    fn refill(&mut self) {
        while self.filled < self.fill_target {
            let wanted = (self.fill_target - self.filled).min(BATCH);
            let mut descriptors = [FrameDesc::default(); BATCH];
            let mut taken = 0;
            while let Some(descriptor) = (taken < wanted).then(|| self.umem.take()).flatten() {
                descriptors[taken] = descriptor;
                taken += 1;
            }
            // SAFETY: the chunks come from the free list of this socket's UMEM, so nobody else uses them.
            let produced = unsafe { self.fill.produce(&descriptors[..taken]) };
            // The ring has at least `fill_target` slots, of which only `filled` are in use: all or nothing fits.
            for descriptor in &descriptors[..produced] {
                self.held.insert(self.umem.chunk_of(descriptor.addr()));
            }
            for descriptor in &descriptors[produced..taken] {
                self.umem.give_back(self.umem.chunk_of(descriptor.addr()));
            }
            self.filled += produced;
            if produced < wanted {
                return;
            }
        }
    }

    /// Puts a frame into the transmit ring; gives it back if that is full or the frame lies in other memory.
    pub fn transmit(&mut self, frame: AfxdpFrame) -> Result<(), AfxdpFrame> {
        if !frame.is_of(&self.umem) || !self.tx.push(frame.descriptor()) {
            return Err(frame);
        }
        self.held.insert(frame.chunk());
        frame.hand_over();
        Ok(())
    }

    /// Frames in the transmit ring that the kernel has not taken.
    pub fn waiting(&self) -> u32 {
        self.tx.waiting()
    }

    /// Received frames that `receive` has not taken.
    pub fn arrived(&mut self) -> u32 {
        self.rx.nb_avail_exact() + (self.batch_end - self.batch_next) as u32
    }

    /// Has the kernel send from the transmit ring: one system call.
    pub fn kick(&self) -> io::Result<()> {
        kick(self.as_fd())
    }

    /// Frees the chunks of frames that have left; gives their number.
    pub fn reclaim(&mut self) -> usize {
        let mut total = 0;
        let mut descriptors = [FrameDesc::default(); BATCH];
        loop {
            // SAFETY: this ring only returns chunks of this socket's UMEM.
            let count = unsafe { self.completion.consume(&mut descriptors) };
            for descriptor in &descriptors[..count] {
                let chunk = self.umem.chunk_of(descriptor.addr());
                self.held.remove(chunk);
                self.umem.give_back(chunk);
            }
            total += count;
            if count < BATCH {
                return total;
            }
        }
    }

    /// What the kernel counts for this socket (one system call).
    pub fn statistics(&self) -> io::Result<XdpStatistics> {
        self.rx.fd().xdp_statistics()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor stays open as long as the queues in `self`.
        unsafe { BorrowedFd::borrow_raw(self.rx.fd().as_raw_fd()) }
    }
}

/// The transmit ring that the library has mapped and leaves unused. It stays mapped as long as the library's queue.
fn transmit_ring(socket: &RxQueue, slots: u32) -> io::Result<Ring<libc::xdp_desc>> {
    // SAFETY: the descriptor is open as long as the queue.
    let fd = unsafe { BorrowedFd::borrow_raw(socket.fd().as_raw_fd()) };
    let offsets = ring_offsets(fd)?;
    // Before Linux 6.5 a bound socket's ring cannot be mapped a second time, and the library does not tell where it is.
    let base = mapped_at(fd, libc::XDP_PGOFF_TX_RING as u64)?
        .ok_or_else(|| io::Error::other("/proc/self/maps does not show the transmit ring"))?;
    // SAFETY: it is this socket's transmit ring, which has so many slots for descriptors; the library does not use it, and
    // `Socket` keeps the library's queue.
    Ok(unsafe { Ring::at(base, slots, &offsets.tx) })
}

/// The operating system's error behind a failed creation.
fn errno(error: &dyn std::error::Error) -> Option<i32> {
    error.source()?.downcast_ref::<io::Error>()?.raw_os_error()
}
