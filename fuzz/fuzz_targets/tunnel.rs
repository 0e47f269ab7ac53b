//! Packets and tunnels in hostile frames: never reads beyond the frame, and the two agree about it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsn_common::{parse_packet, parse_vxlan};

/// Ethernet header, and the shortest IP header behind it.
const SHORTEST_BYTES: usize = 14 + 20;

fuzz_target!(|input: (Vec<u8>, u8)| {
    let (frame, start) = input;
    let start = usize::from(start);
    if let Some(packet) = parse_packet(&frame[..], start) {
        assert!(frame.len() >= start + SHORTEST_BYTES);
        assert!(packet.length_bytes >= if packet.is_ipv6 { 40 } else { 20 });
    }
    let Some(vxlan) = parse_vxlan(&frame[..]) else {
        return;
    };
    let outer = vxlan.outer_bytes as usize;
    assert!(outer <= frame.len(), "headers beyond the frame");
    assert!(vxlan.tunnel.vni < 1 << 24);
    assert!(vxlan.tunnel.vlan_id < 1 << 12);
    // Without a tag the outer packet is one that a router could see, unless its addresses are not to be routed.
    if let Some(packet) = parse_packet(&frame[..], 0) {
        assert_eq!(packet.protocol, 17);
        assert_eq!(
            packet.length_bytes as usize,
            outer - 14 + vxlan.inner_bytes as usize
        );
    }
});
