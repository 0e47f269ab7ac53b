//! What outlives containerd: shims and containers, their mounts and control groups.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    mount::{MntFlags, umount2},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{scratch, wait::wait_until};

const BOUND: Duration = Duration::from_secs(20);

const CGROUPS: &str = "/sys/fs/cgroup";

/// Ends what runs have left whose process is dead.
pub fn sweep() {
    for cgroup in cgroups() {
        let name = cgroup.file_name().unwrap_or_default().to_string_lossy();
        if scratch::owner_is_dead(&name) {
            end(&name);
        }
    }
}

/// Ends every process that has the marker in its command line or its control group, and removes mounts and control
/// groups that have it in their paths.
pub fn end(marker: &str) {
    let gone = wait_until("pods to be gone", BOUND, || {
        let left = processes(marker);
        for process in &left {
            let _ = kill(*process, Signal::SIGKILL);
        }
        left.is_empty()
    });
    if let Err(error) = gone {
        eprintln!("{error:#}");
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let paths = mounts
        .lines()
        .rev()
        .filter_map(|line| line.split(' ').nth(1));
    for path in paths.filter(|path| path.contains(marker)) {
        let _ = umount2(path, MntFlags::MNT_DETACH);
    }
    for cgroup in cgroups().iter().filter(|cgroup| cgroup.ends_with(marker)) {
        remove_cgroup(cgroup);
    }
}

fn processes(marker: &str) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id: &i32| {
        let has = |file: &str| {
            let text = fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(marker)
        };
        let is_alive = fs::read_link(format!("/proc/{id}/exe")).is_ok();
        is_alive && (has("cgroup") || has("cmdline"))
    })
    .map(Pid::from_raw)
    .collect()
}

/// The topmost control groups of all hierarchies: one of version 2, or one for each controller.
fn cgroups() -> Vec<PathBuf> {
    let children = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect::<Vec<_>>()
    };
    let hierarchies = children(Path::new(CGROUPS));
    let below = hierarchies.iter().flat_map(|hierarchy| children(hierarchy));
    let all = below.chain(hierarchies.clone());
    all.collect()
}

fn remove_cgroup(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
}
