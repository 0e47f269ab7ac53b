//! What is built depends on whether DPDK is installed: a program over it builds only against its library.

use std::{fmt, process::Command, str::FromStr};

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
    if is_installed() {
        [
            ["--workspace", "--exclude", "tsn-ebpf"].as_slice(),
            features(),
        ]
        .concat()
    } else {
        workspace_without()
    }
}

/// The same as where DPDK is not installed. With all packages, so that what they depend on is built as for [`workspace`],
/// and once.
pub fn workspace_without() -> Vec<&'static str> {
    let mut arguments = vec!["--workspace"];
    for package in ["tsn-ebpf", "tsn-dpdk", "dpdk-sys"] {
        arguments.extend(["--exclude", package]);
    }
    arguments
}

/// The backends that a task is asked to go through: `all` that are built here, or one by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backends {
    /// Those that a daemon has which is built here.
    #[default]
    All,
    /// This one.
    One(Backend),
}

impl Backends {
    /// What the task goes through.
    ///
    /// # Errors
    ///
    /// When it is one that is not built here.
    pub fn built(self) -> Result<Vec<Backend>> {
        match self {
            Self::All => {
                let mut backends = Backend::ALL.to_vec();
                backends.retain(|backend| check_is_built(*backend).is_ok());
                Ok(backends)
            }
            Self::One(backend) => check_is_built(backend).map(|()| vec![backend]),
        }
    }
}

impl fmt::Display for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::One(backend) => backend.fmt(f),
        }
    }
}

impl FromStr for Backends {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "all" => Ok(Self::All),
            _ => name.parse().map(Self::One),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_named_one_by_one_or_all() {
        assert_eq!("all".parse::<Backends>().unwrap(), Backends::default());
        for backend in Backend::ALL {
            let one = backend.name().parse::<Backends>().unwrap();
            assert_eq!(one, Backends::One(backend));
            assert_eq!(one.to_string(), backend.name());
        }
        assert!("netmap".parse::<Backends>().is_err());
        assert_eq!(Backends::All.built().unwrap()[0], Backend::Afxdp);
    }
}
