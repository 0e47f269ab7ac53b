//! What has to be put around a routed packet for it to reach the next hop.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use tsn_port::MacAddress;

/// The way to a next hop.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// Link header of the frame that leaves by the uplink.
    pub link: LinkAddresses,
    /// VLAN identifier of that header's tag, 1 to 4094, where the route's device is a VLAN of the uplink.
    pub vlan_id: Option<u16>,
    /// The tunnel that the packet goes in; `None` on a network that is only routed.
    pub tunnel: Option<Vxlan>,
}

/// Destination and source of an Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkAddresses {
    /// Of the neighbour.
    pub destination: MacAddress,
    /// Of the device of this node.
    pub source: MacAddress,
}

/// A VXLAN tunnel (RFC 7348) to one remote end, with the settings of the kernel's device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Vxlan {
    /// Outer source address.
    pub local: IpAddr,
    /// Outer destination address, of the same family.
    pub remote: IpAddr,
    /// Outer TTL or hop limit.
    pub hop_limit: Setting<u8>,
    /// Outer DS field; its two bits of ECN come from the inner packet in any case (RFC 6040).
    pub ds_field: Setting<u8>,
    /// Outer "do not fragment" of IPv4.
    pub dont_fragment: Setting<bool>,
    /// Outer flow label of IPv6, 20 bits.
    pub flow_label: u32,
    /// VXLAN network identifier, 24 bits.
    pub vni: u32,
    /// Outer UDP destination port.
    pub destination_port: u16,
    /// Outer UDP source ports, of which the flow's hash chooses one.
    pub source_ports: RangeInclusive<u16>,
    /// Whether the outer UDP checksum is computed; 0 otherwise.
    pub has_checksum: bool,
    /// Link header inside the tunnel.
    pub inner: LinkAddresses,
}

/// A field of the outer header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting<T> {
    /// The same for all packets.
    Fixed(T),
    /// That of the inner packet.
    Inherit,
}

impl<T: Copy> Setting<T> {
    /// The field of a packet around one that has this.
    pub fn of(self, inner: T) -> T {
        match self {
            Self::Fixed(value) => value,
            Self::Inherit => inner,
        }
    }
}
