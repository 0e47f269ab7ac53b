//! Which of a mempool's mbufs the kernel has.

use std::ptr::NonNull;

use dpdk_sys::rte_mbuf;

use super::area::Area;
use crate::{DpdkFrame, Mempool};

/// Buffers of a mempool begin at multiples of a cache line.
const GRANULE_BYTES: usize = 64;

/// The mbufs in a socket's rings, which know them by the offset of their buffer in the UMEM. Frees them when dropped,
/// which must be after the socket was closed.
pub(super) struct HeldMbufs {
    pool: Mempool,
    base: usize,
    places: Places,
}

impl HeldMbufs {
    /// None yet.
    pub fn new(pool: Mempool, area: Area) -> Self {
        let stride_bytes = pool.layout().chunk_bytes as usize;
        Self {
            pool,
            base: area.base,
            places: Places::new(area.bytes, stride_bytes),
        }
    }

    /// Notes an mbuf that the kernel is about to get; the offset of its buffer.
    pub fn insert(&mut self, mbuf: NonNull<rte_mbuf>) -> u64 {
        let offset = self.pool.buffer_of(mbuf).as_ptr() as usize - self.base;
        self.places.insert(offset);
        offset as u64
    }

    /// The mbuf whose buffer comes back from the kernel; `None` if it does not have it.
    pub fn take(&mut self, offset: u64) -> Option<NonNull<rte_mbuf>> {
        let offset = offset as usize;
        self.places
            .remove(offset)
            // SAFETY: only offsets of buffers of this pool are noted.
            .then(|| unsafe { mbuf_at(self.pool, self.base + offset) })
    }
}

impl Drop for HeldMbufs {
    fn drop(&mut self) {
        for offset in self.places.take_all() {
            // SAFETY: as in `take`; the mbuf is ours, and nobody else uses it any more.
            unsafe {
                let mbuf = mbuf_at(self.pool, self.base + offset);
                drop(DpdkFrame::place(mbuf, &self.pool, 0, 0));
            }
        }
    }
}

/// # Safety
///
/// A buffer of this pool begins at `address`.
unsafe fn mbuf_at(pool: Mempool, address: usize) -> NonNull<rte_mbuf> {
    // SAFETY: by the caller; a buffer is not at 0.
    unsafe { pool.mbuf_of(NonNull::new_unchecked(address as *mut u8)) }
}

/// A set of offsets of buffers.
///
/// Buffers lie at least `stride_bytes` apart, so an offset divided by that tells each from every other.
struct Places {
    /// For each place where a buffer may begin: 0, or its offset in granules and 1.
    places: Box<[u32]>,
    stride_bytes: usize,
}

impl Places {
    fn new(area_bytes: usize, stride_bytes: usize) -> Self {
        Self {
            places: vec![0; area_bytes / stride_bytes + 1].into_boxed_slice(),
            stride_bytes,
        }
    }

    fn insert(&mut self, offset: usize) {
        debug_assert_eq!(offset % GRANULE_BYTES, 0, "a buffer begins on a cache line");
        let place = &mut self.places[offset / self.stride_bytes];
        debug_assert_eq!(*place, 0, "the buffer at {offset} is in a ring twice");
        *place = (offset / GRANULE_BYTES) as u32 + 1;
    }

    /// Whether it was there.
    fn remove(&mut self, offset: usize) -> bool {
        match self.places.get_mut(offset / self.stride_bytes) {
            Some(place) if *place == (offset / GRANULE_BYTES) as u32 + 1 => {
                *place = 0;
                true
            }
            _ => false,
        }
    }

    /// Empties it.
    fn take_all(&mut self) -> impl Iterator<Item = usize> {
        let held = self.places.iter_mut().filter(|place| **place != 0);
        held.map(|place| (std::mem::take(place) as usize - 1) * GRANULE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_held_until_it_comes_back() {
        let mut held = Places::new(1 << 20, 2_432);
        // The second begins later than its stride, as behind a gap.
        for offset in [128, 128 + 2_432 + 64, 128 + 3 * 2_432] {
            held.insert(offset);
        }
        assert!(held.remove(128 + 2_432 + 64));
        assert!(!held.remove(128 + 2_432 + 64));
        assert!(!held.remove(192), "another offset of a place in use");
        assert!(!held.remove(1 << 21), "beyond the area");
        assert_eq!(held.take_all().collect::<Vec<_>>(), [128, 128 + 3 * 2_432]);
        assert_eq!(held.take_all().count(), 0);
    }
}
