//! The nodes that Flannel connects, without a daemon: what the other tests of the overlay take for granted.

mod common;

use common::{
    BOUND, CONTROL,
    overlay::{address, exchange, ping, tcp_there_and_back, udp_socket},
};
use tsn_tests::{
    overlay::{Family, Kind, Network, Tunnelled, without_what_may_differ},
    wait::wait_until,
};

/// Pods of both nodes talk, and what they say has the form on the wire that Flannel's devices give it.
fn pods_talk(kind: Kind) {
    let network = Network::new(kind, 2).unwrap();
    let (near, far) = (&network.near.pods[0], &network.far.pods[1]);
    for family in Family::ALL {
        ping(near, address(far, family), 3);
        ping(far, address(near, family), 3);
        exchange(near, far, family, CONTROL);
        exchange(far, near, family, CONTROL);
        exchange(near, &network.near.pods[1], family, CONTROL);
        tcp_there_and_back(near, far, family, 1 << 20);
        let wire = network.capture().unwrap();
        let socket = udp_socket(near, family, 0);
        for _ in 0..5 {
            socket
                .send_to(b"datagram", (address(far, family), CONTROL))
                .unwrap();
        }
        let carries_ours = |bytes: &[u8]| bytes.ends_with(b"datagram");
        wait_until("five datagrams on the wire", BOUND, || {
            wire.count(|frame| carries_ours(&frame.bytes)) == 5
        })
        .unwrap();
        let mut frames = wire.finish().unwrap();
        frames.retain(|frame| carries_ours(&frame.bytes));
        for frame in &frames {
            without_what_may_differ(frame).unwrap(); // lengths and checksums are right
            let outer = Tunnelled::of(frame);
            assert_eq!(
                outer.as_ref().map(|outer| outer.is_ipv4),
                kind.underlay(family).map(|underlay| underlay == Family::V4),
                "{kind:?} {family:?}"
            );
            let Some(outer) = outer else { continue };
            let is_zero = kind == Kind::VxlanZeroChecksum;
            assert_eq!(outer.udp_checksum == 0, is_zero, "computed by default");
            assert_eq!((outer.ds_field, outer.hop_limit), (0, 64));
            assert!(
                (32_768..61_000).contains(&outer.source_port),
                "Linux's local ports"
            );
        }
    }
}

#[test]
fn pods_talk_through_a_tunnel() {
    pods_talk(Kind::Vxlan);
}

#[test]
fn pods_talk_through_a_tunnel_without_checksum() {
    pods_talk(Kind::VxlanZeroChecksum);
}

#[test]
fn pods_talk_through_tunnels_of_the_other_family() {
    pods_talk(Kind::VxlanCrossed);
}

#[test]
fn pods_talk_through_a_tunnel_through_a_router() {
    pods_talk(Kind::VxlanThroughRouter);
}

#[test]
fn pods_talk_without_a_tunnel() {
    pods_talk(Kind::HostGateway);
}
