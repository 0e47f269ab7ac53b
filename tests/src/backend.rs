//! Which backend the daemons of a run have.

use std::{fmt, str::FromStr};

use anyhow::{Result, bail};

/// The environment variable that names it; `afxdp` without it.
pub const VARIABLE: &str = "TSN_BACKEND";

/// Of the end-to-end tests, those to which it is the same by what backend frames leave. They run once.
pub const OF_NO_BACKEND: [&str; 12] = [
    "alerts",
    "bad_configuration",
    "bad_requests",
    "bed",
    "capabilities",
    "cni_daemon",
    "cni_multus",
    "convert",
    "doctor",
    "logs",
    "overlay_bed",
    "watch",
];

/// Those of what only the DPDK backend has.
pub const OF_DPDK: [&str; 4] = ["dpdk_bed", "dpdk_start", "ovs_dpdk", "vhost_user"];

/// A backend of `tsnd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// AF_XDP.
    Afxdp,
    /// DPDK.
    Dpdk,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Afxdp, Self::Dpdk];

    /// That of this run of the tests.
    ///
    /// # Errors
    ///
    /// When the environment names none that there is.
    pub fn of_run() -> Result<Self> {
        std::env::var(VARIABLE).map_or(Ok(Self::Afxdp), |name| name.parse())
    }

    /// As `tsnd --backend` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Afxdp => "afxdp",
            Self::Dpdk => "dpdk",
        }
    }

    /// Lines of a configuration that it needs to run anywhere. Hugepages may be another test's.
    pub const fn settings(self) -> &'static str {
        match self {
            Self::Afxdp => "",
            Self::Dpdk => "dpdk: { hugepages: none }\n",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|backend| backend.name() == name) {
            Some(backend) => Ok(backend),
            None => bail!("there is no backend `{name}`; afxdp or dpdk"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for backend in Backend::ALL {
            assert_eq!(backend.to_string().parse::<Backend>().unwrap(), backend);
        }
        let error = "netmap".parse::<Backend>().unwrap_err().to_string();
        assert!(error.contains("netmap"), "{error}");
    }
}
