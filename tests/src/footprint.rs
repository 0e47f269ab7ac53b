//! What a daemon holds: memory, descriptors, pins.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::daemon::{Daemon, Home};

/// What a daemon holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Resident memory in KiB.
    pub resident_kib: u64,
    /// Open descriptors; each program, map and link that it holds in the kernel is one.
    pub descriptors: u64,
    /// Files and links under its pin directory; each program and map that outlives it is held by one.
    pub pins: u64,
}

impl Footprint {
    /// Looks at a running daemon.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn of(daemon: &Daemon, home: &Home) -> Result<Self> {
        let process = format!("/proc/{}", daemon.process.id());
        let status = fs::read_to_string(format!("{process}/status")).context("read its status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
        Ok(Self {
            resident_kib: resident.context("no VmRSS in its status")?,
            descriptors: fs::read_dir(format!("{process}/fd"))?.count() as u64,
            pins: count(&home.pin_directory())?,
        })
    }
}

fn count(directory: &Path) -> Result<u64> {
    let mut files = 0;
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() {
            count(&entry.path())?
        } else {
            1
        };
    }
    Ok(files)
}
