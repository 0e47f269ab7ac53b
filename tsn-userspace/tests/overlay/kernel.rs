use std::net::IpAddr;
use std::time::Duration;

use tokio::time::timeout;
use tsn_port::Tunnel;
use tsn_tests::namespace::Namespace;
use tsn_userspace::overlay::changes::KernelChanges;
use tsn_userspace::overlay::kernel::{KernelReader, KernelState, LinkKind};
use tsn_userspace::overlay::next_hop::{LinkAddresses, Setting};
use tsn_userspace::overlay::resolve::{Reason, Resolved, Way, resolve};

use crate::bed::{inside, mac, net, router};

fn read(node: &Namespace) -> KernelState {
    inside(node, async || {
        KernelReader::connect().unwrap().read().await.unwrap()
    })
}

fn resolved(node: &Namespace) -> Resolved {
    let networks = [net("10.244.0.0/16"), net("fd00:244::/32")];
    resolve(&read(node), "eth0", &networks)
}

fn way(node: &Namespace, to: &str) -> Way {
    let resolved = resolved(node);
    let way = resolved.destinations.get(&net(to));
    let way = way.unwrap_or_else(|| panic!("{to} is not in {:?}", resolved.destinations));
    way.clone()
        .unwrap_or_else(|reason| panic!("{to}: {reason}"))
}

fn reason(node: &Namespace, to: &str) -> Reason {
    resolved(node).destinations[&net(to)].clone().unwrap_err()
}

/// Device and gateway that `ip route get` tells for a packet that comes from a pod.
fn kernel_route(node: &Namespace, to: &str) -> (String, Option<String>) {
    let mut command = node.command("ip");
    command.args([
        "-json",
        "route",
        "get",
        to,
        "from",
        "10.244.1.9",
        "iif",
        "cni0",
    ]);
    let output = command.output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |field: &str| answer[0][field].as_str().map(str::to_owned);
    (text("dev").unwrap(), text("gateway"))
}

#[test]
fn flannels_network_is_followed_to_the_wire() {
    let node = router();
    let way = way(&node, "10.244.2.0/24");
    let (device, gateway) = kernel_route(&node, "10.244.2.9");
    assert_eq!(
        (&way.device, gateway.as_deref()),
        (&device, Some("10.244.2.0"))
    );
    assert_eq!(way.mtu_bytes, 1450);
    let tunnel = way.next_hop.tunnel.unwrap();
    assert_eq!(
        (way.next_hop.link, tunnel.inner),
        (
            LinkAddresses {
                destination: mac(0x22),
                source: mac(0x11)
            },
            LinkAddresses {
                destination: mac(0x32),
                source: mac(0x13)
            },
        )
    );
    assert_eq!(tunnel.local, IpAddr::from([192, 168, 0, 1]));
    assert_eq!(tunnel.remote, IpAddr::from([192, 168, 0, 2]));
    assert_eq!((tunnel.vni, tunnel.destination_port), (1, 8472));
    assert_eq!(tunnel.hop_limit, Setting::Fixed(64));
    assert_eq!(tunnel.dont_fragment, Setting::Fixed(false));
    assert_eq!(tunnel.source_ports, 32_768..=60_998);
    let resolved = resolved(&node);
    let local = IpAddr::from([192, 168, 0, 1]);
    let expected = Tunnel {
        local,
        port: 8472,
        vlan_id: None,
        vni: 1,
        address: mac(0x13),
    };
    assert_eq!(resolved.tunnels, [expected].into());
    let state = read(&node);
    for own in ["192.168.0.1", "fd00:168::1"] {
        let holder = state.addresses[&own.parse::<IpAddr>().unwrap()];
        assert_eq!(state.links[&holder].name, "eth0");
    }
    let local = &resolved.destinations[&net("10.244.1.0/24")];
    assert_eq!(local, &Err(Reason::OtherDevice("cni0".into())));
    assert_eq!(
        resolved.destinations[&net("10.244.0.0/16")],
        Err(Reason::NoRoute)
    );
}

#[test]
fn all_settings_of_a_tunnel_are_read() {
    let node = router();
    let add = "link add tunnel0 type vxlan id 77 local";
    node.batch(
        "ip",
        &format!(
            "{add} 192.168.0.1 dstport 4789 srcport 5000 6000 ttl 9 tos 0xb8 df set udpcsum\n"
        ),
    )
    .unwrap();
    node.batch(
        "ip",
        &format!(
            "{add} fd00:168::1 dstport 4789 ttl inherit tos inherit flowlabel 0x12345 udp6zerocsumtx\n"
        )
        .replace("tunnel0", "tunnel1")
        .replace("77", "78"),
    )
    .unwrap();
    node.batch("ip", "link add tunnel2 type vxlan external dstport 4790\n")
        .unwrap();
    node.batch(
        "ip",
        "link add tunnel4 type vxlan id 80 dstport 4792\nlink set tunnel4 master cni0\n",
    )
    .unwrap();
    node.batch(
        "ip",
        "link add tunnel3 type vxlan id 79 gbp df inherit dstport 4791\n",
    )
    .unwrap();
    let state = read(&node);
    let device = |name: &str| {
        let link = state.links.values().find(|link| link.name == name).unwrap();
        match &link.kind {
            LinkKind::Vxlan(device) => device.clone(),
            other => panic!("{name} is {other:?}"),
        }
    };
    let tunnel = device("tunnel0");
    assert_eq!(
        (tunnel.vni, tunnel.port, tunnel.source_ports),
        (77, 4789, Some(5000..=5999))
    );
    assert_eq!(tunnel.hop_limit, Some(Setting::Fixed(9)));
    assert_eq!(tunnel.ds_field, Setting::Fixed(0xb8));
    assert_eq!(tunnel.dont_fragment, Setting::Fixed(true));
    assert!(tunnel.has_ipv4_checksum && tunnel.special_setting.is_none());
    let tunnel = device("tunnel1");
    assert_eq!(tunnel.local, Some("fd00:168::1".parse().unwrap()));
    assert_eq!(tunnel.hop_limit, Some(Setting::Inherit));
    assert_eq!(tunnel.ds_field, Setting::Inherit);
    assert_eq!(
        (tunnel.flow_label, tunnel.has_ipv6_checksum),
        (0x12345, false)
    );
    assert_eq!(device("tunnel2").special_setting, Some("external"));
    assert_eq!(device("tunnel3").special_setting, Some("gbp"));
    assert_eq!(device("tunnel4").special_setting, Some("master"));
    assert_eq!(device("tunnel3").dont_fragment, Setting::Inherit);
    assert_eq!(device("flannel.1").hop_limit, None);
}

#[test]
fn a_routed_network_may_have_metrics_and_either_family() {
    let node = router();
    node.batch(
        "ip",
        "neigh add 192.168.0.3 lladdr 02:00:00:00:00:23 dev eth0 nud reachable
         neigh add fd00:168::3 lladdr 02:00:00:00:00:63 dev eth0 nud reachable
         route add 10.244.3.0/24 via 192.168.0.3 dev eth0
         route add 10.244.3.0/24 via 192.168.0.2 dev eth0 metric 50
         route add 10.244.4.0/24 mtu 1300 via 192.168.0.2 dev eth0
         route add blackhole 10.244.5.0/24
         route add fd00:244:3::/64 via fd00:168::3 dev eth0\n",
    )
    .unwrap();
    let plain = way(&node, "10.244.3.0/24");
    let (device, gateway) = kernel_route(&node, "10.244.3.3");
    assert_eq!(
        (&plain.device, gateway.as_deref()),
        (&device, Some("192.168.0.3"))
    );
    assert_eq!(plain.next_hop.link.destination, mac(0x23));
    assert_eq!((plain.next_hop.tunnel, plain.mtu_bytes), (None, 1500));
    assert_eq!(way(&node, "10.244.4.0/24").mtu_bytes, 1300);
    assert_eq!(reason(&node, "10.244.5.0/24"), Reason::Special("blackhole"));
    let v6 = way(&node, "fd00:244:3::/64");
    assert_eq!(
        (v6.next_hop.link.destination, v6.mtu_bytes),
        (mac(0x63), 1500)
    );
}

#[test]
fn what_the_fast_path_cannot_do_is_seen() {
    let node = router();
    let pods = "10.244.2.0/24";
    node.batch("ip", "rule add fwmark 1 table 100\n").unwrap();
    assert_eq!(reason(&node, pods), Reason::PolicyRules);
    node.batch("ip", "rule del fwmark 1 table 100\n").unwrap();
    node.set_sysctl("net/ipv4/ip_forward", "0").unwrap();
    assert!(matches!(reason(&node, pods), Reason::ForwardingOff { .. }));
    node.set_sysctl("net/ipv4/ip_forward", "1").unwrap();
    node.batch("ip", "neigh del 192.168.0.2 dev eth0\n")
        .unwrap();
    assert!(matches!(reason(&node, pods), Reason::Underlay { .. }));
    node.batch("ip", "route replace 10.244.2.0/24 nexthop via 192.168.0.2 dev eth0 nexthop via 192.168.0.3 dev eth0\n")
        .unwrap();
    assert_eq!(reason(&node, pods), Reason::Special("nexthop"));
}

#[test]
fn a_change_is_told_and_a_stale_neighbour_is_asked_after() {
    let node = router();
    let stale = "neigh replace 192.168.0.2 lladdr 02:00:00:00:00:22 dev eth0 nud stale\n";
    node.batch("ip", stale).unwrap();
    inside(&node, async || {
        let reader = KernelReader::connect().unwrap();
        let pods = [net("10.244.0.0/16")];
        let resolved = resolve(&reader.read().await.unwrap(), "eth0", &pods);
        let mut stale = resolved.stale_neighbours.into_iter();
        let (device, address) = stale.next().unwrap();
        let mut changes = KernelChanges::watch().unwrap();
        reader.use_neighbour(device, address).await.unwrap();
        let told = timeout(Duration::from_secs(10), changes.changed()).await;
        assert_eq!(told, Ok(()));
        let state = reader.read().await.unwrap();
        assert!(
            !state
                .neighbours
                .get(&(device, address))
                .is_some_and(|known| known.is_stale)
        );
    });
}
