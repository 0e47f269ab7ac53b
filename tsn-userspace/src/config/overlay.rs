//! Which destinations pods of the overlay mode reach by the fast path.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use ipnet::{IpNet, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Faults, printable};

/// Where flanneld writes the networks of the pods.
const FLANNEL_SUBNET_FILE: &str = "/run/flannel/subnet.env";

/// Addresses of IPv4 written as those of IPv6 (RFC 4291, section 2.5.5.2). No packet has one on the wire, and tables of
/// both families keep those of IPv4 there.
const IPV4_MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// What pods with `mode: overlay` need to know of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OverlaySettings {
    /// The networks that all pods of the cluster have their addresses from, such as `10.244.0.0/16`. Only frames for
    /// these take the fast path, since the node may translate the addresses of others. Absent: as `subnet-file` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_networks: Option<Vec<PodNetwork>>,
    /// The file in which flanneld tells the networks (default `/run/flannel/subnet.env`); read when `pod-networks` is
    /// absent.
    pub subnet_file: PathBuf,
}

impl Default for OverlaySettings {
    fn default() -> Self {
        Self {
            pod_networks: None,
            subnet_file: FLANNEL_SUBNET_FILE.into(),
        }
    }
}

impl OverlaySettings {
    pub(super) fn find_faults(&self, faults: &mut Faults) {
        for (index, network) in self.pod_networks.iter().flatten().enumerate() {
            if let Some(reason) = network.fault() {
                faults.add(format!("overlay.pod-networks[{index}]"), reason);
            }
        }
        if self.pod_networks.as_ref().is_some_and(Vec::is_empty) {
            faults.add(
                "overlay.pod-networks",
                "there is none; give those of the cluster's pods, or leave it out to read `subnet-file`",
            );
        }
        if !self.subnet_file.is_absolute() {
            faults.add(
                "overlay.subnet-file",
                format!(
                    "`{}` is no absolute path; such as {FLANNEL_SUBNET_FILE}",
                    printable(&self.subnet_file.to_string_lossy())
                ),
            );
        }
    }
}

/// A network of pods: an address and the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodNetwork(pub IpNet);

impl PodNetwork {
    /// Why it cannot be a network of pods.
    pub(crate) fn fault(self) -> Option<String> {
        let Self(network) = self;
        let whole = network.trunc();
        if network != whole {
            return Some(format!(
                "`{network}` is an address within {whole}; give the network"
            ));
        }
        if network.prefix_len() == 0 {
            return Some(format!(
                "`{network}` is every address; give the networks of the pods"
            ));
        }
        if overlaps(network, IPV4_MAPPED) {
            return Some(format!(
                "`{network}` and {}, IPv4's addresses within IPv6, have addresses in common; give IPv4's as such",
                IpNet::V6(IPV4_MAPPED)
            ));
        }
        let address = network.addr();
        (address.is_multicast() || address.is_loopback())
            .then(|| format!("`{network}` holds no addresses of pods; such as 10.244.0.0/16"))
    }
}

fn overlaps(network: IpNet, other: Ipv6Net) -> bool {
    let other = IpNet::V6(other);
    network.contains(&other) || other.contains(&network)
}

impl fmt::Display for PodNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for PodNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PodNetwork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let network = text.parse().map_err(|_| {
            de::Error::custom(format!(
                "`{}` is no network; write address and prefix length such as 10.244.0.0/16",
                printable(&text)
            ))
        })?;
        Ok(Self(network))
    }
}

impl JsonSchema for PodNetwork {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PodNetwork".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Address and prefix length, such as `10.244.0.0/16` or `fd00:10:244::/48`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(yaml: &str) -> Vec<String> {
        let settings: OverlaySettings = serde_saphyr::from_str(yaml).unwrap();
        let mut faults = Faults::default();
        settings.find_faults(&mut faults);
        let all = faults.into_vec();
        all.into_iter().map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn networks_are_read_and_written_as_people_write_them() {
        let yaml = "pod-networks: [10.244.0.0/16, 'fd00:10:244::/48']\n";
        let settings: OverlaySettings = serde_saphyr::from_str(yaml).unwrap();
        assert_eq!(
            serde_json::to_value(&settings).unwrap(),
            serde_json::json!({
                "pod-networks": ["10.244.0.0/16", "fd00:10:244::/48"],
                "subnet-file": "/run/flannel/subnet.env",
            })
        );
        assert_eq!(faults(yaml), [""; 0]);
        assert_eq!(faults("{}"), [""; 0]);
    }

    #[test]
    fn what_is_no_network_of_pods_is_refused_with_the_way_out() {
        for (yaml, said) in [
            (
                "pod-networks: [10.244.1.0/16]",
                "`10.244.1.0/16` is an address within 10.244.0.0/16",
            ),
            ("pod-networks: [0.0.0.0/0]", "`0.0.0.0/0` is every address"),
            (
                "pod-networks: ['ff00::/8']",
                "`ff00::/8` holds no addresses of pods",
            ),
            (
                "pod-networks: [127.0.0.0/8]",
                "`127.0.0.0/8` holds no addresses of pods",
            ),
            (
                "pod-networks: ['::/8']",
                "`::/8` and ::ffff:0.0.0.0/96, IPv4's",
            ),
            (
                "pod-networks: ['::ffff:10.244.0.0/112']",
                "have addresses in common",
            ),
            ("pod-networks: []", "there is none"),
            (
                "subnet-file: subnet.env",
                "`subnet.env` is no absolute path",
            ),
        ] {
            let faults = faults(yaml);
            assert!(
                faults.len() == 1 && faults[0].contains(said),
                "{yaml}: {faults:?}"
            );
        }
        let refused = serde_saphyr::from_str::<OverlaySettings>("pod-networks: [10.244.0.0]");
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("`10.244.0.0` is no network"), "{refused}");
    }
}
