//! What is to be attached: one file for each interface of a pod, which outlives both plugin and daemon.
//!
//! A record says what is wanted; the daemon makes it so, at once when the plugin asks it to, and by itself when it comes
//! later. The file is there from ADD to DEL, is replaced as a whole by rename, and has the name
//! `<network>:<container ID>:<interface>.json`: a colon is in none of the three (CNI specification 1.1.0, "Section 2").

mod directory;
mod key;

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use directory::{Directory, Entry, Error};
pub use key::{InvalidKey, Key};

/// Where the records are unless said otherwise. On a tmpfs, as a pod's network does not outlive its node's kernel.
pub const DEFAULT_DIRECTORY: &str = "/run/tsnd/cni";

/// An interface of a pod and what is wanted for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// Name of the CNI network.
    pub network: String,
    /// Container ID, as the runtime gives it.
    pub container_id: String,
    /// Interface inside the pod.
    pub interface: String,
    /// Path of the pod's network namespace.
    pub netns: PathBuf,
    /// Inode of the namespace at that path, by which another one that came to the same path is told from it.
    pub netns_inode: u64,
    /// The interface's Ethernet address as the plugins before this one gave it, `02:00:00:00:00:01`; `None` if they did not
    /// tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Its IP addresses as they gave them; none if they did not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<IpAddr>,
    /// The Kubernetes pod, where the runtime names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<KubernetesPod>,
    /// What it wants of the daemon.
    pub request: Request,
    /// The vhost-user socket that takes the place of an interface of the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vhost_user: Option<VhostUser>,
}

impl Record {
    /// What the record is found by.
    pub fn key(&self) -> Key {
        Key {
            network: self.network.clone(),
            container_id: self.container_id.clone(),
            interface: self.interface.clone(),
        }
    }
}

/// A pod as Kubernetes names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KubernetesPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID; empty where the runtime does not tell.
    #[serde(default)]
    pub uid: String,
}

/// A choice among the daemon's profiles, and within one of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// Name of a profile of the daemon's configuration.
    pub profile: String,
    /// Only the profile's streams of this traffic class, by number or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_class: Option<String>,
    /// Narrows what the profile's streams match, in the words of the daemon's configuration (`udp-destination-port`, ...).
    #[serde(
        rename = "match",
        default,
        skip_serializing_if = "serde_json::Map::is_empty"
    )]
    pub selector: serde_json::Map<String, serde_json::Value>,
}

/// A vhost-user socket of the pod (device information specification of the network plumbing working group, 1.1.0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VhostUser {
    /// Path of the socket.
    pub socket: PathBuf,
    /// Whether the pod listens and the daemon connects.
    pub peer_listens: bool,
    /// Ethernet address of the pod's virtio device, `02:00:00:00:00:01`.
    pub address: String,
}
