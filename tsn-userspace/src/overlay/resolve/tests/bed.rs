//! A node's state, made by hand.

use std::net::IpAddr;

use ipnet::IpNet;
use tsn_port::MacAddress;

use super::{Resolved, resolve};
use crate::overlay::kernel::{
    ForwardingEntry, KernelRoute, KernelState, Link, LinkKind, Neighbour, RouteAction, Table,
    VxlanDevice,
};
use crate::overlay::next_hop::Setting;

pub const UPLINK: u32 = 2;
pub const VXLAN: u32 = 3;
pub const BRIDGE: u32 = 4;
pub const VLAN: u32 = 5;

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn mac(last: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, last])
}

pub fn resolve_all(state: &KernelState) -> Resolved {
    resolve(state, "eth0", &[net("10.244.0.0/16"), net("fd00:244::/32")])
}

pub fn forward(destination: &str, device: u32, gateway: Option<&str>) -> KernelRoute {
    KernelRoute {
        destination: net(destination),
        table: Table::Main,
        metric: 0,
        mtu_bytes: None,
        hop_limit: None,
        action: RouteAction::Forward {
            device,
            gateway: gateway.map(ip),
        },
    }
}

pub fn special(destination: &str, what: &'static str) -> KernelRoute {
    KernelRoute {
        action: RouteAction::Special(what),
        ..forward(destination, UPLINK, None)
    }
}

pub fn neighbour(state: &mut KernelState, device: u32, address: &str, last: u8) {
    let neighbour = Neighbour {
        address: mac(last),
        is_stale: false,
    };
    state.neighbours.insert((device, ip(address)), neighbour);
}

fn link(name: &str, last: u8, mtu_bytes: u32, kind: LinkKind) -> Link {
    Link {
        name: name.into(),
        is_up: true,
        address: Some(mac(last)),
        mtu_bytes,
        ipv6_mtu_bytes: mtu_bytes - 20,
        ipv6_hop_limit: 61,
        kind,
    }
}

/// A router with an uplink, a VLAN on it, and a bridge of pods; 10.244.2.0/24 is behind another node.
pub fn host_gateway() -> KernelState {
    let vlan = LinkKind::Vlan {
        lower: Some(UPLINK),
        id: 7,
        is_customer: true,
    };
    let mut state = KernelState {
        links: [
            (UPLINK, link("eth0", 0x11, 1500, LinkKind::Other)),
            (BRIDGE, link("cni0", 0x14, 1450, LinkKind::Other)),
            (VLAN, link("eth0.7", 0x17, 1496, vlan)),
        ]
        .into(),
        routes: vec![forward("10.244.2.0/24", UPLINK, Some("192.168.0.2"))],
        ..KernelState::default()
    };
    state.sysctls.forwards_ipv4 = true;
    state.sysctls.forwards_ipv6 = true;
    state.sysctls.default_ttl = 60;
    neighbour(&mut state, UPLINK, "192.168.0.2", 0x22);
    neighbour(&mut state, UPLINK, "192.168.0.9", 0x29);
    neighbour(&mut state, VLAN, "192.168.7.2", 0x27);
    state
}

/// The same with a VXLAN device as flanneld makes it.
pub fn flannel() -> KernelState {
    let mut state = host_gateway();
    let device = VxlanDevice {
        vni: 1,
        local: Some(ip("192.168.0.1")),
        port: 8472,
        source_ports: None,
        hop_limit: None,
        ds_field: Setting::Fixed(0),
        dont_fragment: Setting::Fixed(false),
        flow_label: 0,
        has_ipv4_checksum: false,
        has_ipv6_checksum: true,
        special_setting: None,
    };
    let kind = LinkKind::Vxlan(Box::new(device));
    state
        .links
        .insert(VXLAN, link("flannel.1", 0x13, 1450, kind));
    state.routes = vec![
        forward("0.0.0.0/0", UPLINK, Some("192.168.0.9")),
        forward("192.168.0.0/24", UPLINK, None),
        forward("10.244.1.0/24", BRIDGE, None),
        forward("10.244.2.0/24", VXLAN, Some("10.244.2.0")),
        forward("2001:db8::/64", UPLINK, None),
    ];
    neighbour(&mut state, VXLAN, "10.244.2.0", 0x32);
    entry(&mut state, 0x32, "192.168.0.2");
    state
}

/// The VXLAN device's settings.
pub fn settings(state: &mut KernelState) -> &mut VxlanDevice {
    match &mut state.links.get_mut(&VXLAN).unwrap().kind {
        LinkKind::Vxlan(device) => device,
        _ => unreachable!(),
    }
}

/// One more forwarding entry of the VXLAN device, or the first; of address 0 with `last` 0.
pub fn entry<'a>(state: &'a mut KernelState, last: u8, remote: &str) -> &'a mut ForwardingEntry {
    let address = match last {
        0 => MacAddress([0; 6]),
        last => mac(last),
    };
    let entries = state
        .forwarding_entries
        .entry((VXLAN, address))
        .or_default();
    entries.push(ForwardingEntry {
        remote: Some(ip(remote)),
        port: None,
        vni: None,
        device: None,
        is_learned: false,
    });
    entries.last_mut().unwrap()
}
