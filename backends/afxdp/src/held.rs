//! Which chunks of the memory a socket's rings have.

use std::sync::Arc;

use crate::umem::Umem;

/// The chunks in a socket's rings: one bit each. Frees them when dropped, which must be after the socket was closed.
pub(crate) struct HeldChunks {
    umem: Arc<Umem>,
    bits: Box<[u64]>,
}

impl HeldChunks {
    /// None yet.
    pub fn new(umem: &Arc<Umem>) -> Self {
        Self {
            umem: Arc::clone(umem),
            bits: vec![0; umem.chunks().div_ceil(64)].into_boxed_slice(),
        }
    }

    /// Notes a chunk that goes into a ring.
    pub fn insert(&mut self, chunk: usize) {
        debug_assert!(
            self.bits[chunk / 64] & (1 << (chunk % 64)) == 0,
            "chunk {chunk} is in a ring twice"
        );
        self.bits[chunk / 64] |= 1 << (chunk % 64);
    }

    /// A chunk that has come back.
    pub fn remove(&mut self, chunk: usize) {
        debug_assert!(
            self.bits[chunk / 64] & (1 << (chunk % 64)) != 0,
            "chunk {chunk} was not in a ring"
        );
        self.bits[chunk / 64] &= !(1 << (chunk % 64));
    }

    /// Never frees those that are noted now, since somebody may go on writing into them.
    pub fn abandon(&mut self) {
        self.bits.fill(0);
    }
}

impl Drop for HeldChunks {
    fn drop(&mut self) {
        for chunk in 0..self.umem.chunks() {
            if self.bits[chunk / 64] & (1 << (chunk % 64)) != 0 {
                self.umem.give_back(chunk);
            }
        }
    }
}
