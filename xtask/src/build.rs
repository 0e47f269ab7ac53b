//! The programs as they are shipped.

use anyhow::Result;

use crate::{
    dpdk, ebpf, setup,
    step::{cargo, run as run_command, step},
};

/// Sets up what the build needs and builds kernel programs, then daemon, CNI plugin and tools with the release profile.
/// The daemon has the DPDK backend if DPDK is installed.
///
/// # Errors
///
/// At the first step that fails.
pub fn run() -> Result<()> {
    step("setup", setup::run)?;
    step("kernel programs", ebpf::run)?;
    step("programs (release)", || {
        let mut command = cargo(&["build", "--release", "--bins"]);
        for package in ["tsn-userspace", "tsn-cni", "tsn-perf"] {
            command.args(["--package", package]);
        }
        run_command(command.args(dpdk::features()))
    })
}
