//! The networks that the cluster's pods have their addresses from.

use std::path::PathBuf;

use ipnet::IpNet;

use crate::config::{OverlaySettings, PodNetwork, printable};

/// Variables of flanneld's file that name networks; several are separated by commas.
const VARIABLES: [&str; 2] = ["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"];

/// Why the networks are not known.
#[derive(Debug, thiserror::Error)]
pub enum NetworksError {
    /// The file cannot be read.
    #[error(
        "the pods' networks are not known: {path}: {cause}; give overlay.pod-networks, or wait for flanneld"
    )]
    File {
        /// `overlay.subnet-file`.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file says something else.
    #[error("the pods' networks are not known: {path} has {what}; give overlay.pod-networks")]
    Content {
        /// `overlay.subnet-file`.
        path: PathBuf,
        /// What it has.
        what: String,
    },
}

/// The networks that the configuration names, or else those that flanneld's file names now.
///
/// # Errors
///
/// When neither names one.
pub fn pod_networks(settings: &OverlaySettings) -> Result<Vec<IpNet>, NetworksError> {
    if let Some(networks) = &settings.pod_networks {
        return Ok(networks.iter().map(|network| network.0).collect());
    }
    let path = &settings.subnet_file;
    let text = std::fs::read_to_string(path).map_err(|cause| NetworksError::File {
        path: path.clone(),
        cause,
    })?;
    networks_in(&text).map_err(|what| NetworksError::Content {
        path: path.clone(),
        what,
    })
}

/// The networks that a file of flanneld names, or what it has instead.
fn networks_in(text: &str) -> Result<Vec<IpNet>, String> {
    let assignments = text.lines().filter_map(|line| line.trim().split_once('='));
    let values = assignments.filter(|(name, _)| VARIABLES.contains(name));
    let networks: Result<Vec<IpNet>, String> = values
        .flat_map(|(_, value)| value.split(','))
        .filter(|value| !value.is_empty())
        .map(|value| match value.parse::<IpNet>() {
            Ok(network) if PodNetwork(network.trunc()).fault().is_none() => Ok(network.trunc()),
            _ => Err(format!(
                "`{}`, which is no network of pods",
                printable(value)
            )),
        })
        .collect();
    match networks? {
        networks if networks.is_empty() => Err(format!("no {}", VARIABLES.join(" and no "))),
        networks => Ok(networks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file(text: &str) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        let subnet_file = directory.path().join("subnet.env");
        std::fs::write(&subnet_file, text).unwrap();
        let settings = OverlaySettings {
            pod_networks: None,
            subnet_file,
        };
        let networks = pod_networks(&settings).map_err(|error| error.to_string())?;
        Ok(networks.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn flannels_file_names_networks_of_both_families() {
        let text = "FLANNEL_NETWORK=10.244.0.0/16,10.245.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n\
                    FLANNEL_IPV6_NETWORK=fd00:10:244::/48\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
        let expected = ["10.244.0.0/16", "10.245.0.0/16", "fd00:10:244::/48"];
        assert_eq!(from_file(text).unwrap(), expected);
    }

    #[test]
    fn a_file_that_names_none_says_so() {
        for (text, said) in [
            ("", "has no FLANNEL_NETWORK and no FLANNEL_IPV6_NETWORK"),
            (
                "FLANNEL_NETWORK=10.244.0.0\n",
                "has `10.244.0.0`, which is no network",
            ),
            (
                "FLANNEL_NETWORK=0.0.0.0/0\n",
                "has `0.0.0.0/0`, which is no network",
            ),
            (
                "FLANNEL_IPV6_NETWORK=::/8\n",
                "has `::/8`, which is no network",
            ),
        ] {
            let error = from_file(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let missing = OverlaySettings {
            subnet_file: "/nowhere/subnet.env".into(),
            ..OverlaySettings::default()
        };
        let error = pod_networks(&missing).unwrap_err().to_string();
        assert!(error.contains("/nowhere/subnet.env") && error.contains("overlay.pod-networks"));
    }

    #[test]
    fn the_configuration_comes_first() {
        let network: IpNet = "10.0.0.0/8".parse().unwrap();
        let settings = OverlaySettings {
            pod_networks: Some(vec![PodNetwork(network)]),
            subnet_file: "/nowhere/subnet.env".into(),
        };
        assert_eq!(pod_networks(&settings).unwrap(), [network]);
    }
}
