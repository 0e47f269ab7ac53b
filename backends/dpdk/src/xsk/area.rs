//! The part of a mempool's memory that AF_XDP sockets are registered with.

use tsn_programs::XskMemory;

use crate::Mempool;

/// The kernel writes a received frame so far into a buffer (`XDP_PACKET_HEADROOM`).
const HEADROOM_BYTES: usize = 256;
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

    /// As sockets are registered with it. A mempool's buffers lie at distances of their own.
    pub fn memory(&self) -> XskMemory {
        XskMemory {
            base: self.base,
            bytes: self.bytes,
            chunk_bytes: self.buffer_bytes,
            unaligned: true,
        }
    }
}
