//! The kernels of the matrix, by name.

use std::{fmt, str::FromStr};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// A kernel that Debian packages. What version it is today, its package tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kernel {
    /// 6.1, the oldest that the project supports.
    #[serde(rename = "6.1")]
    V6_1,
    /// 6.1 with real-time preemption.
    #[serde(rename = "6.1-rt")]
    V6_1Rt,
    /// 6.1 for clouds: without most drivers.
    #[serde(rename = "6.1-cloud")]
    V6_1Cloud,
    /// 6.12.
    #[serde(rename = "6.12")]
    V6_12,
    /// 6.12 with real-time preemption.
    #[serde(rename = "6.12-rt")]
    V6_12Rt,
    /// 6.12 for clouds.
    #[serde(rename = "6.12-cloud")]
    V6_12Cloud,
    /// The newest in backports.
    #[serde(rename = "newest")]
    Newest,
    /// The newest in backports with real-time preemption.
    #[serde(rename = "newest-rt")]
    NewestRt,
    /// The newest in backports for clouds.
    #[serde(rename = "newest-cloud")]
    NewestCloud,
}

impl Kernel {
    /// All of them, oldest first.
    pub const ALL: [Self; 9] = [
        Self::V6_1,
        Self::V6_1Rt,
        Self::V6_1Cloud,
        Self::V6_12,
        Self::V6_12Rt,
        Self::V6_12Cloud,
        Self::Newest,
        Self::NewestRt,
        Self::NewestCloud,
    ];

    /// Those that tests can run on: with drivers of physical devices, and with 9p, by which a guest sees the host's files.
    /// Debian builds the kernels for clouds without both.
    pub const WITH_NICS: [Self; 6] = [
        Self::V6_1,
        Self::V6_1Rt,
        Self::V6_12,
        Self::V6_12Rt,
        Self::Newest,
        Self::NewestRt,
    ];

    /// Those that each change is tested on: the oldest, a real-time one, the newest.
    pub const QUICK: [Self; 3] = [Self::V6_1, Self::V6_12Rt, Self::Newest];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_1Rt => "6.1-rt",
            Self::V6_1Cloud => "6.1-cloud",
            Self::V6_12 => "6.12",
            Self::V6_12Rt => "6.12-rt",
            Self::V6_12Cloud => "6.12-cloud",
            Self::Newest => "newest",
            Self::NewestRt => "newest-rt",
            Self::NewestCloud => "newest-cloud",
        }
    }

    /// The release of Debian that has it.
    pub(crate) const fn release(self) -> &'static str {
        match self {
            Self::V6_1 | Self::V6_1Rt | Self::V6_1Cloud => "bookworm",
            Self::V6_12 | Self::V6_12Rt | Self::V6_12Cloud => "trixie",
            Self::Newest | Self::NewestRt | Self::NewestCloud => "trixie-backports",
        }
    }

    /// The package there that depends on the kernel's own.
    pub(crate) const fn metapackage(self) -> &'static str {
        match self {
            Self::V6_1 | Self::V6_12 | Self::Newest => "linux-image-amd64",
            Self::V6_1Rt | Self::V6_12Rt | Self::NewestRt => "linux-image-rt-amd64",
            Self::V6_1Cloud | Self::V6_12Cloud | Self::NewestCloud => "linux-image-cloud-amd64",
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kernel {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|kernel| kernel.name() == name) {
            Some(kernel) => Ok(kernel),
            None => bail!(
                "there is no kernel `{name}`; there are {}",
                Self::ALL.map(Self::name).join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for kernel in Kernel::ALL {
            assert_eq!(kernel.to_string().parse::<Kernel>().unwrap(), kernel);
            let json = serde_json::to_string(&kernel).unwrap();
            assert_eq!(json, format!("\"{kernel}\""));
        }
        let error = "5.10".parse::<Kernel>().unwrap_err().to_string();
        assert!(
            error.contains("`5.10`") && error.contains("6.12-rt"),
            "{error}"
        );
    }
}
