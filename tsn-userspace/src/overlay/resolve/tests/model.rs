//! The longest prefix of what was resolved says for each address what a look at all routes says.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;

use super::bed::{host_gateway, net};
use crate::overlay::kernel::{KernelRoute, KernelState, RouteAction, Table};
use crate::overlay::resolve::{Resolved, resolve};

/// Few bits of address, so that prefixes meet.
fn address(bits: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0af4_0000 | bits)
}

prop_compose! {
    fn any_route()(
        bits in 0u32..256,
        prefix_length in 20u8..=32,
        metric in 0u32..3,
        is_local in prop::bool::weighted(0.15),
        is_special in prop::bool::weighted(0.2),
        neighbour in 2u8..6,
    ) -> KernelRoute {
        let destination = Ipv4Net::new(address(bits), prefix_length).unwrap().trunc();
        let gateway = IpAddr::from([192, 168, 0, neighbour]);
        KernelRoute {
            destination: destination.into(),
            table: if is_local { Table::Local } else { Table::Main },
            metric,
            mtu_bytes: None,
            hop_limit: None,
            action: match is_special || is_local {
                true => RouteAction::Special("blackhole"),
                false => RouteAction::Forward { device: 2, gateway: Some(gateway) },
            },
        }
    }
}

/// The last byte of the next hop's address, by a look at all routes; `None`: the kernel's business.
fn model(state: &KernelState, to: IpAddr) -> Option<u8> {
    let best = |table| {
        let matching = state.routes.iter().filter(|route| route.table == table);
        let matching = matching.filter(|route| route.destination.contains(&to));
        matching.min_by_key(|route| (32 - route.destination.prefix_len(), route.metric))
    };
    if best(Table::Local).is_some() {
        return None;
    }
    match best(Table::Main)?.action {
        RouteAction::Forward {
            gateway: Some(IpAddr::V4(gateway)),
            ..
        } => Some(gateway.octets()[3]),
        _ => None,
    }
}

fn looked_up(resolved: &Resolved, to: IpAddr) -> Option<u8> {
    let covering = resolved.destinations.iter();
    let covering = covering.filter(|(destination, _)| destination.contains(&to));
    let (_, way) = covering.max_by_key(|(destination, _)| destination.prefix_len())?;
    Some(way.as_ref().ok()?.next_hop.link.destination.0[5])
}

proptest! {
    #[test]
    fn the_longest_prefix_is_the_kernels_choice(
        routes in prop::collection::vec(any_route(), 0..24),
    ) {
        let mut state = host_gateway();
        // The kernel has no two routes with the same destination and metric.
        let unique: BTreeMap<_, _> = routes
            .into_iter()
            .map(|route| ((route.destination, route.table as u8, route.metric), route))
            .collect();
        state.routes = unique.into_values().collect();
        for last in 2..6 {
            super::bed::neighbour(&mut state, 2, &format!("192.168.0.{last}"), last);
        }
        // One network inside the other changes nothing.
        let networks: [IpNet; 2] = [net("10.244.0.0/16"), net("10.244.0.64/26")];
        let resolved = resolve(&state, "eth0", &networks);
        for bits in 0..320 {
            let to = IpAddr::from(address(bits));
            prop_assert_eq!(looked_up(&resolved, to), model(&state, to), "{}", to);
        }
    }
}
