//! The frame buffers of a worker.

use std::ffi::{CStr, CString};
use std::ops::Range;
use std::ptr::NonNull;

use dpdk_sys as sys;
use sys::{rte_mbuf, rte_mempool};

use crate::{DpdkFrame, DpdkReason, Eal, PoolError};

/// Free buffers that a thread that is known to DPDK (`rte_thread_register`) keeps for itself.
const CACHED_BUFFERS: u32 = 256;

/// How threads share the pool: one that loses its processor amidst an operation does not keep the others waiting, as with
/// DPDK's ordinary ring the control plane would keep the worker.
const OPERATIONS: &CStr = c"ring_mt_rts";

/// Bytes of a pool's name that DPDK takes (`RTE_MEMPOOL_NAMESIZE`, less its prefix).
const NAME_BYTES: usize = 25;

/// Bytes in front of a received frame (`RTE_PKTMBUF_HEADROOM`).
pub(crate) const HEADROOM_BYTES: u32 = sys::RTE_PKTMBUF_HEADROOM;

/// What a pool consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Its name among the pools of the process.
    pub name: String,
    /// Number of buffers.
    pub frames: u32,
    /// The longest frame that a buffer holds, without FCS.
    pub frame_bytes: u32,
    /// NUMA node of the memory; `None`: any.
    pub numa_node: Option<u32>,
}

/// How the memory of a pool is cut. Chunks lie side by side; each begins with a header, which the mbuf and then the
/// buffer follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLayout {
    /// Bytes from one chunk to the next.
    pub chunk_bytes: u32,
    /// From the start of a chunk to its mbuf.
    pub mbuf_offset: u32,
    /// From the mbuf to the start of its buffer.
    pub buffer_offset: u32,
    /// Bytes of the buffer, headroom included.
    pub buffer_bytes: u32,
}

/// A pool of frame buffers (mbufs with their data). It lives as long as the process, as DPDK itself does, so a frame
/// may outlast every port.
#[derive(Debug, Clone, Copy)]
pub struct Mempool {
    pool: NonNull<rte_mempool>,
    frames: u32,
    numa_node: Option<u32>,
    layout: PoolLayout,
    memory: (usize, usize),
}

// SAFETY: DPDK's pools are made for use by several threads ([`OPERATIONS`]); the rest are constants.
unsafe impl Send for Mempool {}
// SAFETY: as above.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// Makes a pool.
    ///
    /// # Errors
    ///
    /// When DPDK has too little memory left, when the name is taken, or when a length is out of range.
    pub fn new(_eal: Eal, config: &PoolConfig) -> Result<Self, PoolError> {
        let buffer_bytes = config
            .frame_bytes
            .checked_add(HEADROOM_BYTES)
            .and_then(|bytes| u16::try_from(bytes).ok())
            .ok_or(PoolError::FrameTooLong {
                frame_bytes: config.frame_bytes,
                limit_bytes: u32::from(u16::MAX) - HEADROOM_BYTES,
            })?;
        let name_error = || PoolError::Name {
            name: config.name.clone(),
            limit_bytes: NAME_BYTES,
        };
        if config.name.len() > NAME_BYTES {
            return Err(name_error());
        }
        let name = CString::new(config.name.as_str()).map_err(|_| name_error())?;
        let numa_node = config.numa_node.map_or(-1, |node| node as i32);
        let cached = CACHED_BUFFERS.min(config.frames / 4);
        let pool = DpdkReason::check_pointer(|| {
            // SAFETY: the EAL is initialised, and the name lives throughout the call.
            unsafe {
                let name = name.as_ptr();
                sys::rte_pktmbuf_pool_create_by_ops(
                    name,
                    config.frames,
                    cached,
                    0,
                    buffer_bytes,
                    numa_node,
                    OPERATIONS.as_ptr(),
                )
            }
        })
        .map_err(|reason| PoolError::Create {
            frames: config.frames,
            frame_bytes: config.frame_bytes,
            reason,
        })?;
        let mut layout = sys::shim_layout::default();
        let (mut start, mut end, mut used) = (0, 0, 0);
        // SAFETY: the pool was just made; the rest are places for the results.
        unsafe {
            sys::shim_pool_layout(pool.as_ptr(), &raw mut layout);
            sys::shim_pool_range(pool.as_ptr(), &raw mut start, &raw mut end, &raw mut used);
        }
        let gap_bytes = end - start - used;
        if gap_bytes > 0 {
            // SAFETY: no buffer of it has been given away.
            unsafe { sys::rte_mempool_free(pool.as_ptr()) };
            return Err(PoolError::Scattered {
                frames: config.frames,
                gap_bytes,
            });
        }
        Ok(Self {
            pool,
            frames: config.frames,
            numa_node: config.numa_node,
            layout: PoolLayout {
                chunk_bytes: layout.header + layout.object + layout.trailer,
                mbuf_offset: layout.header,
                buffer_offset: layout.buffer_offset,
                buffer_bytes: layout.buffer,
            },
            memory: (start, end),
        })
    }

    /// Number of buffers.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Buffers that neither a frame nor a device holds. Looks at the caches of all threads.
    pub fn free_frames(&self) -> u32 {
        // SAFETY: the pool lives for ever.
        unsafe { sys::rte_mempool_avail_count(self.pool.as_ptr()) }
    }

    /// Buffers that a frame or a device holds.
    pub fn frames_in_use(&self) -> u32 {
        self.frames.saturating_sub(self.free_frames())
    }

    /// The NUMA node that its memory was asked for on.
    pub fn numa_node(&self) -> Option<u32> {
        self.numa_node
    }

    /// The longest frame that a buffer holds.
    pub fn frame_bytes(&self) -> u32 {
        self.layout.buffer_bytes - HEADROOM_BYTES
    }

    /// How the memory is cut.
    pub fn layout(&self) -> PoolLayout {
        self.layout
    }

    /// The addresses that all chunks lie in. It is one mapping of this process, without a gap.
    pub fn memory(&self) -> Range<usize> {
        self.memory.0..self.memory.1
    }

    /// A free buffer as a frame of `length_bytes` with unspecified content; `None` when none is free or it is too long.
    pub fn allocate(&self, length_bytes: usize) -> Option<DpdkFrame> {
        let length = u16::try_from(length_bytes)
            .ok()
            .filter(|&length| u32::from(length) <= self.frame_bytes())?;
        let mbuf = self.take()?;
        // SAFETY: the mbuf was just taken from this pool, and the length fits its buffer behind the headroom.
        Some(unsafe { DpdkFrame::place(mbuf, self, HEADROOM_BYTES as u16, length) })
    }

    /// Takes a free mbuf, empty; the caller owns it.
    pub(crate) fn take(&self) -> Option<NonNull<rte_mbuf>> {
        // SAFETY: the pool lives for ever.
        NonNull::new(unsafe { sys::shim_mbuf_alloc(self.pool.as_ptr()) })
    }

    /// Where the buffer of one of the pool's mbufs begins.
    pub(crate) fn buffer_of(&self, mbuf: NonNull<rte_mbuf>) -> NonNull<u8> {
        // SAFETY: the offset is within the chunk.
        unsafe { mbuf.cast::<u8>().add(self.layout.buffer_offset as usize) }
    }

    /// The mbuf whose buffer begins there.
    ///
    /// # Safety
    ///
    /// `buffer` came from [`buffer_of`](Self::buffer_of) of this pool.
    pub(crate) unsafe fn mbuf_of(&self, buffer: NonNull<u8>) -> NonNull<rte_mbuf> {
        // SAFETY: the inverse of `buffer_of`.
        unsafe { buffer.sub(self.layout.buffer_offset as usize).cast() }
    }

    pub(crate) fn as_ptr(&self) -> *mut rte_mempool {
        self.pool.as_ptr()
    }
}
