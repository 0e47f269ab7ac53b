//! What is read of packets and tunnels, by shared code of kernel programs and user space.

use proptest::prelude::*;
use tsn_common::{Packet, TunnelKey, Vxlan, checksum_after_hop, mapped, parse_packet, parse_vxlan};

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

fn framed(ethertype: [u8; 2], packet: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ethertype, packet].concat()
}

fn sum(header: &[u8]) -> u32 {
    let words = header.chunks(2);
    let sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

/// A UDP packet with whatever in it.
fn ipv4(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((28 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 1, 0x40, 0, 9, 17, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1]);
    let checksum = !sum(&packet) as u16;
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend([0x1e, 0x6d, 0x21, 0x18]);
    packet.extend((8 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

fn ipv6(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((8 + payload.len() as u16).to_be_bytes());
    packet.extend([17, 9]);
    packet.extend([0x20; 16]);
    packet.extend([0x21; 16]);
    packet.extend([0x1e, 0x6d, 0x21, 0x18]);
    packet.extend((8 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

fn vxlan_header() -> [u8; 8] {
    [8, 0, 0, 0, 1, 2, 3, 0]
}

#[test]
fn a_packet_says_where_it_goes() {
    let frame = framed(IPV4, &ipv4(b"payload"));
    let packet = Packet {
        source: mapped([192, 0, 2, 2]),
        destination: mapped([192, 0, 2, 1]),
        length_bytes: 35,
        hop_limit: 9,
        protocol: 17,
        is_ipv6: false,
        is_fragment: false,
    };
    assert_eq!(parse_packet(&frame[..], 0), Some(packet));
    let behind = [&[0; 7][..], &frame].concat();
    assert_eq!(parse_packet(&behind[..], 7), Some(packet));

    let frame = framed(IPV6, &ipv6(b"payload"));
    let expected = Packet {
        source: [0x20; 16],
        destination: [0x21; 16],
        length_bytes: 55,
        is_ipv6: true,
        ..packet
    };
    assert_eq!(parse_packet(&frame[..], 0), Some(expected));
}

#[test]
fn only_addresses_beyond_the_link_are_routed() {
    for (first, is_routed) in [
        (0, false),
        (1, true),
        (10, true),
        (127, false),
        (169, true),
        (223, true),
        (224, false),
        (255, false),
    ] {
        for address in [12, 16] {
            let mut packet = ipv4(b"");
            packet[address] = first;
            let found = parse_packet(&framed(IPV4, &packet)[..], 0);
            assert_eq!(found.is_some(), is_routed, "{first} at {address}");
        }
    }
    for (first, is_routed) in [
        ([0, 0], false),
        ([0x20, 1], true),
        ([0xfd, 0], true),
        ([0xfe, 0x7f], true),
        ([0xfe, 0x80], false),
        ([0xfe, 0xbf], false),
        ([0xfe, 0xc0], true),
        ([0xff, 2], false),
    ] {
        for address in [8, 24] {
            let mut packet = ipv6(b"");
            packet[address..address + 2].copy_from_slice(&first);
            let found = parse_packet(&framed(IPV6, &packet)[..], 0);
            assert_eq!(found.is_some(), is_routed, "{first:02x?} at {address}");
        }
    }
}

#[test]
fn a_tunnel_is_known_by_its_headers() {
    let inner = [&vxlan_header()[..], &[7; 60]].concat();
    let tunnel = TunnelKey {
        local: mapped([192, 0, 2, 1]),
        vni: 0x01_0203,
        port: 8472,
        vlan_id: 0,
    };
    let over_ipv4 = Vxlan {
        tunnel,
        outer_bytes: 50,
        inner_bytes: 60,
    };
    let frame = framed(IPV4, &ipv4(&inner));
    assert_eq!(parse_vxlan(&frame[..]), Some(over_ipv4));

    let mut tagged = frame;
    tagged.splice(12..12, [0x81, 0, 0x60, 5]);
    let vlan_id = 5;
    let in_vlan = Vxlan {
        tunnel: TunnelKey { vlan_id, ..tunnel },
        outer_bytes: 54,
        ..over_ipv4
    };
    assert_eq!(parse_vxlan(&tagged[..]), Some(in_vlan));

    let over_ipv6 = Vxlan {
        tunnel: TunnelKey {
            local: [0x21; 16],
            ..tunnel
        },
        outer_bytes: 70,
        inner_bytes: 60,
    };
    let frame = framed(IPV6, &ipv6(&inner));
    assert_eq!(parse_vxlan(&frame[..]), Some(over_ipv6));
    // Cut off in its headers it is none, and behind them it says what is missing.
    for length in 0..frame.len() {
        let expected = (length >= 70).then_some(over_ipv6);
        assert_eq!(parse_vxlan(&frame[..length]), expected);
    }
}

#[test]
fn a_datagram_shorter_than_the_headers_holds_no_tunnel() {
    for payload in 0..8 {
        let mut frame = framed(IPV4, &ipv4(&vxlan_header()[..payload]));
        frame.extend([0; 100]);
        assert_eq!(parse_vxlan(&frame[..]), None);
    }
}

proptest! {
    #[test]
    fn a_checksum_stays_right_from_hop_to_hop(mut header: [u8; 20], hops in 1..=255u8) {
        header[8] = hops;
        header[10..12].fill(0);
        let checksum = !sum(&header) as u16;
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        for ttl in (0..hops).rev() {
            let checksum = checksum_after_hop(u16::from_be_bytes([header[10], header[11]]));
            header[8] = ttl;
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
            prop_assert_eq!(sum(&header), 0xffff);
        }
    }

    #[test]
    fn anything_may_be_in_a_frame(frame: Vec<u8>, start in 0..64usize) {
        let _ = parse_packet(&frame[..], start);
        let _ = parse_vxlan(&frame[..]);
    }

    #[test]
    fn any_header_byte_may_be_anything(at in 0..90usize, value: u8, over_ipv6: bool) {
        let inner = [&vxlan_header()[..], &[7; 60]].concat();
        let mut frame = if over_ipv6 {
            framed(IPV6, &ipv6(&inner))
        } else {
            framed(IPV4, &ipv4(&inner))
        };
        frame[at] = value;
        if let Some(found) = parse_vxlan(&frame[..]) {
            let whole = (found.outer_bytes + found.inner_bytes) as usize;
            prop_assert_eq!(whole, frame.len());
        }
        if let Some(found) = parse_packet(&frame[..], 0) {
            prop_assert!(found.length_bytes >= 20);
        }
    }
}
