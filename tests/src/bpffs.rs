//! A BPF file system of our own, so that runs at the same time do not meet in `/sys/fs/bpf`.

use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use crate::scratch;

/// A mounted bpffs; everything pinned in it goes when it is dropped.
#[derive(Debug)]
pub struct Bpffs {
    directory: TempDir,
}

impl Bpffs {
    /// Mounts a new one.
    ///
    /// # Errors
    ///
    /// When the kernel has no bpffs or the caller is not root.
    pub fn mount() -> Result<Self> {
        scratch::sweep();
        let directory = scratch::directory("bpf")?;
        mount(
            Some("bpf"),
            directory.path(),
            Some("bpf"),
            MsFlags::empty(),
            None::<&str>,
        )
        .with_context(|| format!("mount a bpffs on {}", directory.path().display()))?;
        Ok(Self { directory })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        // Lazily: a daemon that is just being killed may still hold it.
        if let Err(error) = umount2(self.directory.path(), MntFlags::MNT_DETACH) {
            eprintln!(
                "cannot unmount {}: {error}",
                self.directory.path().display()
            );
        }
    }
}
