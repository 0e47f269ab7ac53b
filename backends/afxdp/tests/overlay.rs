//! Which frames of an overlay pod are handed over, and with which next hop. Needs root.

mod bed;

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use bed::{HOST_END, Namespaces, POD, POD_END};
use tsn_afxdp::{AfxdpBackend, AfxdpPort};
use tsn_common::{Rule, RuleFields};
use tsn_port::{Backend, Frame, NextHopId, Overlay, PodAttachment, PodMode, Port, Route};
use tsn_programs::Device;

const PATIENCE: Duration = Duration::from_secs(10);
const MTU_BYTES: u16 = 1450;
/// Of all datagrams, from and to.
const PORT: u16 = 0x1e6c;
const NO_ROUTE: Way = Way::Kernel("fallback_no_route");
const OVERSIZE: Way = Way::Kernel("fallback_oversize");

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    NextHop(u16),
    Kernel(&'static str),
}

struct Bed {
    namespaces: Namespaces,
    backend: AfxdpBackend,
    sender: AfxdpPort,
    receiver: AfxdpPort,
}

impl Bed {
    /// With a pod of that mode.
    fn new(mode: PodMode) -> Self {
        Self::open(Namespaces::new(), mode, Rule::default())
    }

    /// With an overlay pod of which only what [`ipv4`] makes is time-sensitive, not what its kernel says by itself.
    fn of_datagrams() -> Self {
        let rule = Rule {
            fields: RuleFields::UDP_PORT,
            udp_port_first: PORT,
            udp_port_last: PORT,
            ..Rule::default()
        };
        Self::open(Namespaces::new(), PodMode::Overlay, rule)
    }

    fn open(namespaces: Namespaces, mode: PodMode, rule: Rule) -> Self {
        let pod = PodAttachment {
            mode,
            rules: vec![rule],
            ..namespaces.attachment()
        };
        for address in [SOURCE, SOURCE6] {
            namespaces
                .in_pod(|| bed::run(&format!("ip addr replace {address} dev {POD_END} nodad")));
        }
        let mut backend = AfxdpBackend::open(&bed::config()).expect("backend");
        backend.heartbeat().beat();
        let receiver = backend.attach_pod(&pod).expect("pod port");
        let sender = namespaces
            .in_pod(|| backend.open_uplink(POD_END))
            .expect("the pod's end");
        Self {
            namespaces,
            backend,
            sender,
            receiver,
        }
    }

    /// The same node with another run of the daemon.
    fn restarted(self) -> Self {
        let namespaces = self.namespaces;
        drop((self.backend, self.receiver, self.sender));
        Self::open(namespaces, PodMode::Overlay, Rule::default())
    }

    fn kernel_counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = self.backend.pod_counters(POD);
        counters.retain(|(name, _)| name.starts_with("fallback"));
        counters
    }

    /// Sends a frame from the pod, and gives what became of it.
    fn way(&mut self, bytes: &[u8]) -> Way {
        let before = self.kernel_counters();
        let mut frame = self.sender.allocate(bytes.len()).expect("a free chunk");
        frame.bytes_mut().copy_from_slice(bytes);
        self.sender.transmit(frame).expect("room in the ring");
        let start = Instant::now();
        loop {
            self.sender.wake().expect("wake");
            let received = self.receiver.receive();
            if let Some(frame) = received.filter(|frame| frame.bytes() == bytes) {
                assert_eq!(self.kernel_counters(), before);
                return Way::NextHop(frame.next_hop().map_or(0, |id| id.0.get()));
            }
            let mut after = self.kernel_counters().into_iter().zip(&before);
            if let Some(((name, _), _)) = after.find(|((_, after), (_, before))| after > before) {
                return Way::Kernel(name);
            }
            assert!(start.elapsed() < PATIENCE, "{bytes:02x?} got lost");
        }
    }

    /// Sends a frame all the time while the overlay changes again and again, and gives how many arrived with a next hop.
    fn arrived_during(&mut self, bytes: &[u8], overlays: &[Overlay]) -> u64 {
        const ROUNDS: usize = 500;
        let Self {
            backend,
            sender,
            receiver,
            ..
        } = self;
        let mut arrived = 0;
        std::thread::scope(|scope| {
            let changes = scope.spawn(move || {
                for overlay in std::iter::repeat_n(overlays, ROUNDS).flatten() {
                    backend.set_overlay(overlay).expect("routes");
                }
            });
            while !changes.is_finished() {
                if let Some(mut frame) = sender.allocate(bytes.len()) {
                    frame.bytes_mut().copy_from_slice(bytes);
                    drop(sender.transmit(frame));
                }
                sender.wake().expect("wake");
                while let Some(frame) = receiver.receive() {
                    arrived += u64::from(frame.next_hop().is_some());
                }
            }
        });
        arrived
    }

    fn expect(&mut self, what: &str, bytes: &[u8], expected: Way) {
        assert_eq!(self.way(bytes), expected, "{what}: {bytes:02x?}");
    }
}

fn to(id: u16) -> Route {
    Route::NextHop {
        id: NextHopId(NonZeroU16::new(id).expect("not 0")),
        mtu_bytes: MTU_BYTES,
    }
}

fn overlay(routes: &[(&str, Route)]) -> Overlay {
    Overlay {
        routes: routes
            .iter()
            .map(|(prefix, route)| (prefix.parse().expect("a prefix"), *route))
            .collect(),
        tunnels: Vec::new(),
    }
}

/// A datagram for `destination` in a frame for the pod's router, which is the host end itself.
fn ipv4(destination: [u8; 4]) -> Vec<u8> {
    let router = Device::by_name(HOST_END).expect("the host end").address;
    let mut frame = [&router[..], &[2, 0, 0, 0, 0, 1, 0x08, 0]].concat();
    frame.extend([0x45, 0, 0, 48, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 244, 1, 2]);
    frame.extend(destination);
    frame.extend([0x1e, 0x6c, 0x1e, 0x6c, 0, 28, 0, 0]);
    frame.extend([7; 20]);
    frame
}

fn ipv6(destination: [u8; 16]) -> Vec<u8> {
    let mut frame = ipv4([0; 4]);
    frame.truncate(12);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 28, 17, 64]);
    frame.extend([0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    frame.extend(destination);
    frame.extend([0x1e, 0x6c, 0x1e, 0x6c, 0, 28, 0, 0]);
    frame.extend([7; 20]);
    frame
}

/// The frame with bytes of it changed.
fn with(mut frame: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    frame[offset..offset + bytes.len()].copy_from_slice(bytes);
    frame
}

/// The frame with its packet made as long as this.
fn resized(mut frame: Vec<u8>, packet_bytes: u16) -> Vec<u8> {
    frame.resize(14 + usize::from(packet_bytes), 7);
    match frame[12] {
        0x08 => with(frame, 16, &packet_bytes.to_be_bytes()),
        _ => with(frame, 18, &(packet_bytes - 40).to_be_bytes()),
    }
}

/// The pod's addresses.
const SOURCE: &str = "10.244.1.2/32";
const SOURCE6: &str = "fd01::2/128";
const REMOTE: [u8; 4] = [10, 244, 2, 3];
const REMOTE6: [u8; 16] = [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];

fn routes() -> Overlay {
    overlay(&[
        ("10.244.0.0/16", Route::Kernel),
        ("10.244.2.0/24", to(7)),
        ("10.244.2.128/32", to(65535)),
        ("10.244.2.64/26", Route::Kernel),
        ("fd02::/64", to(9)),
        ("224.0.0.0/3", to(1)),
        ("fe80::/9", to(1)),
    ])
}

#[test]
fn the_longest_prefix_decides_and_what_is_more_than_forwarding_is_the_kernels() {
    let mut bed = Bed::new(PodMode::Overlay);
    bed.expect("before any route", &ipv4(REMOTE), NO_ROUTE);
    bed.backend.set_overlay(&routes()).expect("routes");
    let hop = Way::NextHop;

    bed.expect("a route", &ipv4(REMOTE), hop(7));
    bed.expect("a host route", &ipv4([10, 244, 2, 128]), hop(65535));
    bed.expect("the kernel's route", &ipv4([10, 244, 2, 65]), NO_ROUTE);
    bed.expect("a wider one", &ipv4([10, 244, 3, 1]), NO_ROUTE);
    bed.expect("none", &ipv4([192, 0, 2, 1]), NO_ROUTE);
    bed.expect("a route of IPv6", &ipv6(REMOTE6), hop(9));
    bed.expect("none of IPv6", &ipv6([0xfd; 16]), NO_ROUTE);

    for frame in [ipv4(REMOTE), ipv6(REMOTE6)] {
        let expected = bed.way(&frame);
        bed.expect(
            "as long as may be",
            &resized(frame.clone(), MTU_BYTES),
            expected,
        );
        bed.expect("longer", &resized(frame.clone(), MTU_BYTES + 1), OVERSIZE);
        let longer = [&frame[..], &[0]].concat();
        bed.expect("a byte behind the packet", &longer, NO_ROUTE);
        let hop_limit = if frame[12] == 0x08 { 22 } else { 21 };
        bed.expect(
            "last hop but one",
            &with(frame.clone(), hop_limit, &[2]),
            expected,
        );
        bed.expect("last hop", &with(frame.clone(), hop_limit, &[1]), NO_ROUTE);
        bed.expect("no hop", &with(frame.clone(), hop_limit, &[0]), NO_ROUTE);
        bed.expect("another's", &with(frame.clone(), 0, &[2; 6]), NO_ROUTE);
        bed.expect("a broadcast", &with(frame.clone(), 0, &[0xff; 6]), NO_ROUTE);
        let source = if frame[12] == 0x08 { 26 } else { 22 };
        let byte = frame[source + 1];
        bed.expect(
            "from another",
            &with(frame.clone(), source + 1, &[byte ^ 8]),
            NO_ROUTE,
        );
        bed.expect("no IP", &with(frame.clone(), 12, &[0x88, 0xb5]), NO_ROUTE);
        let mut tagged = frame.clone();
        tagged.splice(12..12, [0x81, 0, 0x60, 5]);
        bed.expect("a VLAN", &tagged, NO_ROUTE);
    }

    bed.expect("a fragment", &with(ipv4(REMOTE), 20, &[0x20, 5]), hop(7));
    bed.expect("options", &with(ipv4(REMOTE), 14, &[0x46]), NO_ROUTE);
    bed.expect("not version 4", &with(ipv4(REMOTE), 14, &[0x65]), NO_ROUTE);
    bed.expect("a multicast", &ipv4([224, 0, 1, 129]), NO_ROUTE);
    bed.expect("every host", &ipv4([255; 4]), NO_ROUTE);
    bed.expect("from loopback", &with(ipv4(REMOTE), 26, &[127]), NO_ROUTE);
    bed.expect("hop by hop", &with(ipv6(REMOTE6), 20, &[0]), NO_ROUTE);
    let link_local = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
    bed.expect("link-local", &ipv6(link_local), NO_ROUTE);
    bed.expect(
        "from link-local",
        &with(ipv6(REMOTE6), 22, &link_local),
        NO_ROUTE,
    );
}

#[test]
fn a_packet_that_is_cut_off_is_the_kernels_at_every_length() {
    let mut bed = Bed::new(PodMode::Overlay);
    bed.backend.set_overlay(&routes()).expect("routes");
    for frame in [ipv4(REMOTE), ipv6(REMOTE6)] {
        for length in 14..frame.len() {
            bed.expect("cut off", &frame[..length], NO_ROUTE);
        }
    }
}

#[test]
fn routes_are_replaced_as_a_whole_and_end_with_their_daemon() {
    let mut bed = Bed::new(PodMode::Overlay);
    bed.backend.set_overlay(&routes()).expect("routes");
    bed.expect("at first", &ipv4(REMOTE), Way::NextHop(7));
    let other = overlay(&[("10.244.0.0/16", to(3)), ("10.244.2.64/26", to(4))]);
    bed.backend.set_overlay(&other).expect("other routes");
    bed.expect("now of a wider prefix", &ipv4(REMOTE), Way::NextHop(3));
    bed.expect("changed", &ipv4([10, 244, 2, 65]), Way::NextHop(4));
    bed.expect("removed", &ipv6(REMOTE6), NO_ROUTE);

    let mut bed = bed.restarted();
    bed.expect("an earlier run's number", &ipv4(REMOTE), NO_ROUTE);
    bed.backend.set_overlay(&routes()).expect("routes");
    bed.expect("again", &ipv4(REMOTE), Way::NextHop(7));
}

#[test]
fn routes_that_cannot_be_set_leave_everything_to_the_kernel() {
    let mut bed = Bed::new(PodMode::Overlay);
    bed.backend.set_overlay(&routes()).expect("routes");
    bed.expect("at first", &ipv4(REMOTE), Way::NextHop(7));
    let too_many = Overlay {
        routes: vec![routes().routes[0]; tsn_common::MAX_ROUTES as usize + 1],
        ..Overlay::default()
    };
    assert!(bed.backend.set_overlay(&too_many).is_err());
    bed.expect("after the failure", &ipv4(REMOTE), NO_ROUTE);
}

#[test]
fn an_exception_is_in_force_whenever_the_wider_prefix_is() {
    let mut bed = Bed::of_datagrams();
    let ways = overlay(&[("10.244.2.0/24", to(7)), ("10.244.2.3/32", Route::Kernel)]);
    let arrived = bed.arrived_during(&ipv4(REMOTE), &[Overlay::default(), ways]);
    assert_eq!(arrived, 0);
    let nothing = ("fallback_no_route", 0);
    assert!(
        !bed.kernel_counters().contains(&nothing),
        "nothing was sent meanwhile"
    );
}

#[test]
fn a_change_of_routes_leaves_no_gap() {
    let mut bed = Bed::of_datagrams();
    let narrow = overlay(&[("10.244.2.0/25", to(7)), ("10.244.2.128/25", to(7))]);
    let wide = overlay(&[("10.244.2.0/24", to(7))]);
    bed.backend.set_overlay(&wide).expect("routes");
    let bytes = ipv4(REMOTE);
    let arrived = bed.arrived_during(&bytes, &[narrow, wide]);
    assert!(arrived > 0, "nothing was sent meanwhile");
    let left = bed.kernel_counters();
    assert!(left.iter().all(|(_, count)| *count == 0), "{left:?}");
}

#[test]
fn frames_of_an_ordinary_pod_have_no_next_hop() {
    let mut bed = Bed::new(PodMode::L2);
    bed.backend.set_overlay(&routes()).expect("routes");
    bed.expect("as it is", &ipv4(REMOTE), Way::NextHop(0));
}
