//! The memory that kernel and worker share, cut into chunks, and the frames in it.
//!
//! One UMEM serves all ports of a worker, so that a frame received on any of them can be transmitted on any other.
//! See <https://docs.kernel.org/networking/af_xdp.html>.

use std::fmt;
use std::io;
use std::num::{NonZeroU16, NonZeroU32};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use crossbeam_queue::ArrayQueue;
use tsn_common::{METADATA_BYTES, Metadata, Stamp};
use tsn_port::{Frame, NextHopId};
use tsn_programs::XskMemory;
use xsk_rs::config::{
    BindFlags, FrameSize, Interface, LibxdpFlags, QueueSize, SocketConfig, UmemConfig,
};
use xsk_rs::{CompQueue, FillQueue, FrameDesc, RxQueue, TxQueue};

use crate::SocketError;

/// Bytes from the start of a chunk to the data of a received frame (`XDP_PACKET_HEADROOM`).
pub(crate) const HEADROOM_BYTES: usize = 256;

/// The longest chunk that a memory can have.
const PAGE_BYTES: usize = 4096;

/// The registered memory and the list of its free chunks.
pub(crate) struct Umem {
    region: xsk_rs::Umem,
    base: NonNull<u8>,
    chunk_bytes: usize,
    /// The descriptor of every chunk's data, by the chunk's index.
    descriptors: Box<[FrameDesc]>,
    free: ArrayQueue<u32>,
    _keeper: Mutex<Keeper>,
}

// SAFETY: `base` points into the mapping that `region` keeps alive, and is only used to reach a chunk by whoever owns
// that chunk; everything else in it is `Send`.
unsafe impl Send for Umem {}
// SAFETY: as above; `&Umem` gives access only to the free list, which is made for sharing, and to constants.
unsafe impl Sync for Umem {}

/// The socket that the memory is registered with.
///
/// libxdp makes the first socket of a UMEM out of the descriptor that the memory is registered with, and closes that
/// one only with the UMEM. Were it a port, its device would stay bound after the port was dropped. So the first socket
/// is bound to the loopback device of a network namespace of its own, which lives as long as the socket.
struct Keeper {
    _queues: (TxQueue, RxQueue, Option<(FillQueue, CompQueue)>),
}

impl Umem {
    /// Registers `chunks` chunks of `chunk_bytes` (2048 or 4096); the fill and completion ring of every socket will
    /// have `ring_slots` slots (a power of two).
    pub fn new(chunks: u32, chunk_bytes: u32, ring_slots: u32) -> Result<Arc<Self>, SocketError> {
        let memory_error = |why: String| SocketError::Memory {
            chunks,
            chunk_bytes,
            why,
        };
        let count =
            NonZeroU32::new(chunks).ok_or_else(|| memory_error("there must be chunks".into()))?;
        let ring = QueueSize::new(ring_slots).map_err(|error| memory_error(error.to_string()))?;
        let chunk = FrameSize::new(chunk_bytes).map_err(|error| memory_error(error.to_string()))?;
        let config = UmemConfig::builder()
            .frame_size(chunk)
            .frame_headroom(0)
            .fill_queue_size(ring)
            .comp_queue_size(ring)
            .build()
            .map_err(|error| memory_error(error.to_string()))?;
        // A thread of its own, since a namespace is entered by the thread.
        let registered = std::thread::spawn(move || register(config, count))
            .join()
            .map_err(|_| memory_error("the registering thread panicked".into()))?;
        let (region, descriptors, keeper) = registered.map_err(memory_error)?;

        // SAFETY: the descriptor is the first of this region, and nobody else uses the memory yet. Of the headroom,
        // which is empty and lies at the start of the chunk, only the address is taken.
        let base = unsafe { region.headroom(&descriptors[0]) }
            .contents()
            .as_ptr();
        let base =
            NonNull::new(base.cast_mut()).ok_or_else(|| memory_error("mapped at 0".into()))?;
        let free = ArrayQueue::new(chunks as usize);
        for index in 0..chunks {
            let pushed = free.push(index);
            debug_assert!(pushed.is_ok(), "the queue has room for every chunk");
        }
        Ok(Arc::new(Self {
            region,
            base,
            chunk_bytes: chunk_bytes as usize,
            descriptors: descriptors.into_boxed_slice(),
            free,
            _keeper: Mutex::new(keeper),
        }))
    }

    /// What a socket on this memory is made from.
    pub fn region(&self) -> &xsk_rs::Umem {
        &self.region
    }

    /// The same memory in chunks of a page, for a socket with a registration of its own. An address means the same in it.
    pub fn pages(&self) -> XskMemory {
        XskMemory {
            base: self.base.as_ptr() as usize,
            bytes: self.chunks() * self.chunk_bytes,
            chunk_bytes: PAGE_BYTES as u32,
            unaligned: false,
        }
    }

    /// Takes up to `count` pages of which all chunks are free; the caller owns these. Gives the pages' addresses.
    ///
    /// For a moment nobody else finds a free chunk.
    pub fn take_pages(&self, count: usize) -> Vec<usize> {
        let chunks_of_page = PAGE_BYTES / self.chunk_bytes;
        let page_of = |index: u32| index as usize / chunks_of_page;
        let mut free: Vec<u32> = std::iter::from_fn(|| self.free.pop()).collect();
        free.sort_unstable();
        let mut pages = Vec::with_capacity(count);
        for chunks in free.chunk_by(|a, b| page_of(*a) == page_of(*b)) {
            if pages.len() < count && chunks.len() == chunks_of_page {
                pages.push(page_of(chunks[0]) * PAGE_BYTES);
            } else {
                for &chunk in chunks {
                    self.give_back(chunk as usize);
                }
            }
        }
        pages
    }

    /// The chunks of a page.
    pub fn chunks_of_page(&self, address: usize) -> Range<usize> {
        self.chunk_of(address)..self.chunk_of(address + PAGE_BYTES)
    }

    /// Number of chunks.
    pub fn chunks(&self) -> usize {
        self.descriptors.len()
    }

    /// Chunks that nobody holds.
    pub fn free_chunks(&self) -> usize {
        self.free.len()
    }

    /// The longest frame that fits a chunk.
    pub fn capacity_bytes(&self) -> usize {
        self.chunk_bytes - HEADROOM_BYTES
    }

    /// The chunk that an address lies in.
    pub fn chunk_of(&self, address: usize) -> usize {
        address / self.chunk_bytes
    }

    /// Takes a free chunk; the caller owns it.
    pub fn take(&self) -> Option<FrameDesc> {
        self.free
            .pop()
            .map(|index| self.descriptors[index as usize])
    }

    /// Gives back a chunk that the caller owns and the kernel does not.
    pub fn give_back(&self, chunk: usize) {
        let pushed = self.free.push(chunk as u32);
        debug_assert!(pushed.is_ok(), "chunk {chunk} was given back twice");
    }
}

impl fmt::Debug for Umem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Umem")
            .field("chunks", &self.chunks())
            .field("chunk_bytes", &self.chunk_bytes)
            .field("free_chunks", &self.free_chunks())
            .finish_non_exhaustive()
    }
}

type Registered = (xsk_rs::Umem, Vec<FrameDesc>, Keeper);

/// Maps and registers the memory with a socket in a new network namespace (see [`Keeper`]).
fn register(config: UmemConfig, chunks: NonZeroU32) -> Result<Registered, String> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
        .map_err(|error| format!("cannot make a network namespace: {error}"))?;
    let (region, descriptors) =
        xsk_rs::Umem::new(config, chunks, false).map_err(|error| with_source(&error))?;
    let device: Interface = "lo".parse().map_err(|error| format!("{error}"))?;
    let socket = SocketConfig::builder()
        .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
        .bind_flags(BindFlags::XDP_COPY | BindFlags::XDP_USE_NEED_WAKEUP)
        .build();
    // SAFETY: this is the first socket of the UMEM and loads no program.
    let queues = unsafe { xsk_rs::Socket::new(socket, &region, &device, 0) }
        .map_err(|error| with_source(&error))?;
    close_on_exec(queues.1.fd().as_raw_fd()).map_err(|error| error.to_string())?;
    Ok((region, descriptors, Keeper { _queues: queues }))
}

/// An error and its cause in one line.
pub(crate) fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// A socket that a child process held open would keep its device and its memory.
pub(crate) fn close_on_exec(socket: RawFd) -> io::Result<()> {
    // SAFETY: changes a flag of a descriptor that the caller has open; no memory is involved.
    let result = unsafe { libc::fcntl(socket, libc::F_SETFD, libc::FD_CLOEXEC) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A frame in a chunk of the shared memory. Owns the chunk, and gives it back when dropped.
pub struct AfxdpFrame {
    umem: Arc<Umem>,
    /// From the start of the memory to the frame's first byte.
    address: usize,
    length_bytes: usize,
    stamp: Stamp,
    next_hop: Option<NextHopId>,
    /// False once the chunk has been handed to the kernel.
    owned: bool,
}

impl AfxdpFrame {
    /// A new frame of `length_bytes` with whatever the chunk held; `None` without a free chunk.
    ///
    /// # Panics
    ///
    /// If the length is beyond [`Umem::capacity_bytes`].
    pub(crate) fn new(umem: &Arc<Umem>, length_bytes: usize) -> Option<Self> {
        assert!(
            length_bytes <= umem.capacity_bytes(),
            "{length_bytes} bytes do not fit a chunk"
        );
        let address = umem.take()?.addr();
        Some(Self {
            umem: Arc::clone(umem),
            address,
            length_bytes,
            stamp: Stamp::NONE,
            next_hop: None,
            owned: true,
        })
    }

    /// A frame that the kernel has received into a chunk, with what its metadata say.
    ///
    /// # Safety
    ///
    /// The descriptor is of `umem`, describes what the kernel has written, and its chunk now belongs to the caller.
    pub(crate) unsafe fn received(umem: &Arc<Umem>, descriptor: &FrameDesc) -> Self {
        let mut frame = Self {
            umem: Arc::clone(umem),
            address: descriptor.addr(),
            length_bytes: descriptor.lengths().data(),
            stamp: Stamp::NONE,
            next_hop: None,
            owned: true,
        };
        if let Some(metadata) = frame.take_metadata() {
            frame.stamp = metadata.stamp();
            frame.next_hop = NonZeroU16::new(metadata.next_hop).map(NextHopId);
        }
        frame
    }

    /// Takes the metadata record that lies before the data.
    fn take_metadata(&mut self) -> Option<Metadata> {
        if self.room_bytes() < METADATA_BYTES {
            return None;
        }
        // SAFETY: the chunk is ours, and the bytes before the data are inside it (checked above).
        Metadata::take(unsafe {
            let data = self.umem.base.as_ptr().add(self.address);
            &mut *data.sub(METADATA_BYTES).cast()
        })
    }

    /// Bytes of the chunk before the frame.
    fn room_bytes(&self) -> usize {
        self.address % self.umem.chunk_bytes
    }

    /// Whether the frame lies in this memory, so that its sockets may send it.
    pub(crate) fn is_of(&self, umem: &Arc<Umem>) -> bool {
        Arc::ptr_eq(&self.umem, umem)
    }

    /// The chunk that the frame lies in.
    pub(crate) fn chunk(&self) -> usize {
        self.umem.chunk_of(self.address)
    }

    /// What a transmit ring takes.
    pub(crate) fn descriptor(&self) -> libc::xdp_desc {
        libc::xdp_desc {
            addr: self.address as u64,
            len: self.length_bytes as u32,
            options: 0,
        }
    }

    /// Ends the frame without freeing its chunk, which the kernel now has.
    pub(crate) fn hand_over(mut self) {
        self.owned = false;
    }
}

impl Frame for AfxdpFrame {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the bytes are inside the chunk, which belongs to this frame alone: address and length are what the kernel
        // or `new` gave, or `prepend` has checked. The mapping lives as long as `umem`.
        unsafe {
            let data = self.umem.base.as_ptr().add(self.address);
            std::slice::from_raw_parts(data, self.length_bytes)
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` excludes every other reference to it.
        unsafe {
            let data = self.umem.base.as_ptr().add(self.address);
            std::slice::from_raw_parts_mut(data, self.length_bytes)
        }
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn next_hop(&self) -> Option<NextHopId> {
        self.next_hop
    }

    fn prepend(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.room_bytes();
        if fits {
            self.address -= bytes;
            self.length_bytes += bytes;
        }
        fits
    }
}

impl Drop for AfxdpFrame {
    fn drop(&mut self) {
        if self.owned {
            self.umem.give_back(self.chunk());
        }
    }
}

impl fmt::Debug for AfxdpFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfxdpFrame")
            .field("chunk", &self.chunk())
            .field("length_bytes", &self.length_bytes)
            .field("stamp", &self.stamp)
            .field("next_hop", &self.next_hop)
            .finish_non_exhaustive()
    }
}
