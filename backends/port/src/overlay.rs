//! What a backend must know of overlay mode: which destinations leave by which next hop, and which tunnels end here.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use ipnet::IpNet;

use crate::MacAddress;

/// How a pod's time-sensitive frames leave the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PodMode {
    /// As they are, with the addresses that the pod gave them.
    #[default]
    L2,
    /// As the kernel would route them: with the next hop's addresses, or inside the tunnel that the route leads to.
    Overlay,
}

/// Number of a next hop, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHopId(pub NonZeroU16);

impl fmt::Display for NextHopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What becomes of an overlay pod's frames for a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// They keep the kernel's path.
    Kernel,
    /// They are handed over with this next hop, if the packet inside the frame is not longer than `mtu_bytes`; longer
    /// ones keep the kernel's path, which fragments them or tells the sender.
    NextHop {
        /// The next hop.
        id: NextHopId,
        /// Longest IP packet in bytes.
        mtu_bytes: u16,
    },
}

/// A VXLAN tunnel that ends at this node (RFC 7348).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tunnel {
    /// The address of this node that its packets are sent to.
    pub local: IpAddr,
    /// UDP destination port.
    pub port: u16,
    /// VLAN that they arrive in, 1 to 4094; `None`: without a tag.
    pub vlan_id: Option<u16>,
    /// VXLAN network identifier, 24 bits.
    pub vni: u32,
    /// Ethernet address of the tunnel's device, which the frames inside are sent to.
    pub address: MacAddress,
}

/// All that is known of the way between overlay pods and other nodes. What is in no route keeps the kernel's path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overlay {
    /// By destination; the longest prefix decides. Each prefix at most once.
    pub routes: Vec<(IpNet, Route)>,
    /// Tunnels whose frames for overlay pods may go straight to them.
    pub tunnels: Vec<Tunnel>,
}
