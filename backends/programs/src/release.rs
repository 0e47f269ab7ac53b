//! What the kernel's release says about it.

use std::fmt;

use aya::util::KernelVersion;

use super::ProgramError;

/// The oldest kernel that the programs are made for: it is the first with `bpf_ktime_get_tai_ns`.
pub const OLDEST_KERNEL: (u8, u8) = (6, 1);

/// Since when `tstamp_type` tells the clock of a launch time.
const CLOCKS_NAMED: (u8, u8) = (6, 11);

/// The kernel's release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelRelease(KernelVersion);

impl KernelRelease {
    /// That of the running kernel.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell it, or is older than [`OLDEST_KERNEL`].
    pub fn of_this_machine() -> Result<Self, ProgramError> {
        let release =
            KernelVersion::current().map_err(|error| ProgramError::Kernel(error.to_string()))?;
        Self(release).supported()
    }

    fn supported(self) -> Result<Self, ProgramError> {
        if self.is_at_least(OLDEST_KERNEL) {
            Ok(self)
        } else {
            Err(ProgramError::KernelTooOld {
                release: self.to_string(),
            })
        }
    }

    /// Whether the stamp program learns the clock of a launch time by its name. Older kernels give both clocks the same
    /// name, so there the clock is that whose time now is nearer.
    pub fn names_clocks(self) -> bool {
        self.is_at_least(CLOCKS_NAMED)
    }

    fn is_at_least(self, (major, minor): (u8, u8)) -> bool {
        self.0 >= KernelVersion::new(major, minor, 0)
    }
}

impl fmt::Display for KernelRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.0.code();
        write!(f, "{}.{}.{}", code >> 16, code >> 8 & 0xff, code & 0xff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_kernels_are_refused_by_name() {
        let release = |major, minor| KernelRelease(KernelVersion::new(major, minor, 7));
        let error = release(5, 19).supported().unwrap_err().to_string();
        assert!(error.contains("5.19.7") && error.contains("6.1"), "{error}");
        assert!(release(6, 0).supported().is_err());
        assert!(release(6, 1).supported().is_ok());
        assert!(release(7, 0).supported().is_ok());
        assert!(!release(6, 10).names_clocks());
        assert!(release(6, 11).names_clocks());
    }
}
