//! What is built depends on whether DPDK is installed: a program over it builds only against its library.

use std::process::Command;

use anyhow::{Result, bail};
use tsn_tests::backend::Backend;

/// Whether `pkg-config` finds DPDK.
pub fn is_installed() -> bool {
    let found = Command::new("pkg-config")
        .args(["--exists", "libdpdk"])
        .status();
    found.is_ok_and(|status| status.success())
}

/// For cargo: the features of the daemon.
pub fn features() -> &'static [&'static str] {
    if is_installed() {
        &["--features", "tsn-userspace/dpdk"]
    } else {
        &[]
    }
}

/// For cargo: all packages that can be built here for this machine, with the features of the daemon.
pub fn workspace() -> Vec<&'static str> {
    let mut arguments = vec!["--workspace", "--exclude", "tsn-ebpf"];
    arguments.extend(features());
    if !is_installed() {
        arguments.extend(["--exclude", "tsn-dpdk", "--exclude", "dpdk-sys"]);
    }
    arguments
}

/// The backends that a daemon has which is built here.
pub fn backends() -> Vec<Backend> {
    let mut backends = Backend::ALL.to_vec();
    backends.retain(|backend| check_is_built(*backend).is_ok());
    backends
}

/// Ends a task that needs a backend where it is not built.
///
/// # Errors
///
/// When DPDK is wanted and not installed.
pub fn check_is_built(backend: Backend) -> Result<()> {
    if backend == Backend::Dpdk && !is_installed() {
        bail!("pkg-config does not find libdpdk; install it (`cargo xtask setup` tells how)");
    }
    Ok(())
}
