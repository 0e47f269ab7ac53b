//! The headers around an overlay pod's packet, beside what Linux made of the same frames, and by their own rules.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU16;

use proptest::prelude::*;
use tsn_port::{Frame, MacAddress, NextHopId, Stamp};
use tsn_userspace::config::Marking;
use tsn_userspace::overlay::encapsulation::{Encapsulation, EncapsulationError, NextHops};
use tsn_userspace::overlay::next_hop::{LinkAddresses, NextHop, Setting, Vxlan};

const CAPTURED: &str = include_str!("data/vxlan.txt");
const HEADROOM_BYTES: usize = 128;
const UNMARKED: Marking = Marking { dscp: None, pcp: 0 };

/// A frame in a buffer with so much room in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RoomyFrame {
    buffer: Vec<u8>,
    start: usize,
}

impl RoomyFrame {
    fn new(bytes: &[u8], headroom_bytes: usize) -> Self {
        let mut buffer = vec![0xdd; headroom_bytes];
        buffer.extend(bytes);
        Self {
            buffer,
            start: headroom_bytes,
        }
    }
}

impl Frame for RoomyFrame {
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..]
    }

    fn stamp(&self) -> Stamp {
        Stamp::NONE
    }

    fn next_hop(&self) -> Option<NextHopId> {
        None
    }

    fn prepend(&mut self, bytes: usize) -> bool {
        match self.start.checked_sub(bytes) {
            Some(start) => {
                self.start = start;
                true
            }
            None => false,
        }
    }
}

fn mac(last: [u8; 2]) -> MacAddress {
    MacAddress([2, 0, 0, 0, last[0], last[1]])
}

const fn link(destination: [u8; 2], source: [u8; 2]) -> LinkAddresses {
    let [a, b] = destination;
    let [c, d] = source;
    LinkAddresses {
        destination: MacAddress([2, 0, 0, 0, a, b]),
        source: MacAddress([2, 0, 0, 0, c, d]),
    }
}

const UNDERLAY: LinkAddresses = link([1, 2], [1, 1]);
const INNER: LinkAddresses = link([2, 2], [2, 1]);

fn routed(vlan_id: Option<u16>) -> NextHop {
    NextHop {
        link: UNDERLAY,
        vlan_id,
        tunnel: None,
    }
}

/// A device as the words after `type vxlan` make it.
fn device(settings: &str) -> NextHop {
    let words: Vec<&str> = settings.split(' ').collect();
    let value = |name: &str| {
        let place = words.iter().position(|word| *word == name)?;
        words.get(place + 1).copied()
    };
    let local: IpAddr = value("local").unwrap().parse().unwrap();
    let (remote, no_checksum) = match local {
        IpAddr::V4(_) => ("192.0.2.2", "noudpcsum"),
        IpAddr::V6(_) => ("fd00::2", "udp6zerocsumtx"),
    };
    let octet = |name, default: u8| match value(name) {
        None => Setting::Fixed(default),
        Some("inherit") => Setting::Inherit,
        Some(text) => Setting::Fixed(match text.strip_prefix("0x") {
            Some(digits) => u8::from_str_radix(digits, 16).unwrap(),
            None => text.parse().unwrap(),
        }),
    };
    let flow_label = value("flowlabel").map(|text| text.trim_start_matches("0x"));
    NextHop {
        link: UNDERLAY,
        vlan_id: None,
        tunnel: Some(Vxlan {
            local,
            remote: remote.parse().unwrap(),
            hop_limit: octet("ttl", 64),
            ds_field: octet("tos", 0),
            dont_fragment: match value("df") {
                Some("inherit") => Setting::Inherit,
                set => Setting::Fixed(set == Some("set")),
            },
            flow_label: flow_label.map_or(0, |digits| u32::from_str_radix(digits, 16).unwrap()),
            vni: 4097,
            destination_port: 8472,
            source_ports: 50_000..=50_000,
            has_checksum: !words.contains(&no_checksum),
            inner: INNER,
        }),
    }
}

fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Device, what is special, the pod's frame, and the kernel's.
fn captured() -> Vec<(NextHop, &'static str, Vec<u8>, Vec<u8>)> {
    let mut device_now = None;
    let mut cases = Vec::new();
    let mut lines = CAPTURED.lines();
    while let Some(line) = lines.next() {
        if line.contains(" dev un0 local ") {
            device_now = Some(device(line));
        } else if !line.is_empty() && !line.starts_with('#') {
            let mut next = || bytes_of(lines.next().unwrap());
            cases.push((device_now.clone().unwrap(), line, next(), next()));
        }
    }
    cases
}

/// The identification of a captured outer header.
fn identification(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[18], frame[19]])
}

#[test]
fn the_bytes_are_those_of_the_kernel() {
    let cases = captured();
    assert!(cases.len() > 15, "{}", cases.len());
    for (device, what, sent, expected) in cases {
        let mut frame = RoomyFrame::new(&sent, HEADROOM_BYTES);
        let way = Encapsulation::new(&device).unwrap();
        let header_bytes = way.apply(&mut frame, UNMARKED, identification(&expected));
        assert_eq!(header_bytes, Ok(14), "{what}");
        // The kernel cuts off what follows the packet; here it follows the outer packet, and is as little part of it.
        let (packet, padding) = frame.bytes().split_at(expected.len());
        assert_eq!(packet, expected, "{what}: {device:?}");
        assert!(sent.ends_with(padding), "{what}");
    }
}

#[test]
fn over_a_vlan_the_frame_has_a_tag_with_the_priority_of_its_class() {
    let marking = Marking { dscp: None, pcp: 6 };
    for (device, what, sent, expected) in captured() {
        let mut frame = RoomyFrame::new(&sent, HEADROOM_BYTES);
        let device = NextHop {
            vlan_id: Some(4094),
            ..device
        };
        let way = Encapsulation::new(&device).unwrap();
        let header_bytes = way.apply(&mut frame, marking, identification(&expected));
        assert_eq!(header_bytes, Ok(18), "{what}");
        let tag = [0x81, 0x00, 0xcf, 0xfe];
        let tagged = [&expected[..12], &tag, &expected[12..]].concat();
        assert!(frame.bytes().starts_with(&tagged), "{what}");
    }
}

#[test]
fn the_class_decides_on_the_dscp_and_leaves_the_ecn() {
    for (device, what, sent, expected) in captured() {
        let mut frame = RoomyFrame::new(&sent, HEADROOM_BYTES);
        let marking = Marking {
            dscp: Some(46),
            pcp: 0,
        };
        let way = Encapsulation::new(&device).unwrap();
        way.apply(&mut frame, marking, identification(&expected))
            .unwrap();
        let ds_field = |frame: &[u8]| match frame[12] {
            0x08 => frame[15],
            _ => frame[14] << 4 | frame[15] >> 4,
        };
        assert_eq!(ds_field(frame.bytes()) >> 2, 46, "{what}");
        assert_eq!(
            ds_field(frame.bytes()) & 3,
            ds_field(&expected) & 3,
            "{what}"
        );
        assert_eq!(inner(frame.bytes()), inner(&expected), "{what}");
    }
}

/// The frame inside a tunnel, without what follows the packet.
fn inner(frame: &[u8]) -> &[u8] {
    let (udp, end) = match frame[12] {
        0x08 => (
            34,
            14 + usize::from(u16::from_be_bytes([frame[16], frame[17]])),
        ),
        _ => (
            54,
            54 + usize::from(u16::from_be_bytes([frame[18], frame[19]])),
        ),
    };
    &frame[udp + 16..end]
}

#[test]
fn a_network_without_a_tunnel_gets_the_packet_itself() {
    let mut seen = 0;
    for (_, what, sent, expected) in captured() {
        for (vlan_id, tag) in [(None, &[][..]), (Some(5), &[0x81, 0x00, 0xe0, 0x05])] {
            let mut frame = RoomyFrame::new(&sent, HEADROOM_BYTES);
            let way = Encapsulation::new(&routed(vlan_id)).unwrap();
            let marking = Marking {
                dscp: Some(46),
                pcp: 7,
            };
            let header_bytes = way.apply(&mut frame, marking, 1).unwrap();
            assert_eq!(header_bytes as usize, 14 + tag.len(), "{what}");
            let addresses = [UNDERLAY.destination.0, UNDERLAY.source.0].concat();
            let forwarded = [&addresses[..], tag, &inner(&expected)[12..]].concat();
            assert!(frame.bytes().starts_with(&forwarded), "{what}");
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn what_cannot_be_forwarded_is_left_as_it_is() {
    let way = Encapsulation::new(&captured()[0].0).unwrap();
    let good = captured()[0].2.clone();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("an Ethernet header", good[..14].to_vec()),
        ("half an IP header", good[..30].to_vec()),
        ("cut off", good[..good.len() - 1].to_vec()),
        ("another EtherType", with(13, 0x06)),
        ("another version", with(14, 0x65)),
        ("a header that is too short", with(14, 0x44)),
        ("shorter than its header", with(17, 19)),
        ("the last hop", with(22, 1)),
        ("no hop", with(22, 0)),
    ] {
        let mut frame = RoomyFrame::new(&bytes, HEADROOM_BYTES);
        let before = frame.clone();
        let result = way.apply(&mut frame, UNMARKED, 1);
        assert_eq!(result, Err(EncapsulationError::NoPacket), "{what}");
        assert_eq!(frame, before, "{what}");
    }
    let mut frame = RoomyFrame::new(&good, 49);
    let before = frame.clone();
    let result = way.apply(&mut frame, UNMARKED, 1);
    assert_eq!(result, Err(EncapsulationError::NoHeadroom(50)));
    assert_eq!(frame, before);
}

#[test]
fn a_next_hop_has_its_number_until_it_is_left_out() {
    let id = |number| NextHopId(NonZeroU16::new(number).unwrap());
    let mut mixed = device("dev un0 local 192.0.2.1");
    if let Some(tunnel) = &mut mixed.tunnel {
        tunnel.remote = "fd00::2".parse().unwrap();
    }
    let table = NextHops::new([(id(7), routed(None)), (id(2), mixed)]);
    assert!(table.get(id(7)).is_some());
    for absent in [1, 2, 6, 8, u16::MAX] {
        assert!(table.get(id(absent)).is_none(), "{absent}");
    }
}

/// The sum as RFC 1071 defines it, word by word.
fn naive_sum(bytes: &[u8]) -> u16 {
    let mut total = 0u32;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// A UDP packet between these addresses; its own UDP checksum may be anything.
fn packet(
    is_ipv6: bool,
    ds_field: u8,
    hop_limit: u8,
    id: u16,
    ports: [u8; 4],
    data: &[u8],
) -> Vec<u8> {
    let length = 8 + data.len();
    let mut bytes = [mac([0, 1]).0, mac([0, 2]).0].concat();
    if is_ipv6 {
        bytes.extend([0x86, 0xdd, 0x60 | ds_field >> 4, ds_field << 4, 0, 0]);
        bytes.extend((length as u16).to_be_bytes());
        bytes.extend([17, hop_limit]);
        bytes.extend([0xfd; 32]);
    } else {
        bytes.extend([0x08, 0x00, 0x45, ds_field]);
        bytes.extend((20 + length as u16).to_be_bytes());
        bytes.extend(id.to_be_bytes());
        bytes.extend([0, 0, hop_limit, 17, 0, 0, 10, 244, 1, 2, 10, 244, 2, 3]);
        let checksum = !naive_sum(&bytes[14..34]);
        bytes[24..26].copy_from_slice(&checksum.to_be_bytes());
    }
    bytes.extend(ports);
    bytes.extend((length as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(data);
    bytes
}

proptest! {
    #[test]
    fn what_comes_out_of_the_tunnel_went_one_hop_and_every_checksum_is_right(
        is_ipv6 in any::<bool>(),
        underlay_is_ipv6 in any::<bool>(),
        ds_field in any::<u8>(),
        hop_limit in 2..=255u8,
        id in any::<u16>(),
        ports in any::<[u8; 4]>(),
        data in prop::collection::vec(any::<u8>(), 0..1_500),
    ) {
        let sent = packet(is_ipv6, ds_field, hop_limit, id, ports, &data);
        let local = if underlay_is_ipv6 { "fd00::1" } else { "192.0.2.1" };
        let way = Encapsulation::new(&device(&format!("udpcsum dev un0 local {local} tos inherit"))).unwrap();
        let mut frame = RoomyFrame::new(&sent, HEADROOM_BYTES);
        way.apply(&mut frame, UNMARKED, id).unwrap();
        let bytes = frame.bytes();

        let mut arrived = packet(is_ipv6, ds_field, hop_limit - 1, id, ports, &data);
        arrived[..12].copy_from_slice(&[INNER.destination.0, INNER.source.0].concat());
        prop_assert_eq!(inner(bytes), &arrived);

        let (addresses, udp) = if underlay_is_ipv6 { (22, 54) } else { (26, 34) };
        if !underlay_is_ipv6 {
            prop_assert_eq!(naive_sum(&bytes[14..34]), 0xffff);
        }
        let length = u16::from_be_bytes([bytes[udp + 4], bytes[udp + 5]]);
        prop_assert_eq!(usize::from(length), bytes.len() - udp);
        let pseudo_header = [&bytes[addresses..udp], &[0, 17], &length.to_be_bytes()].concat();
        prop_assert_eq!(naive_sum(&[&pseudo_header, &bytes[udp..]].concat()), 0xffff);
        prop_assert_ne!(&bytes[udp + 6..udp + 8], &[0, 0]);
    }

    #[test]
    fn a_flow_keeps_its_source_port_within_the_range(
        ports in any::<[u8; 4]>(),
        first in any::<u16>(),
        more in any::<u16>(),
        is_fragment in any::<bool>(),
    ) {
        let mut next_hop = device("dev un0 local 192.0.2.1");
        let last = first.saturating_add(more);
        if let Some(tunnel) = &mut next_hop.tunnel {
            tunnel.source_ports = first..=last;
        }
        let way = Encapsulation::new(&next_hop).unwrap();
        let port_of = |ports, length: usize| {
            let mut bytes = packet(false, 0, 64, 1, ports, &vec![0; length]);
            bytes[20] |= u8::from(is_fragment) << 5;
            let mut frame = RoomyFrame::new(&bytes, HEADROOM_BYTES);
            way.apply(&mut frame, UNMARKED, 1).unwrap();
            u16::from_be_bytes([frame.bytes()[34], frame.bytes()[35]])
        };
        let port = port_of(ports, 10);
        prop_assert!((first..=last).contains(&port));
        prop_assert_eq!(port, port_of(ports, 20));
        if is_fragment {
            // Only the first fragment has ports, and all must take the same way.
            prop_assert_eq!(port, port_of([0; 4], 10));
        }
    }
}

/// The source ports that a thousand flows get.
fn chosen_of(next_hop: &NextHop) -> BTreeSet<u16> {
    let way = Encapsulation::new(next_hop).unwrap();
    let flows = 0..1_000u16;
    flows
        .map(|port| {
            let [high, low] = port.to_be_bytes();
            let bytes = packet(false, 0, 64, 1, [high, low, 0, 1], &[]);
            let mut frame = RoomyFrame::new(&bytes, HEADROOM_BYTES);
            way.apply(&mut frame, UNMARKED, 1).unwrap();
            u16::from_be_bytes([frame.bytes()[34], frame.bytes()[35]])
        })
        .collect()
}

#[test]
fn flows_spread_over_all_of_the_source_ports() {
    let mut next_hop = device("dev un0 local 192.0.2.1");
    let mut chosen = |ports| {
        if let Some(tunnel) = &mut next_hop.tunnel {
            tunnel.source_ports = ports;
        }
        chosen_of(&next_hop)
    };
    // 1000 of 28231 at random are 982 different ones.
    let different = chosen(32_768..=60_998).len();
    assert!(different > 950, "{different}");
    assert_eq!(chosen(50_000..=50_001), [50_000, 50_001].into());
    assert_eq!(chosen(50_000..=50_000), [50_000].into());
}
