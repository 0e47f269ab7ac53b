//! The machine as the diagnosis sees it: files under a root, and what the kernel answers beside them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tsn_programs::{Device, Ethtool, Pinned};

/// No kernel has more cores (`CONFIG_NR_CPUS`).
const MOST_CPUS: usize = 8_192;

/// Which device is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKey<'a> {
    /// By its name.
    Name(&'a str),
    /// By its index.
    Index(u32),
}

/// The kernel's clock (adjtimex(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockFacts {
    /// Whether somebody steers it.
    pub synchronised: bool,
    /// TAI − UTC in seconds.
    pub tai_utc_offset_s: i32,
    /// The kernel's bound on the clock's error, in microseconds.
    pub max_error_us: i64,
    /// What a read of CLOCK_TAI takes now, in nanoseconds.
    pub read_ns: u64,
}

/// What is no file: the kernel's answers. [`Live`](super::Live) asks the real one.
pub trait Kernel {
    /// Whether an AF_XDP socket can be made.
    ///
    /// # Errors
    ///
    /// The kernel's.
    fn af_xdp(&self) -> io::Result<()>;

    /// The clock.
    fn clock(&self) -> ClockFacts;

    /// A device in a network namespace, or in the caller's.
    ///
    /// # Errors
    ///
    /// When there is no such namespace or device, or it may not be entered.
    fn device(&self, netns: Option<&Path>, key: DeviceKey<'_>) -> io::Result<(Device, Ethtool)>;

    /// What is pinned under a directory.
    ///
    /// # Errors
    ///
    /// When it may not be read.
    fn pinned(&self, pin_dir: &Path) -> io::Result<Pinned>;

    /// The name of a loaded kernel program.
    fn program_name(&self, id: u32) -> Option<String>;

    /// Lets time pass between two looks.
    fn wait(&self, duration: Duration);
}

/// Files under a root, and a kernel.
pub struct Machine {
    root: PathBuf,
    /// What is no file.
    pub kernel: Box<dyn Kernel>,
    denied: RefCell<BTreeSet<String>>,
}

impl Machine {
    /// With `/proc`, `/sys` and `/dev` under `root`.
    pub fn new(root: impl Into<PathBuf>, kernel: Box<dyn Kernel>) -> Self {
        Self {
            root: root.into(),
            kernel,
            denied: RefCell::default(),
        }
    }

    /// A file's bytes. `None` if this kernel does not have it, or if it may not be read, which is remembered.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.noting(path, std::fs::read(self.real(path)))
    }

    /// A file's text without the white space around it.
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = self.bytes(path)?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A file that holds a number.
    pub fn number(&self, path: &str) -> Option<i64> {
        self.text(path)?.parse().ok()
    }

    /// A file that holds a list of cores such as `0-3,8`; empty if there is none.
    pub fn cpus(&self, path: &str) -> Vec<usize> {
        self.text(path)
            .map_or(Vec::new(), |text| self.cpu_list(&text))
    }

    /// Reads a list of cores in the kernel's grammar, up to the last core that is possible here.
    pub fn cpu_list(&self, text: &str) -> Vec<usize> {
        let possible = self.text("/sys/devices/system/cpu/possible");
        let last = possible.and_then(|text| cpu_list(&text, MOST_CPUS - 1).pop());
        cpu_list(text, last.unwrap_or(MOST_CPUS - 1))
    }

    /// The names in a directory; none if there is no such directory.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = self.noting(path, std::fs::read_dir(self.real(path)));
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Whether a file is there.
    pub fn exists(&self, path: &str) -> bool {
        self.real(path).exists()
    }

    /// Whether a file is there, or `None` if that may not be looked at, which is remembered.
    pub fn look_for(&self, path: &str) -> Option<bool> {
        match std::fs::symlink_metadata(self.real(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(false),
            answer => self.noting(path, answer).map(|_| true),
        }
    }

    /// The last part of what a symbolic link leads to, such as the name of a device's driver in sysfs; `None` if there is
    /// no such link.
    pub fn link_target(&self, path: &str) -> Option<String> {
        let target = std::fs::read_link(self.real(path)).ok()?;
        target.file_name()?.to_str().map(str::to_owned)
    }

    /// Whether the mode of a file lets its owner write it; root's rights pass over that, the kernel's own files do not.
    pub fn is_writable(&self, path: &str) -> bool {
        std::fs::metadata(self.real(path))
            .is_ok_and(|found| found.permissions().mode() & 0o200 != 0)
    }

    /// Takes an answer apart; that something may not be looked at is remembered under `what`.
    pub fn noting<T>(&self, what: &str, answer: io::Result<T>) -> Option<T> {
        match answer {
            Ok(value) => Some(value),
            Err(error) => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    self.denied.borrow_mut().insert(what.to_owned());
                }
                None
            }
        }
    }

    /// What could not be looked at so far, for want of rights.
    pub fn denied(&self) -> Vec<String> {
        self.denied.borrow().iter().cloned().collect()
    }

    fn real(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// Reads a list of cores as the kernel does (`bitmap_parselist`): `0-3,8`, `all`, `1-N` with N for the last core, and
/// `0-7:2/4` for two out of every four. What is none is passed over, and so is what lies beyond `last`.
fn cpu_list(text: &str, last: usize) -> Vec<usize> {
    let number = |text: &str| match text.trim() {
        "N" => Some(last),
        digits => digits.parse().ok(),
    };
    let part = |part: &str| {
        let (range, pattern) = match part.trim().split_once(':') {
            Some((range, pattern)) => (range, Some(pattern)),
            None => (part.trim(), None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range.eq_ignore_ascii_case("all") => (0, last),
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(range)?, number(range)?),
        };
        let (used, group): (usize, usize) = match pattern {
            Some(pattern) => {
                let (used, group) = pattern.split_once('/')?;
                (used.parse().ok()?, group.parse().ok()?)
            }
            None => (1, 1),
        };
        (group > 0).then(|| (from..=to.min(last)).filter(move |cpu| (cpu - from) % group < used))
    };
    text.split(',').filter_map(part).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(cpu_list("0-2,8, 10", 15), [0, 1, 2, 8, 10]);
        assert_eq!(cpu_list("", 15), [0; 0]);
        assert_eq!(cpu_list("(null)", 15), [0; 0]);
    }

    #[test]
    fn the_kernels_grammar_is_read_and_bounded_by_the_machine() {
        assert_eq!(cpu_list("all", 3), [0, 1, 2, 3]);
        assert_eq!(cpu_list("1-N", 3), [1, 2, 3]);
        assert_eq!(cpu_list("N", 3), [3]);
        assert_eq!(cpu_list("0-7:2/4", 15), [0, 1, 4, 5]);
        assert_eq!(cpu_list("0-18446744073709551615", 3), [0, 1, 2, 3]);
        assert_eq!(cpu_list("0-7:2/0,9", 3), [0; 0]);
    }
}
