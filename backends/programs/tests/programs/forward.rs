//! What becomes of frames from other nodes' pods, for a pod in overlay mode.

use std::net::IpAddr;
use std::num::NonZeroU16;

use tsn_common::{PodCounter, Rule, RuleFields};
use tsn_port::{MacAddress, NextHopId, Overlay, PodAddresses, PodMode, Route, Tunnel};
use tsn_programs::{AttachedPod, Device, Programs, VethPod};

use crate::lab::{Lab, PEER, POD, PORT, RawSocket, run};
use crate::traffic::received;
use crate::tunnel::{
    TUNNEL_ADDRESS, TUNNEL_PORT, VNI, datagram, ethernet, forwarded, framed, packet, summed,
    tunnelled,
};
use crate::{counter, with_node};

const POD6: &str = "fd77::1";
const PEER6: &str = "fd77::2";
/// Where pods are that only the kernel has a way to.
const KERNELS: &str = "10.77.0.7";
/// The node's ends of the tunnels.
const LOCAL: &str = "192.0.2.1";
const LOCAL6: &str = "2001:db8::1";
const REMOTE: &str = "192.0.2.2";
const REMOTE6: &str = "2001:db8::2";
const VLAN_ID: u16 = 5;

/// A node with an overlay pod, and whoever looks at its frames.
struct Node<'a> {
    lab: &'a Lab,
    programs: Programs,
    pod: AttachedPod,
    router: [u8; 6],
    uplink: [u8; 6],
    /// Sends onto the wire.
    wire: RawSocket,
    /// Sees what the uplink's program leaves to the kernel.
    kernel: RawSocket,
    /// Sees what reaches the pod.
    inside: RawSocket,
}

impl<'a> Node<'a> {
    fn new(lab: &'a Lab, mut programs: Programs, uplink: &str) -> Self {
        lab.ip("pod", &format!("addr add {POD6}/64 dev eth0 nodad"));
        let pod = programs.attach_pod(&overlay_pod(lab)).unwrap();
        programs.attach_uplink(uplink).unwrap();
        programs.set_overlay(&ways()).unwrap();
        Self {
            lab,
            pod,
            router: Device::by_name("br0").unwrap().address,
            uplink: Device::by_name(uplink).unwrap().address,
            wire: lab.raw("peer", "eth0"),
            kernel: lab.raw("node", uplink),
            inside: lab.raw("pod", "eth0"),
            programs,
        }
    }

    fn delivered(&self) -> u64 {
        counter(&self.programs, &self.pod, PodCounter::Delivered)
    }

    /// Sends a frame, of which the pod must get `inner`.
    fn reaches_pod(&self, what: &str, frame: &[u8], inner: &[u8]) {
        let before = self.delivered();
        let expected = forwarded(inner, self.pod.address.0, self.router);
        self.wire.send(frame);
        let arrived = self.inside.receive(|bytes| bytes == expected);
        assert!(arrived.is_some(), "{what}: {frame:02x?}");
        assert_eq!(self.delivered(), before + 1, "{what}");
    }

    /// Sends a frame, which the kernel must get as it is.
    fn reaches_kernel(&self, what: &str, frame: &[u8]) {
        let before = self.delivered();
        // The kernel takes a tag out of a frame before anybody sees it.
        let mut expected = frame.to_vec();
        if frame.len() >= 18 && frame[12..14] == [0x81, 0] {
            expected.drain(12..16);
        }
        self.wire.send(frame);
        let arrived = self.kernel.receive(|bytes| bytes == expected);
        assert!(arrived.is_some(), "{what}: {frame:02x?}");
        assert_eq!(self.delivered(), before, "{what}");
    }

    fn outer(&self, packet: &[u8]) -> Vec<u8> {
        framed(self.uplink, packet)
    }

    /// A frame in the tunnel over IPv4 with this frame in it.
    fn in_tunnel(&self, inner: &[u8]) -> Vec<u8> {
        self.outer(&tunnelled(ip(REMOTE), ip(LOCAL), inner))
    }
}

fn overlay_pod(lab: &Lab) -> VethPod {
    let mut pod = VethPod {
        mode: PodMode::Overlay,
        ..lab.pod("pod")
    };
    // What a pod's sockets ask for is unknown of what it receives.
    pod.rules[0].fields |= RuleFields::PRIORITY;
    pod.rules[0].priority = 5;
    pod
}

/// The ways to other nodes' pods, and from them.
fn ways() -> Overlay {
    let tunnel = |local: &str, vlan_id| Tunnel {
        local: ip(local),
        port: TUNNEL_PORT,
        vlan_id,
        vni: VNI,
        address: MacAddress(TUNNEL_ADDRESS),
    };
    Overlay {
        tunnels: vec![
            tunnel(LOCAL, None),
            tunnel(LOCAL6, None),
            tunnel(LOCAL, Some(VLAN_ID)),
        ],
        routes: vec![
            (ip(PEER).into(), next_hop()),
            (ip(PEER6).into(), next_hop()),
            (ip(KERNELS).into(), Route::Kernel),
        ],
    }
}

fn next_hop() -> Route {
    Route::NextHop {
        id: NextHopId(NonZeroU16::MIN),
        mtu_bytes: 1450,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tagged(mut frame: Vec<u8>, tci: u16) -> Vec<u8> {
    let [high, low] = tci.to_be_bytes();
    frame.splice(12..12, [0x81, 0, high, low]);
    frame
}

/// The bytes with some of them changed.
fn with(mut bytes: Vec<u8>, offset: usize, new: &[u8]) -> Vec<u8> {
    bytes[offset..offset + new.len()].copy_from_slice(new);
    bytes
}

fn inner4() -> Vec<u8> {
    framed(TUNNEL_ADDRESS, &datagram(ip(PEER), ip(POD)))
}

fn inner6() -> Vec<u8> {
    framed(TUNNEL_ADDRESS, &datagram(ip(PEER6), ip(POD6)))
}

/// In the device's own mode, and in the kernel's generic one, which is all that a bridge has.
const UPLINKS: [&str; 2] = ["up0", "br0"];

#[test]
fn datagrams_for_an_overlay_pod_arrive_as_the_kernel_would_forward_them() {
    for uplink in UPLINKS {
        with_node(|lab, programs| {
            let node = Node::new(lab, programs, uplink);
            let application = lab.udp("pod", POD, PORT);
            for inner in [inner4(), inner6()] {
                let tunnel = node.in_tunnel(&inner);
                node.reaches_pod("over IPv4", &tunnel, &inner);
                let over_ipv6 = node.outer(&tunnelled(ip(REMOTE6), ip(LOCAL6), &inner));
                node.reaches_pod("over IPv6", &over_ipv6, &inner);
                if uplink == "up0" {
                    let in_vlan = tagged(tunnel.clone(), 0x6000 | VLAN_ID);
                    node.reaches_pod("over a VLAN", &in_vlan, &inner);
                }
                node.reaches_pod("without a tunnel", &node.outer(&inner[14..]), &inner);
            }
            assert_eq!(received(&application), b"from another node's pod");
            let full = framed(TUNNEL_ADDRESS, &packet(ip(PEER), ip(POD), PORT, &[7; 1412]));
            node.reaches_pod("as long as the wire takes", &node.in_tunnel(&full), &full);
        });
    }
}

#[test]
fn what_is_not_surely_for_an_overlay_pod_is_the_kernels() {
    with_node(|lab, programs| {
        let node = Node::new(lab, programs, "up0");
        let inner = inner4();
        let outer = || tunnelled(ip(REMOTE), ip(LOCAL), &inner);
        let kernel = |what, packet: Vec<u8>| node.reaches_kernel(what, &node.outer(&packet));

        node.reaches_kernel("for another node", &framed([2; 6], &outer()));
        kernel("fragment", summed(with(outer(), 6, &[0x20, 0])));
        kernel("last fragment", summed(with(outer(), 6, &[0, 9])));
        kernel("options", with(outer(), 0, &[0x46]));
        kernel("congestion", summed(with(outer(), 1, &[3])));
        kernel("checksum", with(outer(), 10, &[0, 0]));
        kernel("other end", tunnelled(ip(REMOTE), ip("192.0.2.9"), &inner));
        kernel("other port", with(outer(), 22, &[0x12, 0xb5]));
        kernel("longer datagram", with(outer(), 25, &[0xff]));
        kernel("no VNI", with(outer(), 28, &[0]));
        kernel("an extension", with(outer(), 28, &[0x88]));
        kernel("other VNI", with(outer(), 34, &[9]));
        kernel("reserved", with(outer(), 35, &[9]));
        node.reaches_kernel("other VLAN", &tagged(node.outer(&outer()), 6));

        let inside = |what, frame: Vec<u8>| node.reaches_kernel(what, &node.in_tunnel(&frame));
        let ipv4 = |packet: Vec<u8>| framed(TUNNEL_ADDRESS, &packet);
        let plain = || datagram(ip(PEER), ip(POD));
        inside("another's frame", with(inner4(), 0, &[2; 6]));
        inside("a broadcast", with(inner4(), 0, &[0xff; 6]));
        inside("a tag", tagged(inner4(), 5));
        inside("no IP", with(inner4(), 12, &[8, 6]));
        inside("last hop", ipv4(summed(with(plain(), 8, &[1]))));
        inside("TCP", ipv4(summed(with(plain(), 9, &[6]))));
        inside("options", with(inner4(), 14, &[0x46]));
        inside("a fragment", ipv4(summed(with(plain(), 6, &[0x20, 0]))));
        inside("longer packet", ipv4(summed(with(plain(), 2, &[0x0f]))));
        inside("of a stranger", ipv4(datagram(ip("10.77.0.9"), ip(POD))));
        inside("of the kernel's", ipv4(datagram(ip(KERNELS), ip(POD))));
        inside("other pod", ipv4(datagram(ip(PEER), ip("10.77.0.9"))));
        inside(
            "other traffic",
            ipv4(packet(ip(PEER), ip(POD), PORT + 1, b"bulk")),
        );
        inside(
            "other traffic",
            framed(TUNNEL_ADDRESS, &packet(ip(PEER6), ip(POD6), 9, b"")),
        );
        inside("last hop", with(inner6(), 21, &[1]));
        inside("a fragment", with(inner6(), 20, &[44]));

        let routed = node.outer(&plain());
        let stranger = datagram(ip("10.77.0.9"), ip(POD));
        node.reaches_kernel("of a stranger", &node.outer(&stranger));
        node.reaches_kernel("in a VLAN", &tagged(routed.clone(), 0));
        node.reaches_kernel("around the router", &with(routed, 0, &node.pod.address.0));
        node.reaches_kernel("no IP", &ethernet(node.uplink, 0x88b5));
    });
}

#[test]
fn a_frame_that_is_cut_off_is_the_kernels_at_every_length() {
    with_node(|lab, programs| {
        let node = Node::new(lab, programs, "up0");
        let over_ipv6 = node.outer(&tunnelled(ip(REMOTE6), ip(LOCAL6), &inner6()));
        let in_vlan = tagged(node.in_tunnel(&inner6()), VLAN_ID);
        // From the shortest that the kernel does not drop before anybody sees it.
        for (shortest, frame) in [
            (14, node.in_tunnel(&inner4())),
            (14, over_ipv6),
            (14, node.outer(&inner4()[14..])),
            (20, in_vlan),
        ] {
            for length in shortest..frame.len() {
                node.reaches_kernel("cut off", &frame[..length]);
            }
        }
    });
}

#[test]
fn a_frame_that_the_pods_interface_does_not_take_is_the_kernels() {
    with_node(|lab, programs| {
        for end in [("node", "host"), ("pod", "eth0")] {
            lab.ip(end.0, &format!("link set {} mtu 1300", end.1));
        }
        let node = Node::new(lab, programs, "up0");
        let fits = framed(TUNNEL_ADDRESS, &packet(ip(PEER), ip(POD), PORT, &[7; 1272]));
        node.reaches_pod("just fits", &node.in_tunnel(&fits), &fits);
        let longer = framed(TUNNEL_ADDRESS, &packet(ip(PEER), ip(POD), PORT, &[7; 1273]));
        node.reaches_kernel("longer", &node.in_tunnel(&longer));
    });
}

#[test]
fn a_rule_must_say_something_of_the_datagram() {
    with_node(|lab, programs| {
        let mut node = Node::new(lab, programs, "up0");
        let frame = node.in_tunnel(&inner4());
        let mut attachment = overlay_pod(lab);
        let rule = |fields| Rule {
            fields,
            ethertype: 0x0800,
            priority: 5,
            ..Rule::default()
        };
        let anything = RuleFields::ETHERTYPE | RuleFields::PRIORITY;
        for (fields, is_delivered) in [(anything, false), (anything | RuleFields::DSCP, true)] {
            attachment.rules = vec![rule(fields)];
            node.programs.attach_pod(&attachment).unwrap();
            if is_delivered {
                node.reaches_pod("by DSCP", &frame, &inner4());
            } else {
                node.reaches_kernel("by EtherType alone", &frame);
            }
        }
    });
}

#[test]
fn a_pod_has_no_addresses_but_those_it_was_given() {
    with_node(|lab, programs| {
        let mut node = Node::new(lab, programs, "up0");
        let given = PodAddresses {
            mac: Some(node.pod.address),
            ips: vec![ip(POD)],
        };
        let mut pod = overlay_pod(lab);
        pod.end.addresses = given;
        lab.ip("pod", "link set eth0 address 02:00:00:00:00:77");
        lab.ip("pod", "addr add 10.77.0.9/24 dev eth0");

        let attached = node.programs.attach_pod(&pod).unwrap();
        assert_eq!(attached.address, node.pod.address);
        let neighbours = framed(TUNNEL_ADDRESS, &datagram(ip(PEER), ip("10.77.0.9")));
        node.reaches_kernel("a neighbour's", &node.in_tunnel(&neighbours));
        node.reaches_pod("its own", &node.in_tunnel(&inner4()), &inner4());

        // Without anybody's word, the interface's.
        let attached = node.programs.attach_pod(&overlay_pod(lab)).unwrap();
        assert_eq!(attached.address.to_string(), "02:00:00:00:00:77");
        node.pod = attached;
        node.reaches_pod("read", &node.in_tunnel(&neighbours), &neighbours);
    });
}

#[test]
fn tunnels_and_addresses_go_with_those_who_had_them() {
    with_node(|lab, programs| {
        let mut node = Node::new(lab, programs, "up0");
        let frame = node.in_tunnel(&inner4());
        node.reaches_pod("at first", &frame, &inner4());

        // Another address, known when the pod is attached again.
        lab.ip("pod", &format!("addr del {POD}/24 dev eth0"));
        lab.ip("pod", "addr add 10.77.0.8/24 dev eth0");
        let adopted = node.programs.attach_pod(&overlay_pod(lab)).unwrap();
        assert!(adopted.adopted);
        node.reaches_kernel("the old address", &frame);
        let moved = framed(TUNNEL_ADDRESS, &datagram(ip(PEER), ip("10.77.0.8")));
        node.reaches_pod("the new one", &node.in_tunnel(&moved), &moved);

        node.programs.set_overlay(&Overlay::default()).unwrap();
        node.reaches_kernel("no tunnel", &node.in_tunnel(&moved));
        node.programs.set_overlay(&ways()).unwrap();
        node.reaches_pod("again", &node.in_tunnel(&moved), &moved);

        node.programs.detach_pod("pod").unwrap();
        let before = node.delivered();
        node.wire.send(&node.in_tunnel(&moved));
        assert!(
            node.kernel
                .receive(|bytes| bytes.ends_with(&moved))
                .is_some()
        );
        assert_eq!(node.delivered(), before);
        let held = |map: &str| {
            let path = node.lab.bpffs.join("tsnd/maps").join(map);
            run(&format!("bpftool map dump pinned {}", path.display()))
        };
        assert!(held("POD_IPS").contains("Found 0 elements") || held("POD_IPS").trim() == "[]");
    });
}
