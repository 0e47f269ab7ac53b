//! Overlay mode, byte for byte: what leaves through the daemon is what the kernel would have sent, and what it delivers is
//! what the kernel would have delivered.

use std::{collections::BTreeMap, net::IpAddr};

use tsn_tests::{
    capture::{Capture, CapturedFrame},
    daemon::{Daemon, Home},
    overlay::{Family, Kind, Tunnelled, VLAN_ID, untagged, unwrapped, without_what_may_differ},
    topology::{POD_INTERFACE, Pod},
    wait::wait_until,
};

use super::{
    BOUND, Settings,
    counters::{Counters, number},
    overlay::{OverlayBed, address, node_configuration, ping, wait_for_fast_path},
    packets::{Checksum, Datagram, Ends, PodFrame, send},
    wait_at_rest,
};

/// PCP of the class that all these frames have.
const PCP: u16 = 7;

/// Between a pod of one node and a pod of the other.
fn ends(bed: &OverlayBed, from: &Pod, to: &Pod, family: Family) -> Ends {
    let octets = |text: &str| {
        let octets: Vec<u8> = text
            .split(':')
            .map(|octet| u8::from_str_radix(octet, 16).unwrap())
            .collect();
        octets.try_into().unwrap()
    };
    Ends {
        link: [
            octets(&bed.network.near.router_address()),
            octets(&from.mac),
        ],
        addresses: (address(from, family), address(to, family)),
    }
}

/// Datagrams that differ in all that an outer header may depend on. All match a stream.
fn variety(family: Family, max_packet_bytes: usize) -> Vec<Datagram> {
    let plain = Datagram::default();
    let headers = if family == Family::V4 { 28 } else { 48 };
    let mut all = vec![plain.clone()];
    for ds_field in [1, 2, 3, 0xb8, 0xbb] {
        all.push(Datagram {
            ds_field,
            ..plain.clone()
        });
    }
    for hop_limit in [2, 63, 255] {
        all.push(Datagram {
            hop_limit,
            ..plain.clone()
        });
    }
    for payload_bytes in [
        0,
        1,
        2,
        31,
        500,
        501,
        max_packet_bytes - headers - 1,
        max_packet_bytes - headers,
    ] {
        all.push(Datagram {
            payload_bytes,
            ..plain.clone()
        });
        all.push(Datagram {
            payload_bytes,
            checksum: Checksum::Whole,
            ..plain.clone()
        });
    }
    for source_port in [1, 1024, 50_000, 65_535] {
        all.push(Datagram {
            source_port,
            ..plain.clone()
        });
    }
    all.push(Datagram {
        identification: 0x0777,
        ..plain.clone()
    });
    if family == Family::V4 {
        all.push(Datagram {
            dont_fragment: false,
            identification: 0x1234,
            ..plain.clone()
        });
        all.push(Datagram {
            checksum: Checksum::None,
            ..plain.clone()
        });
    }
    let checksum = Checksum::Whole;
    all.push(Datagram {
        is_first_fragment: true,
        checksum,
        payload_bytes: 504,
        ..plain
    });
    all
}

/// A frame as it came out of the wire.
struct Sent {
    /// What must be equal.
    bytes: Vec<u8>,
    /// Its tag's control information, if it had one.
    tag: Option<u16>,
    /// All of it but the tag.
    frame: CapturedFrame,
}

/// Sends frames from near pod 1 and gives those of them that came out of the wire, sorted by what must be equal.
fn on_the_wire(bed: &OverlayBed, frames: &[PodFrame], family: Family) -> Vec<Sent> {
    let wire = bed.capture();
    send(bed.near(1), frames, family, &bed.home.file("frames"));
    let to = address(bed.far(1), family);
    let is_ours = |frame: &CapturedFrame| is_for(&unwrapped(&untagged(frame).1), to);
    wait_until("all frames on the wire", BOUND, || {
        wire.count(is_ours) == frames.len()
    })
    .unwrap();
    let frames = wire.finish().unwrap().into_iter().filter(is_ours);
    let mut frames: Vec<_> = frames
        .map(|frame| {
            let (tag, frame) = untagged(&frame);
            let bytes = without_what_may_differ(&frame).unwrap();
            Sent { bytes, tag, frame }
        })
        .collect();
    frames.sort_by(|one, other| one.bytes.cmp(&other.bytes));
    frames
}

/// Whether a frame is a UDP datagram to an address, or the first part of one.
fn is_for(frame: &CapturedFrame, to: IpAddr) -> bool {
    let (protocol_at, address_at, to) = match to {
        IpAddr::V4(to) => (23, 30, to.octets().to_vec()),
        IpAddr::V6(to) => (20, 38, to.octets().to_vec()),
    };
    frame.bytes.get(address_at..address_at + to.len()) == Some(&to)
        && matches!(frame.bytes.get(protocol_at), Some(17 | 44))
}

/// The same frames by the kernel's path and by the daemon's have the same bytes on the wire, but for a tag's priority: by
/// the daemon it is that of the class.
pub fn same_bytes(kind: Kind) {
    let bed = OverlayBed::new(kind, 1);
    let (near, far) = (bed.near(1), bed.far(1));
    let sent: Vec<(Family, Vec<PodFrame>)> = Family::ALL
        .into_iter()
        .map(|family| {
            let max_packet_bytes = match kind.underlay(family) {
                Some(Family::V6) => 1_430,
                _ => 1_450,
            };
            let ends = ends(&bed, near, far, family);
            let frames = variety(family, max_packet_bytes);
            (
                family,
                frames
                    .iter()
                    .map(|datagram| datagram.frame(&ends))
                    .collect(),
            )
        })
        .collect();
    // The neighbours are known when it begins.
    for family in Family::ALL {
        ping(near, address(far, family), 1);
    }
    let by_kernel: Vec<_> = sent
        .iter()
        .map(|(family, frames)| on_the_wire(&bed, frames, *family))
        .collect();
    let daemon = bed.start(&Settings::default());
    for ((family, frames), by_kernel) in sent.iter().zip(by_kernel) {
        wait_for_fast_path(&bed, &daemon, *family);
        let before = number(&Counters::of(&daemon).stream("pod1", "timed")["sent"]);
        let by_tsnd = on_the_wire(&bed, frames, *family);
        wait_at_rest(&daemon);
        let counters = Counters::of(&daemon);
        let through = number(&counters.stream("pod1", "timed")["sent"]) - before;
        println!(
            "{kind:?} {family:?}: {through} of {} frames through the daemon",
            frames.len()
        );
        assert_eq!(through, frames.len() as u64, "{}", counters.pod("pod1"));
        counters.assert_conserved();
        for (kernel, tsnd) in by_kernel.iter().zip(&by_tsnd) {
            assert_eq!(kernel.bytes, tsnd.bytes, "{kind:?} {family:?}");
            // The kernel is told of no priority for the tag.
            let tag = |pcp: u16| kind.has_vlan().then_some(pcp << 13 | VLAN_ID);
            assert_eq!(
                (kernel.tag, tsnd.tag),
                (tag(0), tag(PCP)),
                "{kind:?} {family:?}"
            );
        }
        if kind.underlay(*family).is_some() {
            source_ports_are_of_the_flow(&by_tsnd);
        }
    }
    daemon.terminate().unwrap();
}

/// Outer source ports are Linux's for tunnels, the same for a flow and spread over flows.
fn source_ports_are_of_the_flow(frames: &[Sent]) {
    let mut by_flow = BTreeMap::new();
    for sent in frames {
        let outer = Tunnelled::of(&sent.frame).unwrap();
        assert!(
            (32_768..61_000).contains(&outer.source_port),
            "{}",
            outer.source_port
        );
        // To the kernel's hash a fragment has no ports, and a flow label makes another flow.
        let bytes = &outer.inner.bytes;
        let is_ipv4 = bytes[12] == 8;
        let is_plain = if is_ipv4 {
            bytes[20] & 0x20 == 0
        } else {
            bytes[20] == 17 && bytes[16..18] == [0, 0]
        };
        let udp_at = if is_ipv4 { 34 } else { 54 };
        if is_plain && bytes[udp_at..udp_at + 2] == 40_000_u16.to_be_bytes() {
            by_flow
                .entry("the plain flow")
                .or_insert_with(Vec::new)
                .push(outer.source_port);
        } else {
            by_flow.entry("others").or_default().push(outer.source_port);
        }
    }
    let plain = &by_flow["the plain flow"];
    assert!(
        plain.iter().all(|port| port == &plain[0]),
        "one flow, one port: {plain:?}"
    );
    assert!(
        by_flow["others"].iter().any(|port| port != &plain[0]),
        "{by_flow:?}"
    );
}

/// Sends frames from near pod 1 and gives what arrived of them at far pod 1, sorted.
fn at_the_far_pod(bed: &OverlayBed, frames: &[PodFrame], family: Family) -> Vec<Vec<u8>> {
    let capture = Capture::start_whole(&bed.far(1).namespace, POD_INTERFACE).unwrap();
    send(bed.near(1), frames, family, &bed.home.file("frames"));
    let to = address(bed.far(1), family);
    let is_ours = |frame: &CapturedFrame| is_for(frame, to);
    wait_until("all frames at the pod", BOUND, || {
        capture.count(is_ours) == frames.len()
    })
    .unwrap();
    let frames = capture.finish().unwrap().into_iter().filter(is_ours);
    let mut frames: Vec<_> = frames
        .map(|frame| without_what_may_differ(&frame).unwrap())
        .collect();
    frames.sort();
    frames
}

/// What the far node's daemon delivers has the same bytes as what its kernel delivers.
pub fn same_delivery(kind: Kind) {
    let bed = OverlayBed::new(kind, 1);
    let (near, far) = (bed.near(1), bed.far(1));
    let home = Home::new().unwrap();
    let sent = Family::ALL.map(|family| {
        let ends = ends(&bed, near, far, family);
        let arrives = |datagram: &Datagram| datagram.hop_limit > 2;
        let all = variety(family, 1_430).into_iter().filter(arrives);
        all.map(|datagram| datagram.frame(&ends))
            .collect::<Vec<_>>()
    });
    for family in Family::ALL {
        ping(near, address(far, family), 1);
    }
    let all = || {
        let families = Family::ALL.into_iter().zip(&sent);
        families
            .map(|(family, frames)| at_the_far_pod(&bed, frames, family))
            .collect::<Vec<_>>()
    };
    let by_kernel = all();
    let configuration = node_configuration(&bed.network.far, &Settings::default());
    let daemon = Daemon::start(
        &bed.network.far.namespace,
        &home,
        &configuration,
        &["--cpu", "1"],
    )
    .unwrap();
    let delivered = || number(&Counters::of(&daemon).pod("pod1")["kernel"]["delivered"]);
    wait_until("the far node to deliver by its daemon", BOUND, || {
        let before = delivered();
        all();
        delivered() > before
    })
    .unwrap();
    let before = delivered();
    assert_eq!(all(), by_kernel);
    // Fragments keep the kernel's path.
    let whole = sent.iter().map(Vec::len).sum::<usize>() - 2;
    assert_eq!(delivered() - before, whole as u64);
    for family in Family::ALL {
        ping(near, address(far, family), 3);
    }
    daemon.terminate().unwrap();
}
