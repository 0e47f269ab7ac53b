//! The machine as the diagnosis sees it: files under a root, and what the kernel answers beside them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tsn_afxdp::{Device, Pinned};

use crate::ethtool::Ethtool;

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
        self.text(path).map_or(Vec::new(), |text| cpu_list(&text))
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

/// Reads a list such as `0-3,8`; what is no number is passed over.
pub fn cpu_list(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(cpu_list("0-2,8, 10"), [0, 1, 2, 8, 10]);
        assert_eq!(cpu_list(""), [0; 0]);
        assert_eq!(cpu_list("(null)"), [0; 0]);
    }
}
