//! One ring of an AF_XDP socket, mapped into this process: what libraries for such sockets have no way to say (another
//! memory, another place in a buffer) can be said by its own descriptors.
//!
//! See <https://docs.kernel.org/networking/af_xdp.html>, "Rings". One side writes descriptors and advances `producer`,
//! the other reads them and advances `consumer`; this process is one of the two, the kernel the other.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// A ring of `T`, which is what the kernel has in it: an address or a descriptor.
pub struct Ring<T> {
    /// `None` where another mapping is used, which is not ours.
    _mapping: Option<Mapping>,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    slots: NonNull<T>,
    mask: u32,
    /// The index of our side.
    own: u32,
    /// What was last read of the kernel's side.
    kernel: u32,
    owned: PhantomData<T>,
}

// SAFETY: the memory belongs to the ring alone, and is reached through `&mut self` or read as atomics.
unsafe impl<T: Send> Send for Ring<T> {}

/// Memory that is unmapped when dropped.
struct Mapping {
    base: NonNull<libc::c_void>,
    bytes: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `Ring::map`, and nothing refers to it any more. It cannot fail then.
        unsafe { libc::munmap(self.base.as_ptr(), self.bytes) };
    }
}

impl<T: Copy> Ring<T> {
    /// Maps a ring of `count` (a power of two) slots that has been made on `socket` and not been used yet. `offsets`
    /// ([`ring_offsets`]) and `page_offset` are the kernel's, for this ring. Before Linux 6.5 the socket must not be bound.
    ///
    /// # Errors
    ///
    /// When the socket has no such ring, or there is no memory.
    ///
    /// # Safety
    ///
    /// The ring at `page_offset` has `count` slots of `T`, as `offsets` says.
    pub unsafe fn map(
        socket: BorrowedFd<'_>,
        count: u32,
        offsets: &libc::xdp_ring_offset,
        page_offset: libc::off_t,
    ) -> io::Result<Self> {
        let mapping_bytes = offsets.desc as usize + count as usize * size_of::<T>();
        // SAFETY: a new mapping, which touches no memory of ours.
        let mapping = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapping_bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                socket.as_raw_fd(),
                page_offset,
            )
        };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(mapping).ok_or_else(|| io::Error::other("mapped at 0"))?;
        // SAFETY: the ring was just mapped there, and is unmapped with `mapping`.
        let ring = unsafe { Self::at(base.cast(), count, offsets) };
        let bytes = mapping_bytes;
        Ok(Self {
            _mapping: Some(Mapping { base, bytes }),
            ..ring
        })
    }

    /// A ring of `count` (a power of two) slots that is mapped at `base`, and has not been used yet.
    ///
    /// # Safety
    ///
    /// The ring has `count` slots of `T`, as `offsets` says; it stays mapped as long as this is in use, and nobody else uses
    /// it.
    pub unsafe fn at(base: NonNull<u8>, count: u32, offsets: &libc::xdp_ring_offset) -> Self {
        // SAFETY: the kernel's offsets lie inside what is mapped, and are aligned for what is there.
        unsafe {
            Self {
                _mapping: None,
                producer: base.add(offsets.producer as usize).cast(),
                consumer: base.add(offsets.consumer as usize).cast(),
                slots: base.add(offsets.desc as usize).cast(),
                mask: count - 1,
                own: 0,
                kernel: 0,
                owned: PhantomData,
            }
        }
    }

    /// Whether the producer may put one in.
    pub fn has_room(&mut self) -> bool {
        if self.own.wrapping_sub(self.kernel) <= self.mask {
            return true;
        }
        self.kernel = load(self.consumer);
        self.own.wrapping_sub(self.kernel) <= self.mask
    }

    /// Puts one in, as the producer. False if the ring is full.
    pub fn push(&mut self, value: T) -> bool {
        if !self.has_room() {
            return false;
        }
        // SAFETY: the slot is inside the mapping, and the kernel does not read it before `producer` has passed it.
        unsafe { self.slots.add((self.own & self.mask) as usize).write(value) };
        self.own = self.own.wrapping_add(1);
        store(self.producer, self.own);
        true
    }

    /// Takes one out, as the consumer.
    pub fn pop(&mut self) -> Option<T> {
        if self.own == self.kernel {
            self.kernel = load(self.producer);
            if self.own == self.kernel {
                return None;
            }
        }
        // SAFETY: the slot is inside the mapping, and the kernel has written it before it advanced `producer`.
        let value = unsafe { self.slots.add((self.own & self.mask) as usize).read() };
        self.own = self.own.wrapping_add(1);
        store(self.consumer, self.own);
        Some(value)
    }

    /// How many are in it.
    pub fn waiting(&self) -> u32 {
        load(self.producer).wrapping_sub(load(self.consumer))
    }
}

/// Where the kernel has laid out the rings of an AF_XDP socket.
///
/// # Errors
///
/// When it is no such socket.
pub fn ring_offsets(socket: BorrowedFd<'_>) -> io::Result<libc::xdp_mmap_offsets> {
    // SAFETY: a record of plain numbers, for which 0 is a value.
    let mut offsets: libc::xdp_mmap_offsets = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&offsets) as libc::socklen_t;
    // SAFETY: passes a pointer to a live record and its size, which the kernel does not exceed.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            libc::XDP_MMAP_OFFSETS,
            (&raw mut offsets).cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(offsets)
}

fn load(index: NonNull<AtomicU32>) -> u32 {
    // SAFETY: an index of a mapped ring, which is only ever accessed as an atomic.
    unsafe { index.as_ref() }.load(Ordering::Acquire)
}

fn store(index: NonNull<AtomicU32>, value: u32) {
    // SAFETY: as in `load`.
    unsafe { index.as_ref() }.store(value, Ordering::Release);
}
