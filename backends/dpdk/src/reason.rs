//! What DPDK says of a failure.

use std::ffi::CStr;
use std::fmt;
use std::ptr::NonNull;

use dpdk_sys as sys;

use crate::log;

/// What DPDK says of a failure: the text of its error number, and the errors that it logged meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpdkReason {
    /// A positive `errno`, or one of DPDK's own numbers; 0 if it gives none.
    pub number: i32,
    /// Messages of the operation, oldest first.
    pub logged: Vec<String>,
}

impl DpdkReason {
    /// Runs an operation that fails with its `errno` negated, or with -1 and the number in `rte_errno`.
    pub(crate) fn check(operation: impl FnOnce() -> i32) -> Result<i32, Self> {
        let (result, complaints) = Self::check_noting(operation)?;
        log::tell_all(&complaints);
        Ok(result)
    }

    /// As [`check`](Self::check), and gives the errors that an operation logged though it did not fail.
    pub(crate) fn check_noting(
        operation: impl FnOnce() -> i32,
    ) -> Result<(i32, Vec<String>), Self> {
        let (result, logged) = log::collect(|| with_own_number(operation));
        let number = match result {
            0.. => return Ok((result, logged)),
            // SAFETY: reads a variable of the calling thread.
            -1 => unsafe { sys::shim_errno() },
            negated => -negated,
        };
        Err(Self { number, logged })
    }

    /// Runs an operation that fails with a null pointer and the number in `rte_errno`.
    pub(crate) fn check_pointer<T>(operation: impl FnOnce() -> *mut T) -> Result<NonNull<T>, Self> {
        let (result, logged) = log::collect(|| with_own_number(operation));
        match NonNull::new(result) {
            Some(pointer) => {
                log::tell_all(&logged);
                Ok(pointer)
            }
            None => Err(Self {
                // SAFETY: reads a variable of the calling thread.
                number: unsafe { sys::shim_errno() },
                logged,
            }),
        }
    }
}

/// Runs an operation after which the error number is its own, and not that of an earlier one.
fn with_own_number<R>(operation: impl FnOnce() -> R) -> R {
    // SAFETY: writes a variable of the calling thread.
    unsafe { sys::shim_clear_errno() };
    operation()
}

impl fmt::Display for DpdkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.number == 0 {
            f.write_str("it gives no error number")?;
            return self.write_logged(f);
        }
        // SAFETY: `rte_strerror` gives a string of the calling thread or a constant for every number.
        let text = unsafe { CStr::from_ptr(sys::rte_strerror(self.number)) };
        f.write_str(&text.to_string_lossy())?;
        self.write_logged(f)
    }
}

impl DpdkReason {
    fn write_logged(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.logged.is_empty() {
            return Ok(());
        }
        write!(f, " (DPDK says: {})", self.logged.join("; "))
    }
}
