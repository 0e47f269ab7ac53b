//! Settings of the namespace that rtnetlink does not tell.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::ReadError;

/// Settings of the network namespace under `/proc/sys/net`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctls {
    /// `net.ipv4.ip_forward`.
    pub forwards_ipv4: bool,
    /// `net.ipv6.conf.all.forwarding`; false without IPv6.
    pub forwards_ipv6: bool,
    /// `net.ipv4.ip_default_ttl`.
    pub default_ttl: u8,
    /// `net.ipv4.ip_local_port_range`, which also IPv6 uses.
    pub local_ports: RangeInclusive<u16>,
}

impl Default for Sysctls {
    /// What the kernel begins with.
    fn default() -> Self {
        Self {
            forwards_ipv4: false,
            forwards_ipv6: false,
            default_ttl: 64,
            local_ports: 32_768..=60_999,
        }
    }
}

impl Sysctls {
    /// Reads those of the namespace that the calling thread is in.
    ///
    /// # Errors
    ///
    /// When `/proc/sys` cannot be read.
    pub fn read() -> Result<Self, ReadError> {
        let [low, high] = values("net/ipv4/ip_local_port_range")?;
        let [forwards_ipv4]: [u8; 1] = values("net/ipv4/ip_forward")?;
        let [forwards_ipv6]: [u8; 1] = match has_ipv6() {
            true => values("net/ipv6/conf/all/forwarding")?,
            false => [0],
        };
        let [default_ttl] = values("net/ipv4/ip_default_ttl")?;
        Ok(Self {
            forwards_ipv4: forwards_ipv4 != 0,
            forwards_ipv6: forwards_ipv6 != 0,
            default_ttl,
            local_ports: low..=high,
        })
    }
}

/// Whether the kernel has IPv6.
pub fn has_ipv6() -> bool {
    std::path::Path::new("/proc/sys/net/ipv6").exists()
}

fn values<T: FromStr, const N: usize>(name: &'static str) -> Result<[T; N], ReadError> {
    let wrong = |reason: String| ReadError::Sysctl { name, reason };
    let text = std::fs::read_to_string(format!("/proc/sys/{name}"))
        .map_err(|error| wrong(error.to_string()))?;
    let values: Option<Vec<T>> = text
        .split_whitespace()
        .map(|word| word.parse().ok())
        .collect();
    values
        .and_then(|values| values.try_into().ok())
        .ok_or_else(|| wrong(format!("`{}` is not understood", text.trim())))
}
