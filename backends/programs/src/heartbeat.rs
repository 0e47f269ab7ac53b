//! The worker's sign of life: a map that lies in the daemon's memory as well as in the kernel programs'.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::time::{ClockId, clock_gettime};
use tsn_common::{Beat, MAX_WORKERS};
use tsn_port::Heartbeat;

/// The worker whose sign of life guards every pod.
pub const WORKER: u32 = 0;

const MAPPED_BYTES: NonZeroUsize =
    NonZeroUsize::new(MAX_WORKERS as usize * size_of::<Beat>()).unwrap();

/// The heartbeat map in memory.
pub struct Mapping(NonNull<Beat>);

// SAFETY: the memory is shared with the kernel anyway; it is only accessed through atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the heartbeat map.
    pub fn new(map: impl AsFd) -> io::Result<Self> {
        // SAFETY: a new shared mapping of the whole map, at an address that the kernel chooses.
        let memory = unsafe {
            mmap(
                None,
                MAPPED_BYTES,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                map,
                0,
            )
        }?;
        Ok(Self(memory.cast()))
    }

    /// How old a sign of life may be; zero diverts everything to the kernel path.
    pub fn set_timeout(&self, timeout: Duration) {
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        // SAFETY: `self.0` points to the first of `MAX_WORKERS` records, of which `WORKER` is one.
        let timeout = unsafe { &raw mut (*self.0.as_ptr().add(WORKER as usize)).timeout_ns };
        // SAFETY: aligned, mapped as long as `self` lives, only accessed through atomics.
        unsafe { AtomicU64::from_ptr(timeout) }.store(timeout_ns, Ordering::Release);
    }

    fn beat(&self, now_ns: u64) {
        // SAFETY: as in `set_timeout`.
        let at = unsafe { &raw mut (*self.0.as_ptr().add(WORKER as usize)).at_ns };
        // SAFETY: as in `set_timeout`.
        unsafe { AtomicU64::from_ptr(at) }.store(now_ns, Ordering::Release);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length, and nothing borrows from it.
        let _ = unsafe { munmap(self.0.cast(), MAPPED_BYTES.get()) };
    }
}

/// Gives the worker's sign of life.
pub struct WorkerHeartbeat(pub Arc<Mapping>);

impl Heartbeat for WorkerHeartbeat {
    fn beat(&self) {
        // The clock of the kernel programs' `bpf_ktime_get_ns`. It cannot fail: the kernel always has this clock.
        if let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) {
            self.0
                .beat(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64);
        }
    }
}
