//! The programs as they are shipped.

use std::fs;

use anyhow::{Context, Result, ensure};
use tsn_tests::clients::binary;

use crate::{
    dpdk, ebpf, setup,
    step::{cargo, run as run_command, step},
};

/// A runtime starts the plugin several times for each pod that comes or goes: it is to stay small.
const PLUGIN_MAX_BYTES: u64 = 2_000_000;

/// For cargo: the packages of the programs, with the features of the daemon. Their benchmarks are built with the same, else
/// what they depend on, and the programs beside them, would be built twice.
pub fn selection() -> Vec<&'static str> {
    let packages = ["tsn-userspace", "tsn-cni", "tsn-perf", "tsn-core"];
    let packages = packages.into_iter().flat_map(|name| ["--package", name]);
    packages.chain(dpdk::features().iter().copied()).collect()
}

/// Sets up what the build needs and builds kernel programs, then daemon, CNI plugin and tools with the release profile.
/// The daemon has the DPDK backend if DPDK is installed.
///
/// # Errors
///
/// At the first step that fails, also when the plugin has grown too large.
pub fn run() -> Result<()> {
    step("setup", setup::run)?;
    step("kernel programs", ebpf::run)?;
    step("programs (release)", || {
        run_command(cargo(&["build", "--release", "--bins"]).args(selection()))
    })?;
    step("size of the CNI plugin", || {
        let plugin = binary("tsn-cni")?;
        let metadata = fs::metadata(&plugin).with_context(|| plugin.display().to_string())?;
        ensure!(
            metadata.len() < PLUGIN_MAX_BYTES,
            "{} has {} bytes, must have less than {PLUGIN_MAX_BYTES}: what did it learn to need?",
            plugin.display(),
            metadata.len()
        );
        Ok(())
    })
}
