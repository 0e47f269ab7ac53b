//! The guest's files: the host's, read-only, below a layer in memory that takes all that is written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use nix::{
    mount::{MsFlags, mount},
    unistd::{chdir, chroot},
};
use tsn_vm_init::{OUTPUT, OUTPUT_TAG, ROOT_TAG};

const NEW_ROOT: &str = "/new";
/// Where the host's directories are kept while their places are covered.
const KEPT: &str = "/kept";

/// Mounts what the initramfs itself needs.
pub fn mount_own() -> Result<()> {
    mount_at("proc", "/proc", "proc", "")?;
    mount_at("devtmpfs", "/dev", "devtmpfs", "")
}

/// Makes the host's root ours, with file systems of the guest's own kernel where they belong.
pub fn enter_root(visible: &[PathBuf]) -> Result<()> {
    let host = "trans=virtio,version=9p2000.L,msize=512000,cache=loose";
    mount_flags(ROOT_TAG, "/host", "9p", MsFlags::MS_RDONLY, host)?;
    mount_at("memory", "/written", "tmpfs", "")?;
    fs::create_dir("/written/upper")?;
    fs::create_dir("/written/work")?;
    let layers = "lowerdir=/host,upperdir=/written/upper,workdir=/written/work";
    mount_at("overlay", NEW_ROOT, "overlay", layers)?;

    let kept: Vec<_> = (0..visible.len())
        .map(|index| Path::new(KEPT).join(index.to_string()))
        .collect();
    for (directory, kept) in visible.iter().zip(&kept) {
        rebind(&inside(directory)?, kept, MsFlags::MS_BIND)?;
    }
    for (kind, place) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("bpf", "/sys/fs/bpf"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("debugfs", "/sys/kernel/debug"),
        ("tracefs", "/sys/kernel/tracing"),
        ("devtmpfs", "/dev"),
        ("devpts", "/dev/pts"),
        ("tmpfs", "/dev/shm"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
    ] {
        mount_at(kind, &format!("{NEW_ROOT}{place}"), kind, "")?;
    }
    for (directory, kept) in visible.iter().zip(&kept) {
        rebind(kept, &inside(directory)?, MsFlags::MS_MOVE)?;
    }
    // Uncached, since the host and a second guest write there too.
    let shared = "trans=virtio,version=9p2000.L,msize=512000,cache=none";
    mount_at(OUTPUT_TAG, &format!("{NEW_ROOT}{OUTPUT}"), "9p", shared)?;
    chroot(NEW_ROOT).context("change the root")?;
    chdir("/").context("change to the root")
}

/// Reserves hugepages, all of them or none, and mounts their file system.
pub fn reserve_hugepages(count: u32) -> Result<()> {
    let file = "/proc/sys/vm/nr_hugepages";
    fs::write(file, count.to_string()).with_context(|| format!("write {file}"))?;
    let reserved = fs::read_to_string(file)?;
    let reserved = reserved.trim();
    ensure!(
        reserved == count.to_string(),
        "reserve {count} hugepages: the kernel has {reserved}; give the guest more memory"
    );
    mount_at("hugetlbfs", "/dev/hugepages", "hugetlbfs", "")
}

fn inside(directory: &Path) -> Result<PathBuf> {
    let relative = directory
        .strip_prefix("/")
        .with_context(|| format!("{} is not absolute", directory.display()))?;
    Ok(Path::new(NEW_ROOT).join(relative))
}

fn rebind(from: &Path, to: &Path, how: MsFlags) -> Result<()> {
    let what = || format!("mount {} at {}", from.display(), to.display());
    fs::create_dir_all(to).with_context(what)?;
    mount(Some(from), to, None::<&str>, how, None::<&str>).with_context(what)
}

fn mount_at(source: &str, place: &str, kind: &str, options: &str) -> Result<()> {
    mount_flags(source, place, kind, MsFlags::empty(), options)
}

fn mount_flags(source: &str, place: &str, kind: &str, flags: MsFlags, options: &str) -> Result<()> {
    let what = || format!("mount {kind} at {place}");
    fs::create_dir_all(place).with_context(what)?;
    mount(Some(source), place, Some(kind), flags, Some(options)).with_context(what)
}
