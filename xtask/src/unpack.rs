//! Debian packages that are unpacked below `target/tools` and not installed, since installing them starts services, now
//! or at the next boot, or takes the place of what the machine has for the same purpose.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::setup::apt_get;

/// Packages that are unpacked into one directory.
pub struct Tool {
    reason: &'static str,
    /// Below `target/tools`; the tests look for it there.
    directory: &'static str,
    packages: &'static [&'static str],
    /// Of the last package: when it is there, all are.
    file: &'static str,
}

/// `promtool` is part of it.
pub const PROMETHEUS: Tool = Tool {
    reason: "tests of the alerts: promtool",
    directory: "prometheus",
    packages: &["prometheus"],
    file: "usr/bin/promtool",
};

/// With its switch that has DPDK.
pub const OPEN_VSWITCH: Tool = Tool {
    reason: "tests of the overlay: Open vSwitch with DPDK",
    directory: "openvswitch",
    packages: &[
        "openvswitch-common",
        "openvswitch-switch",
        "openvswitch-switch-dpdk",
    ],
    file: "usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk",
};

/// Installed, containerd would start, runc would replace Docker's, and a static busybox the ordinary one.
pub const CONTAINERS: Tool = Tool {
    reason: "tests of the CNI plugin: containerd, runc, other CNI plugins, and a program for a container image",
    directory: "containers",
    packages: &[
        "busybox-static",
        "containernetworking-plugins",
        "runc",
        "containerd",
    ],
    file: "usr/bin/containerd",
};

impl Tool {
    /// Unpacks it if it is not there, and says so.
    ///
    /// # Errors
    ///
    /// When a package cannot be downloaded or unpacked.
    pub fn provide(&self) -> anyhow::Result<()> {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target");
        let directory = target.join("tools").join(self.directory);
        let packages = self.packages.join(" ");
        if directory.join(self.file).is_file() {
            println!("present     {} ({packages}, unpacked)", self.reason);
            return Ok(());
        }
        println!("unpacking   {}: apt-get download {packages}", self.reason);
        let archives = directory.join("packages");
        std::fs::create_dir_all(&archives)
            .with_context(|| format!("make {}", archives.display()))?;
        if !self.download(&archives)? {
            apt_get(&["update"])?;
            ensure!(
                self.download(&archives)?,
                "apt-get download {packages} fails; see what it says above"
            );
        }
        for entry in std::fs::read_dir(&archives)? {
            let archive = entry?.path();
            let mut unpack = Command::new("dpkg");
            unpack.arg("--extract").arg(&archive).arg(&directory);
            ensure!(
                unpack.status()?.success(),
                "dpkg cannot unpack {}",
                archive.display()
            );
        }
        std::fs::remove_dir_all(&archives)?;
        Ok(())
    }

    fn download(&self, directory: &Path) -> anyhow::Result<bool> {
        let mut apt = Command::new("apt-get");
        apt.args(["--quiet=2", "download"])
            .args(self.packages)
            .current_dir(directory);
        Ok(apt.status().context("cannot start apt-get")?.success())
    }
}
