mod bed;
mod model;
mod tunnels;

use super::*;
use crate::overlay::kernel::{KernelRoute, LinkKind, RouteAction, Table};
use crate::overlay::next_hop::LinkAddresses;
use bed::*;

fn reason(state: &KernelState, destination: &str) -> String {
    let resolved = resolve_all(state);
    match &resolved.destinations[&net(destination)] {
        Ok(way) => panic!("{destination} has a way: {way:?}"),
        Err(reason) => reason.to_string(),
    }
}

fn way(state: &KernelState, destination: &str) -> Way {
    let resolved = resolve_all(state);
    let way = resolved.destinations[&net(destination)].clone();
    way.unwrap_or_else(|reason| panic!("{destination}: {reason}"))
}

#[test]
fn a_routed_network_leaves_with_the_gateways_address() {
    let way = way(&host_gateway(), "10.244.2.0/24");
    let expected = NextHop {
        link: LinkAddresses {
            destination: mac(0x22),
            source: mac(0x11),
        },
        vlan_id: None,
        tunnel: None,
    };
    assert_eq!((way.next_hop, way.mtu_bytes), (expected, 1500));
    assert_eq!(way.device, "eth0");
}

#[test]
fn a_vlan_of_the_uplink_gives_its_tag_and_its_address() {
    let mut state = host_gateway();
    state.routes = vec![forward("10.244.2.0/24", VLAN, Some("192.168.7.2"))];
    let way = way(&state, "10.244.2.0/24");
    assert_eq!(way.next_hop.vlan_id, Some(7));
    assert_eq!(way.next_hop.link.source, mac(0x17));
    assert_eq!(way.mtu_bytes, 1496);
    let LinkKind::Vlan { is_customer, .. } = &mut state.links.get_mut(&VLAN).unwrap().kind else {
        unreachable!()
    };
    *is_customer = false;
    assert_eq!(
        reason(&state, "10.244.2.0/24"),
        "eth0.7 is a VLAN of 802.1ad"
    );
}

#[test]
fn what_stays_on_the_node_is_listed_so_that_no_shorter_prefix_takes_it_away() {
    let mut state = host_gateway();
    let gateway = RouteAction::Forward {
        device: UPLINK,
        gateway: Some(ip("192.168.0.2")),
    };
    state.routes = vec![
        forward("10.0.0.0/8", UPLINK, Some("192.168.0.2")),
        forward("10.244.1.0/24", BRIDGE, None),
        special("10.244.9.0/24", "blackhole"),
        special("10.244.8.0/24", "nexthop"),
        KernelRoute {
            table: Table::Local,
            ..special("10.244.7.7/32", "local")
        },
        // Looked into first, whatever the other table has.
        KernelRoute {
            table: Table::Local,
            ..special("10.244.6.0/24", "local")
        },
        KernelRoute {
            action: gateway,
            ..forward("10.244.6.128/25", UPLINK, None)
        },
    ];
    // The whole network has a way, as the shorter prefix says.
    assert_eq!(
        way(&state, "10.244.0.0/16").next_hop.link.destination,
        mac(0x22)
    );
    assert_eq!(
        reason(&state, "10.244.1.0/24"),
        "by cni0, which is neither the uplink, nor a VLAN of it, nor a VXLAN device"
    );
    assert_eq!(reason(&state, "10.244.9.0/24"), "the route is `blackhole`");
    assert_eq!(reason(&state, "10.244.8.0/24"), "the route is `nexthop`");
    for own in ["10.244.7.7/32", "10.244.6.0/24", "10.244.6.128/25"] {
        assert_eq!(reason(&state, own), "an address of this node");
    }
    assert!(
        !resolve_all(&state)
            .destinations
            .contains_key(&net("10.0.0.0/8"))
    );
}

#[test]
fn own_addresses_are_not_listed_where_the_kernel_has_all_anyway() {
    let mut state = host_gateway();
    state.routes.push(KernelRoute {
        table: Table::Local,
        ..special("10.244.1.1/32", "local")
    });
    state.routes.push(forward("10.244.1.0/24", BRIDGE, None));
    assert!(
        !resolve_all(&state)
            .destinations
            .contains_key(&net("10.244.1.1/32"))
    );
}

#[test]
fn the_least_metric_wins_and_the_first_of_the_same() {
    let mut state = host_gateway();
    state.routes = vec![
        KernelRoute {
            metric: 200,
            ..forward("10.244.2.0/24", UPLINK, Some("192.168.0.9"))
        },
        KernelRoute {
            metric: 100,
            ..forward("10.244.2.0/24", UPLINK, Some("192.168.0.2"))
        },
        KernelRoute {
            metric: 100,
            ..forward("10.244.2.0/24", UPLINK, Some("192.168.0.9"))
        },
    ];
    assert_eq!(
        way(&state, "10.244.2.0/24").next_hop.link.destination,
        mac(0x22)
    );
    state.routes.push(KernelRoute {
        metric: 300,
        action: RouteAction::Conditional("tos"),
        ..forward("10.244.2.0/24", UPLINK, None)
    });
    assert_eq!(
        reason(&state, "10.244.2.0/24"),
        "there is a route with `tos`"
    );
}

#[test]
fn the_mtu_is_the_lesser_of_route_and_device() {
    let mut state = host_gateway();
    for (of_route, expected) in [(Some(1400), 1400), (Some(9000), 1500), (None, 1500)] {
        state.routes[0].mtu_bytes = of_route;
        assert_eq!(way(&state, "10.244.2.0/24").mtu_bytes, expected);
    }
    state.links.get_mut(&UPLINK).unwrap().mtu_bytes = 100_000;
    assert_eq!(way(&state, "10.244.2.0/24").mtu_bytes, u16::MAX);
}

#[test]
fn on_a_network_without_gateway_each_known_neighbour_has_a_way() {
    let mut state = host_gateway();
    state.routes = vec![forward("10.244.0.0/16", UPLINK, None)];
    neighbour(&mut state, UPLINK, "10.244.5.5", 0x55);
    neighbour(&mut state, BRIDGE, "10.244.5.6", 0x56);
    assert_eq!(
        way(&state, "10.244.5.5/32").next_hop.link.destination,
        mac(0x55)
    );
    assert!(reason(&state, "10.244.0.0/16").starts_with("on eth0 each destination"));
    let resolved = resolve_all(&state);
    assert!(!resolved.destinations.contains_key(&net("10.244.5.6/32")));
}

#[test]
fn without_the_neighbours_address_the_kernel_has_to_ask_for_it() {
    let mut state = host_gateway();
    state.neighbours.clear();
    assert!(
        reason(&state, "10.244.2.0/24")
            .starts_with("the address of neighbour 192.168.0.2 on eth0 is not known")
    );
}

#[test]
fn stale_neighbours_on_the_way_are_told_and_others_are_not() {
    let mut state = host_gateway();
    for neighbour in state.neighbours.values_mut() {
        neighbour.is_stale = true;
    }
    let stale = resolve_all(&state).stale_neighbours;
    assert_eq!(stale, BTreeSet::from([(UPLINK, ip("192.168.0.2"))]));
}

#[test]
fn a_node_that_is_no_router_or_routes_by_more_than_the_destination_keeps_all() {
    let mut state = host_gateway();
    state.has_ipv4_rules = true;
    assert_eq!(
        reason(&state, "10.244.2.0/24"),
        "`ip rule` has more rules than the kernel begins with"
    );
    state.sysctls.forwards_ipv4 = false;
    assert_eq!(
        reason(&state, "10.244.2.0/24"),
        "net.ipv4.ip_forward is 0, so this node is no router"
    );
    // The other family has its own settings.
    state.routes = vec![forward("fd00:244:2::/64", UPLINK, Some("fe80::2"))];
    neighbour(&mut state, UPLINK, "fe80::2", 0x26);
    assert_eq!(way(&state, "fd00:244:2::/64").mtu_bytes, 1480);
    assert_eq!(reason(&state, "fd00:244::/32"), "no route");
}
