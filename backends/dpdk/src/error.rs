//! Why an operation failed, an enum for each kind of operation.

use std::ffi::CStr;
use std::fmt;

use dpdk_sys as sys;

use crate::log;

/// What DPDK says of a failure: the text of its error number, and the errors that it logged meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpdkReason {
    /// A positive `errno`, or one of DPDK's own numbers.
    pub number: i32,
    /// Messages of the operation, oldest first.
    pub logged: Vec<String>,
}

impl DpdkReason {
    /// Runs an operation that fails with its `errno` negated, or with -1 and the number in `rte_errno`.
    pub(crate) fn check(operation: impl FnOnce() -> i32) -> Result<i32, Self> {
        let (result, logged) = log::collect(operation);
        let number = match result {
            0.. => return Ok(result),
            // SAFETY: reads a variable of the calling thread.
            -1 => unsafe { sys::shim_errno() },
            negated => -negated,
        };
        Err(Self { number, logged })
    }

    /// Runs an operation that fails with a null pointer and the number in `rte_errno`.
    pub(crate) fn check_pointer<T>(
        operation: impl FnOnce() -> *mut T,
    ) -> Result<std::ptr::NonNull<T>, Self> {
        let (result, logged) = log::collect(operation);
        std::ptr::NonNull::new(result).ok_or_else(|| Self {
            // SAFETY: reads a variable of the calling thread.
            number: unsafe { sys::shim_errno() },
            logged,
        })
    }
}

impl fmt::Display for DpdkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: `rte_strerror` gives a string of the calling thread or a constant for every number.
        let text = unsafe { CStr::from_ptr(sys::rte_strerror(self.number)) };
        f.write_str(&text.to_string_lossy())?;
        if !self.logged.is_empty() {
            write!(f, " (DPDK says: {})", self.logged.join("; "))?;
        }
        Ok(())
    }
}

/// Why the EAL could not be initialised.
#[derive(Debug, thiserror::Error)]
pub enum EalError {
    /// This process has initialised it, or has tried to.
    #[error(
        "DPDK can be initialised only once in a process, and has been (or has failed to be); start the process anew"
    )]
    Again,
    /// There are too few hugepages of the size asked for.
    #[error(
        "{wanted_mib} MiB in hugepages of {page_kib} KiB are needed, and {free_pages} of them are free; reserve more \
         (echo N > /sys/kernel/mm/hugepages/hugepages-{page_kib}kB/nr_hugepages), or set hugepages to none"
    )]
    Hugepages {
        /// The memory asked for.
        wanted_mib: u32,
        /// Size of a page.
        page_kib: u32,
        /// How many are free.
        free_pages: u64,
    },
    /// An argument cannot be given to the EAL.
    #[error("{name} is {value:?}, which must not contain a zero byte")]
    Argument {
        /// The field of [`EalConfig`](crate::EalConfig).
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// DPDK refused.
    #[error(
        "DPDK's EAL does not start with the arguments {arguments:?}: {reason}; {}",
        advice(reason)
    )]
    Init {
        /// What it was given.
        arguments: Vec<String>,
        /// Why not.
        reason: DpdkReason,
    },
}

fn advice(reason: &DpdkReason) -> &'static str {
    match reason.number {
        libc::EACCES | libc::EPERM => {
            "run as root, or with CAP_IPC_LOCK and access to the hugepages and /dev/vfio"
        }
        libc::ENOMEM => "use fewer frame buffers, reserve more hugepages, or set hugepages to none",
        _ => "check the addresses of the devices, and the hugepages in /proc/meminfo",
    }
}

/// Why a pool of frame buffers could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Frames of that length do not fit.
    #[error("a frame buffer of {frame_bytes} bytes is too long; the limit is {limit_bytes}")]
    FrameTooLong {
        /// The longest frame asked for.
        frame_bytes: u32,
        /// The longest possible.
        limit_bytes: u32,
    },
    /// The name has a zero byte or is longer than DPDK takes.
    #[error("a pool cannot be called {name:?}: at most {limit_bytes} bytes, none of them zero")]
    Name {
        /// The name.
        name: String,
        /// The longest possible.
        limit_bytes: usize,
    },
    /// DPDK refused.
    #[error(
        "DPDK has no memory for {frames} frame buffers of {frame_bytes} bytes: {reason}; use fewer frame buffers, or \
         give it more memory (hugepages that are free, or a larger memory where there are none)"
    )]
    Create {
        /// How many buffers.
        frames: u32,
        /// The longest frame in each.
        frame_bytes: u32,
        /// Why not.
        reason: DpdkReason,
    },
}
