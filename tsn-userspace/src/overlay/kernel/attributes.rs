//! What rtnetlink's messages say of the things that matter here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::packet_core::Nla;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
    NeighbourState,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteType, RouteVia,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use tsn_port::MacAddress;

use super::{ForwardingEntry, KernelRoute, Neighbour, RouteAction, Table};

/// Number of the table `local`.
const RT_TABLE_LOCAL: u32 = 255;
/// Number of the table `main`.
const RT_TABLE_MAIN: u32 = 254;
/// Number of the table `default`, which is empty unless somebody fills it.
const RT_TABLE_DEFAULT: u32 = 253;

/// An address of this node with the index of its device.
pub fn address(message: &AddressMessage) -> Option<(IpAddr, u32)> {
    let attributes = || message.attributes.iter();
    let own = attributes().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    // IPv6 tells the own one so, unless there is a peer.
    let only = attributes().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    Some((own.or(only)?, message.header.index))
}

/// A route of the tables that are looked into; `None` for another, for one whose device is dead, and for what the kernel
/// has learned for one destination alone.
pub fn route(message: &RouteMessage) -> Option<KernelRoute> {
    let header = &message.header;
    let mut table = u32::from(header.table);
    let mut network = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (mut metric, mut mtu_bytes, mut hop_limit) = (0, None, None);
    let (mut device, mut gateway, mut special) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(to) => network = route_address(to)?,
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::Gateway(address) => gateway = Some(route_address(address)?),
            RouteAttribute::Via(RouteVia::Inet(address)) => gateway = Some((*address).into()),
            RouteAttribute::Via(RouteVia::Inet6(address)) => gateway = Some((*address).into()),
            RouteAttribute::Via(_) => special = Some("via"),
            RouteAttribute::MultiPath(_) => special = Some("nexthop"),
            RouteAttribute::EncapType(_) | RouteAttribute::Encap(_) => special = Some("encap"),
            RouteAttribute::Metrics(metrics) => {
                for metric in metrics {
                    match metric {
                        RouteMetric::Mtu(bytes) => mtu_bytes = Some(*bytes),
                        RouteMetric::Hoplimit(limit) => hop_limit = u8::try_from(*limit).ok(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if header
        .flags
        .intersects(RouteFlags::Dead | RouteFlags::Cloned)
    {
        return None;
    }
    let table = match table {
        RT_TABLE_LOCAL => Table::Local,
        RT_TABLE_MAIN => Table::Main,
        _ => return None,
    };
    let action = match (header.kind, special, device) {
        _ if header.tos != 0 => RouteAction::Conditional("tos"),
        _ if header.source_prefix_length != 0 => RouteAction::Conditional("from"),
        // Whether it counts, `ignore_routes_with_linkdown` of the device says.
        _ if header.flags.contains(RouteFlags::Linkdown) => RouteAction::Conditional("linkdown"),
        (RouteType::Unicast, None, Some(device)) => RouteAction::Forward { device, gateway },
        (RouteType::Unicast, special, _) => RouteAction::Special(special.unwrap_or("nhid")),
        (kind, ..) => RouteAction::Special(type_name(kind)),
    };
    Some(KernelRoute {
        destination: IpNet::new(network, header.destination_prefix_length).ok()?,
        table,
        metric,
        mtu_bytes,
        hop_limit: hop_limit.filter(|limit| *limit != 0),
        action,
    })
}

/// The type of a route in the words of `ip route`.
fn type_name(kind: RouteType) -> &'static str {
    match kind {
        RouteType::Local => "local",
        RouteType::Broadcast => "broadcast",
        RouteType::Anycast => "anycast",
        RouteType::Multicast => "multicast",
        RouteType::BlackHole => "blackhole",
        RouteType::Unreachable => "unreachable",
        RouteType::Prohibit => "prohibit",
        RouteType::Throw => "throw",
        _ => "of another type",
    }
}

/// A neighbour whose link address is known, with device and address.
pub fn neighbour(message: &NeighbourMessage) -> Option<((u32, IpAddr), Neighbour)> {
    let is_usable = matches!(
        message.header.state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
            | NeighbourState::Noarp
    );
    if !is_usable || message.header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    // Who has made such an entry keeps it fresh, and to use it in the kernel's stead would take the mark away.
    let mut is_kept = message.header.flags.contains(NeighbourFlags::ExtLearned);
    let (mut destination, mut address) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(to)) => {
                destination = Some(IpAddr::from(*to));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(to)) => {
                destination = Some(IpAddr::from(*to));
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => address = mac_address(bytes),
            NeighbourAttribute::ExtFlags(flags) => {
                is_kept |= flags.contains(NeighbourExtFlags::Managed);
            }
            _ => {}
        }
    }
    let neighbour = Neighbour {
        address: address?,
        is_stale: message.header.state == NeighbourState::Stale && !is_kept,
    };
    Some(((message.header.ifindex, destination?), neighbour))
}

/// A forwarding entry of a VXLAN device, with device and inner destination.
pub fn forwarding_entry(
    message: &NeighbourMessage,
) -> Option<((u32, MacAddress), ForwardingEntry)> {
    /// A group of next hops (`NDA_NH_ID`).
    const NEXT_HOP_ID: u16 = 13;
    let mut address = None;
    // `bridge fdb` sets both bits.
    const PERMANENT_OR_NOARP: u16 = libc::NUD_PERMANENT | libc::NUD_NOARP;
    let is_fixed = u16::from(message.header.state) & PERMANENT_OR_NOARP != 0
        || message.header.flags.contains(NeighbourFlags::ExtLearned);
    let mut entry = ForwardingEntry {
        is_learned: !is_fixed,
        remote: None,
        port: None,
        vni: None,
        device: None,
    };
    let mut has_next_hop_id = false;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => address = mac_address(bytes),
            NeighbourAttribute::Destination(to) => entry.remote = Some(remote(to)?),
            NeighbourAttribute::Port(port) => entry.port = Some(*port),
            NeighbourAttribute::Vni(vni) => entry.vni = Some(*vni),
            NeighbourAttribute::IfIndex(index) => entry.device = Some(*index),
            NeighbourAttribute::Other(other) => has_next_hop_id |= other.kind() == NEXT_HOP_ID,
            _ => {}
        }
    }
    // Entries of a bridge have neither.
    (entry.remote.is_some() || has_next_hop_id)
        .then_some(((message.header.ifindex, address?), entry))
}

/// Whether these are the rules that the kernel begins with: first `local`, then `main`, then `default`, for all packets.
pub fn are_default_rules(rules: &[RuleMessage]) -> bool {
    let tables: Option<Vec<u32>> = rules.iter().map(unconditional_table).collect();
    let known: [&[u32]; 2] = [
        &[RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_DEFAULT],
        &[RT_TABLE_LOCAL, RT_TABLE_MAIN],
    ];
    tables.is_some_and(|tables| known.contains(&tables.as_slice()))
}

/// The table that a rule has all packets looked up in; `None` if it asks for more or does something else.
fn unconditional_table(rule: &RuleMessage) -> Option<u32> {
    let header = &rule.header;
    let is_plain = header.action == RuleAction::ToTable
        && header.flags.is_empty()
        && (header.src_len, header.dst_len, header.tos) == (0, 0, 0);
    let mut table = u32::from(header.table);
    for attribute in &rule.attributes {
        match attribute {
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Priority(_) | RuleAttribute::Protocol(_) | RuleAttribute::Other(_) => {}
            RuleAttribute::SuppressPrefixLen(u32::MAX) => {}
            _ => return None,
        }
    }
    is_plain.then_some(table)
}

fn route_address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// The remote end of a tunnel, whose family only its length tells.
fn remote(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(address) => Some((*address).into()),
        NeighbourAddress::Inet6(address) => Some((*address).into()),
        NeighbourAddress::Other(bytes) => {
            let v4 = <[u8; 4]>::try_from(bytes.as_slice()).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from);
            v4.or(v6).ok()
        }
        _ => None,
    }
}

pub fn mac_address(bytes: &[u8]) -> Option<MacAddress> {
    bytes.try_into().map(MacAddress).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route_with(flags: RouteFlags) -> Option<RouteAction> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.table = RT_TABLE_MAIN as u8;
        message.header.kind = RouteType::Unicast;
        message.header.flags = flags;
        message.attributes = vec![RouteAttribute::Oif(2)];
        route(&message).map(|route| route.action)
    }

    #[test]
    fn only_routes_that_are_certain_to_count_lead_on() {
        let forward = RouteAction::Forward {
            device: 2,
            gateway: None,
        };
        assert_eq!(route_with(RouteFlags::empty()), Some(forward));
        let linkdown = RouteAction::Conditional("linkdown");
        assert_eq!(route_with(RouteFlags::Linkdown), Some(linkdown));
        assert_eq!(route_with(RouteFlags::Linkdown | RouteFlags::Dead), None);
        assert_eq!(route_with(RouteFlags::Cloned), None);
    }

    #[test]
    fn an_entry_that_nobody_has_made_is_learned() {
        let is_learned = |state, flags| {
            let mut message = NeighbourMessage::default();
            (message.header.state, message.header.flags) = (state, flags);
            message.attributes = vec![
                NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 1]),
                NeighbourAttribute::Destination(NeighbourAddress::Other(vec![192, 0, 2, 1])),
            ];
            forwarding_entry(&message).unwrap().1.is_learned
        };
        let none = NeighbourFlags::empty();
        assert!(!is_learned(NeighbourState::Permanent, none));
        assert!(!is_learned(NeighbourState::Noarp, none));
        assert!(!is_learned(
            NeighbourState::Other(libc::NUD_PERMANENT | libc::NUD_NOARP),
            none
        ));
        assert!(!is_learned(
            NeighbourState::Reachable,
            NeighbourFlags::ExtLearned
        ));
        assert!(is_learned(NeighbourState::Reachable, none));
        assert!(is_learned(NeighbourState::Stale, none));
    }
}
