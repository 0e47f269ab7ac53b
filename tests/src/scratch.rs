//! Names that no other run has, directories that vanish, and the sweep of what killed runs left.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, umount2};
use tempfile::TempDir;

/// Every name of ours is `tsnt-<pid>-…`.
const PREFIX: &str = "tsnt-";

const NAMESPACES: &str = "/run/netns";

/// A name that no other run and no other call has, ending in `label`.
pub fn unique_name(label: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    let random = RandomState::new().build_hasher().finish() as u16;
    format!(
        "{PREFIX}{}-{counter}{random:04x}-{label}",
        std::process::id()
    )
}

/// A directory in the system's temporary directory, removed when dropped.
///
/// # Errors
///
/// When it cannot be created.
pub fn directory(label: &str) -> Result<TempDir> {
    let name = unique_name(label);
    tempfile::Builder::new()
        .prefix(&name)
        .tempdir()
        .with_context(|| format!("create {name} in the temporary directory"))
}

/// Removes namespaces, mounts and directories of runs whose process is dead; done once in a process.
pub(crate) fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for namespace in leftovers(Path::new(NAMESPACES)) {
            let _ = umount2(&namespace, MntFlags::MNT_DETACH);
            let _ = fs::remove_file(&namespace);
        }
        for directory in leftovers(&std::env::temp_dir()) {
            while umount2(&directory, MntFlags::MNT_DETACH).is_ok() {}
            for inner in fs::read_dir(&directory).into_iter().flatten().flatten() {
                while umount2(&inner.path(), MntFlags::MNT_DETACH).is_ok() {}
            }
            let _ = fs::remove_dir_all(&directory);
        }
    });
}

/// Entries of a directory that carry our prefix and the pid of a process that is no more.
fn leftovers(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| owner_is_dead(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

/// Whether a name is that of a run whose process is dead.
pub(crate) fn owner_is_dead(name: &str) -> bool {
    let Some((pid, _)) = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'))
    else {
        return false;
    };
    pid.parse::<u32>()
        .is_ok_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_runs_are_leftovers() {
        assert!(!owner_is_dead(&unique_name("near")));
        assert!(!owner_is_dead("tsnt-none-1-near"));
        assert!(!owner_is_dead("other"));
        // Larger than any pid that the kernel gives.
        assert!(owner_is_dead("tsnt-4194999-1-near"));
    }

    #[test]
    fn names_are_unique() {
        assert_ne!(unique_name("a"), unique_name("a"));
    }
}
