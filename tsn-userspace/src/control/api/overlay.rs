//! What overlay mode makes of the kernel's network state.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tsn_port::{NextHopId, Tunnel};

use crate::overlay::next_hop::Vxlan;
use crate::overlay::resolve::Way;

/// `GET /v1/overlay`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OverlayStatus {
    /// Why all frames of overlay pods keep the kernel's path; the daemon tries again every second.
    pub waits_for: Option<String>,
    /// The networks that the cluster's pods have their addresses from, such as `10.244.0.0/16`. Empty while there is no
    /// pod of the overlay mode: nothing is looked at then.
    pub pod_networks: Vec<String>,
    /// By destination; the longest prefix decides, and frames for what no prefix covers keep the kernel's path.
    pub destinations: Vec<WayStatus>,
    /// Tunnels that end at this node, whose frames for overlay pods go straight to them.
    pub tunnels: Vec<TunnelStatus>,
}

/// How frames for a destination leave; either `next-hop` or `kept-by-kernel` is there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WayStatus {
    /// Such as `10.244.2.0/24`.
    pub destination: String,
    /// The way, if they take the fast path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<NextHopStatus>,
    /// Why they keep the kernel's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_by_kernel: Option<String>,
}

/// The way to a next hop.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct NextHopStatus {
    /// Its number, 1 to 65535.
    pub id: u16,
    /// The device that the kernel's route leads to.
    pub device: String,
    /// Longest IP packet in bytes; longer ones keep the kernel's path.
    pub mtu_bytes: u16,
    /// Ethernet address that the frame is sent to.
    pub link_destination: String,
    /// Ethernet address that it is sent from.
    pub link_source: String,
    /// The VLAN that it is sent in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan_id: Option<u16>,
    /// The tunnel that the packet goes in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vxlan: Option<VxlanStatus>,
}

/// A VXLAN tunnel to a remote end.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VxlanStatus {
    /// Outer source address.
    pub local: String,
    /// Outer destination address.
    pub remote: String,
    /// UDP destination port.
    pub port: u16,
    /// VXLAN network identifier.
    pub vni: u32,
    /// Inner Ethernet destination.
    pub inner_destination: String,
}

/// A VXLAN tunnel that ends at this node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TunnelStatus {
    /// The address that its packets are sent to.
    pub local: String,
    /// UDP destination port.
    pub port: u16,
    /// VXLAN network identifier.
    pub vni: u32,
    /// The VLAN of the uplink that they arrive in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan_id: Option<u16>,
    /// Ethernet address that the frames inside are sent to.
    pub address: String,
}

impl WayStatus {
    /// From what was found: a numbered way, or the reason why there is none.
    pub fn new(destination: IpNet, way: Result<(NextHopId, &Way), String>) -> Self {
        let (next_hop, kept_by_kernel) = match way {
            Ok((id, way)) => (Some(NextHopStatus::new(id, way)), None),
            Err(reason) => (None, Some(reason)),
        };
        Self {
            destination: destination.to_string(),
            next_hop,
            kept_by_kernel,
        }
    }
}

impl NextHopStatus {
    fn new(id: NextHopId, way: &Way) -> Self {
        let next_hop = &way.next_hop;
        Self {
            id: id.0.get(),
            device: way.device.clone(),
            mtu_bytes: way.mtu_bytes,
            link_destination: next_hop.link.destination.to_string(),
            link_source: next_hop.link.source.to_string(),
            vlan_id: next_hop.vlan_id,
            vxlan: next_hop.tunnel.as_ref().map(Into::into),
        }
    }
}

impl From<&Vxlan> for VxlanStatus {
    fn from(tunnel: &Vxlan) -> Self {
        Self {
            local: tunnel.local.to_string(),
            remote: tunnel.remote.to_string(),
            port: tunnel.destination_port,
            vni: tunnel.vni,
            inner_destination: tunnel.inner.destination.to_string(),
        }
    }
}

impl From<&Tunnel> for TunnelStatus {
    fn from(tunnel: &Tunnel) -> Self {
        Self {
            local: tunnel.local.to_string(),
            port: tunnel.port,
            vni: tunnel.vni,
            vlan_id: tunnel.vlan_id,
            address: tunnel.address.to_string(),
        }
    }
}
