//! The part of the kernel's network state that says how a forwarded packet leaves this node.

mod attributes;
mod links;
mod read;
mod sysctls;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use tsn_port::MacAddress;

use super::next_hop::Setting;

pub use read::{KernelReader, ReadError};
pub use sysctls::Sysctls;

/// What the kernel of this network namespace knew at one moment.
#[derive(Debug, Clone, Default)]
pub struct KernelState {
    /// Network devices, by index.
    pub links: BTreeMap<u32, Link>,
    /// The device that each address of this node belongs to, by index.
    pub addresses: HashMap<IpAddr, u32>,
    /// The routes of the tables `main` and `local`, in the kernel's order.
    pub routes: Vec<KernelRoute>,
    /// The neighbours whose link address is known, by device and address.
    pub neighbours: HashMap<(u32, IpAddr), Neighbour>,
    /// The forwarding entries of VXLAN devices, by device and inner destination; of address 0 for all others.
    pub forwarding_entries: HashMap<(u32, MacAddress), Vec<ForwardingEntry>>,
    /// Whether IPv4 has policy rules (`ip rule`) other than the three that the kernel begins with.
    pub has_ipv4_rules: bool,
    /// The same for IPv6.
    pub has_ipv6_rules: bool,
    /// Settings of the namespace.
    pub sysctls: Sysctls,
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Whether it is administratively up.
    pub is_up: bool,
    /// Its Ethernet address; `None` for a device of another kind.
    pub address: Option<MacAddress>,
    /// Longest IPv4 packet in bytes.
    pub mtu_bytes: u32,
    /// Longest IPv6 packet in bytes.
    pub ipv6_mtu_bytes: u32,
    /// Hop limit of IPv6 packets of this node that leave by it.
    pub ipv6_hop_limit: u8,
    /// What it is.
    pub kind: LinkKind,
}

/// The kinds of devices that make a difference here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A VLAN (`ip link add type vlan`).
    Vlan {
        /// Index of the device below, if that is in this namespace.
        lower: Option<u32>,
        /// VLAN identifier, 1 to 4094.
        id: u16,
        /// Whether its tag is that of a customer VLAN (ethertype 0x8100).
        is_customer: bool,
    },
    /// A VXLAN tunnel.
    Vxlan(Box<VxlanDevice>),
    /// Any other.
    Other,
}

/// Settings of a VXLAN device (`ip link add type vxlan`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VxlanDevice {
    /// VXLAN network identifier, 24 bits.
    pub vni: u32,
    /// Outer source address, if it is fixed.
    pub local: Option<IpAddr>,
    /// UDP destination port.
    pub port: u16,
    /// UDP source ports; `None`: those of the namespace.
    pub source_ports: Option<RangeInclusive<u16>>,
    /// Outer TTL; `None`: that of the route to the remote end.
    pub hop_limit: Option<Setting<u8>>,
    /// Outer DS field.
    pub ds_field: Setting<u8>,
    /// Outer "do not fragment" of IPv4.
    pub dont_fragment: Setting<bool>,
    /// Outer flow label of IPv6.
    pub flow_label: u32,
    /// Whether outer UDP over IPv4 has a checksum.
    pub has_ipv4_checksum: bool,
    /// Whether outer UDP over IPv6 has a checksum.
    pub has_ipv6_checksum: bool,
    /// A setting under which frames are not made from these values alone, by iproute2's name for it.
    pub special_setting: Option<&'static str>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRoute {
    /// Destinations.
    pub destination: IpNet,
    /// The table that it is in.
    pub table: Table,
    /// Among routes to the same destination the least counts.
    pub metric: u32,
    /// Longest packet in bytes, where the route says so.
    pub mtu_bytes: Option<u32>,
    /// Hop limit of this node's own packets, where the route says so.
    pub hop_limit: Option<u8>,
    /// What becomes of a packet.
    pub action: RouteAction,
}

/// A routing table that the default rules look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Addresses of this node; looked into first.
    Local,
    /// The one that `ip route` shows.
    Main,
}

/// What becomes of a packet that a route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteAction {
    /// It leaves by a device.
    Forward {
        /// Index of the device.
        device: u32,
        /// The neighbour that it is for; `None`: the packet's destination.
        gateway: Option<IpAddr>,
    },
    /// Something else, in the words of `ip route`: `blackhole`, `nexthop`.
    Special(&'static str),
    /// It depends on more than the destination, in the words of `ip route`: `tos`, `from`.
    Conditional(&'static str),
}

/// A neighbour whose link address is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Its link address.
    pub address: MacAddress,
    /// Whether the kernel would verify the address before long if it sent to it (NUD_STALE).
    pub is_stale: bool,
}

/// Where a VXLAN device sends frames for an inner destination (`bridge fdb`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardingEntry {
    /// Outer destination; `None` if it is a group of next hops.
    pub remote: Option<IpAddr>,
    /// UDP destination port, if not the device's.
    pub port: Option<u16>,
    /// VXLAN network identifier, if not the device's.
    pub vni: Option<u32>,
    /// Index of the device that outer packets must leave by.
    pub device: Option<u32>,
    /// Whether the device has learned it from what it received. It ages unless it sees more, which by the fast path it
    /// does not.
    pub is_learned: bool,
}
