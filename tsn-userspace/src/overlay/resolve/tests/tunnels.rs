use tsn_port::Tunnel;

use super::bed::*;
use super::{LinkAddresses, NextHop, reason, resolve, way};
use crate::overlay::next_hop::{Setting, Vxlan};

const REMOTE_PODS: &str = "10.244.2.0/24";

fn tunnel(state: &crate::overlay::kernel::KernelState) -> Vxlan {
    way(state, REMOTE_PODS).next_hop.tunnel.unwrap()
}

#[test]
fn flannels_entries_give_all_headers() {
    let way = way(&flannel(), REMOTE_PODS);
    let expected = NextHop {
        link: LinkAddresses {
            destination: mac(0x22),
            source: mac(0x11),
        },
        vlan_id: None,
        tunnel: Some(Vxlan {
            local: ip("192.168.0.1"),
            remote: ip("192.168.0.2"),
            hop_limit: Setting::Fixed(60),
            ds_field: Setting::Fixed(0),
            dont_fragment: Setting::Fixed(false),
            flow_label: 0,
            vni: 1,
            destination_port: 8472,
            source_ports: 32_768..=60_998,
            has_checksum: false,
            inner: LinkAddresses {
                destination: mac(0x32),
                source: mac(0x13),
            },
        }),
    };
    assert_eq!((way.next_hop, way.mtu_bytes), (expected, 1450));
    assert_eq!(way.device, "flannel.1");
}

#[test]
fn settings_of_device_and_entry_are_kept() {
    let mut state = flannel();
    let device = settings(&mut state);
    device.hop_limit = Some(Setting::Inherit);
    device.ds_field = Setting::Inherit;
    device.dont_fragment = Setting::Inherit;
    device.source_ports = Some(5000..=5999);
    device.has_ipv4_checksum = true;
    state.forwarding_entries.clear();
    let own = entry(&mut state, 0x32, "192.168.0.2");
    (own.port, own.vni, own.device) = (Some(4789), Some(99), Some(UPLINK));
    let tunnel = tunnel(&state);
    assert_eq!(tunnel.hop_limit, Setting::Inherit);
    assert_eq!(tunnel.ds_field, Setting::Inherit);
    assert_eq!(tunnel.dont_fragment, Setting::Inherit);
    assert_eq!(tunnel.source_ports, 5000..=5999);
    assert!(tunnel.has_checksum);
    assert_eq!((tunnel.destination_port, tunnel.vni), (4789, 99));
}

#[test]
fn the_mtu_leaves_room_for_the_outer_headers() {
    let mut state = flannel();
    state.links.get_mut(&VXLAN).unwrap().mtu_bytes = 1500;
    assert_eq!(way(&state, REMOTE_PODS).mtu_bytes, 1450);
    state.routes[1].mtu_bytes = Some(1400);
    assert_eq!(way(&state, REMOTE_PODS).mtu_bytes, 1350);
    state.routes[3].mtu_bytes = Some(1300);
    assert_eq!(way(&state, REMOTE_PODS).mtu_bytes, 1300);
}

#[test]
fn over_ipv6_the_hop_limit_is_the_devices_or_the_routes() {
    let mut state = flannel();
    let device = settings(&mut state);
    device.local = Some(ip("2001:db8::1"));
    device.flow_label = 0x12345;
    state.links.get_mut(&VXLAN).unwrap().mtu_bytes = 1500;
    state.forwarding_entries.clear();
    entry(&mut state, 0x32, "2001:db8::2");
    neighbour(&mut state, UPLINK, "2001:db8::2", 0x62);
    let found = tunnel(&state);
    assert_eq!(found.hop_limit, Setting::Fixed(61));
    assert_eq!(found.flow_label, 0x12345);
    assert!(found.has_checksum);
    assert_eq!(way(&state, REMOTE_PODS).mtu_bytes, 1480 - 70);
    state.routes[4].hop_limit = Some(9);
    assert_eq!(tunnel(&state).hop_limit, Setting::Fixed(9));
}

#[test]
fn the_remote_end_may_be_behind_a_gateway_or_on_a_vlan() {
    let mut state = flannel();
    state.forwarding_entries.clear();
    entry(&mut state, 0x32, "172.16.0.2");
    assert_eq!(
        way(&state, REMOTE_PODS).next_hop.link.destination,
        mac(0x29)
    );
    state
        .routes
        .push(forward("172.16.0.0/16", VLAN, Some("192.168.7.2")));
    let way = way(&state, REMOTE_PODS);
    assert_eq!(way.next_hop.link.destination, mac(0x27));
    assert_eq!(way.next_hop.vlan_id, Some(7));
    assert_eq!(way.mtu_bytes, 1446);
}

#[test]
fn an_address_without_an_entry_goes_where_all_others_go() {
    let mut state = flannel();
    state.forwarding_entries.clear();
    assert_eq!(
        reason(&state, REMOTE_PODS),
        "no remote end for 02:00:00:00:00:32 in `bridge fdb show dev flannel.1`"
    );
    entry(&mut state, 0, "192.168.0.2");
    assert_eq!(tunnel(&state).remote, ip("192.168.0.2"));
    entry(&mut state, 0, "192.168.0.9");
    assert!(reason(&state, REMOTE_PODS).contains("but a group"));
    entry(&mut state, 0x32, "192.168.0.9");
    assert_eq!(tunnel(&state).remote, ip("192.168.0.9"));
}

#[test]
fn what_is_no_single_remote_end_is_left_to_the_kernel() {
    for remote in ["239.0.0.1", "0.0.0.0", "2001:db8::2"] {
        let mut state = flannel();
        state.forwarding_entries.clear();
        entry(&mut state, 0x32, remote);
        assert!(
            reason(&state, REMOTE_PODS).contains("but a group"),
            "{remote}"
        );
    }
}

#[test]
fn what_stands_in_the_underlays_way_is_told() {
    let mut state = flannel();
    state
        .routes
        .retain(|route| route.destination != net("192.168.0.0/24"));
    state
        .routes
        .retain(|route| route.destination != net("0.0.0.0/0"));
    assert_eq!(
        reason(&state, REMOTE_PODS),
        "to the remote end 192.168.0.2: no route"
    );
    state.routes.push(forward("192.168.0.0/24", BRIDGE, None));
    assert!(reason(&state, REMOTE_PODS).contains("192.168.0.2: by cni0"));
    let mut state = flannel();
    let own = &mut state.forwarding_entries.values_mut().next().unwrap()[0];
    own.device = Some(VLAN);
    assert!(reason(&state, REMOTE_PODS).contains("there is a route with `dev`"));
}

#[test]
fn devices_whose_frames_are_made_from_more_are_left_to_the_kernel() {
    let mut state = flannel();
    settings(&mut state).special_setting = Some("external");
    assert_eq!(reason(&state, REMOTE_PODS), "flannel.1 has `external`");
    assert!(resolve_all(&state).tunnels.is_empty());
    let mut state = flannel();
    settings(&mut state).local = None;
    assert_eq!(
        reason(&state, REMOTE_PODS),
        "flannel.1 has no `local` address"
    );
}

#[test]
fn tunnels_that_end_here_are_those_that_are_up() {
    let mut state = flannel();
    let expected = |vlan_id| Tunnel {
        local: ip("192.168.0.1"),
        port: 8472,
        vlan_id,
        vni: 1,
        address: mac(0x13),
    };
    for (holder, vlan_id) in [(UPLINK, None), (VLAN, Some(7)), (BRIDGE, None)] {
        state.addresses.insert(ip("192.168.0.1"), holder);
        assert_eq!(resolve_all(&state).tunnels, [expected(vlan_id)].into());
    }
    state.links.get_mut(&VXLAN).unwrap().is_up = false;
    assert!(resolve_all(&state).tunnels.is_empty());
}

#[test]
fn no_tunnel_ends_here_for_the_fast_path_where_the_kernel_would_not_forward() {
    let mut no_router = flannel();
    no_router.sysctls.forwards_ipv4 = false;
    let mut by_rules = flannel();
    by_rules.has_ipv6_rules = true;
    for state in [no_router, by_rules] {
        assert!(resolve_all(&state).tunnels.is_empty());
    }
    // Of a family without pods it does not matter.
    let mut state = flannel();
    state.sysctls.forwards_ipv6 = false;
    let resolved = resolve(&state, "eth0", &[net("10.244.0.0/16")]);
    assert_eq!(resolved.tunnels.len(), 1);
}

#[test]
fn a_remote_end_that_was_learned_is_left_to_the_kernel() {
    let mut state = flannel();
    entry(&mut state, 0, "192.168.0.9");
    let entries = state.forwarding_entries.get_mut(&(VXLAN, mac(0x32)));
    entries.unwrap()[0].is_learned = true;
    assert_eq!(
        reason(&state, REMOTE_PODS),
        "the remote end for 02:00:00:00:00:32 in `bridge fdb show dev flannel.1` is learned and may age"
    );
}
