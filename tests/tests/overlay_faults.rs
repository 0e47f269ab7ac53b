//! What changes under an overlay pod's traffic: frames take the kernel's path until the daemon knows the new way, and none
//! goes where it should not.

mod common;

use std::time::Duration;

use common::{
    BOUND, CONTROL, Settings,
    counters::{Counters, number},
    overlay::{OverlayBed, datagrams, wait_for_fast_path},
    traffic::{Talker, lost, mark, numbers, report},
    wait_at_rest,
};
use tsn_tests::{
    capture::{Capture, CapturedFrame},
    daemon::Daemon,
    overlay::{Family, Kind, Tunnelled, unwrapped},
    wait::wait_until,
};

const GAP: Duration = Duration::from_millis(1);

/// A talker's datagrams go through the daemon.
struct Served {
    bed: OverlayBed,
    daemon: Daemon,
    wire: Capture,
    talker: Talker,
}

impl Served {
    fn new(kind: Kind) -> Self {
        let bed = OverlayBed::new(kind, 1);
        let settings = Settings {
            heartbeat_timeout: "100ms",
            ..Settings::default()
        };
        let daemon = bed.start(&settings);
        wait_for_fast_path(&bed, &daemon, Family::V4);
        let wire = bed.capture();
        let talker = Talker::start(bed.near(1), bed.far(1), CONTROL, 200, GAP);
        let served = Self {
            bed,
            daemon,
            wire,
            talker,
        };
        served.wait_served();
        served
    }

    fn received(&self) -> u64 {
        number(&Counters::of(&self.daemon).stream("pod1", "timed")["received"])
    }

    fn no_route(&self) -> u64 {
        number(&Counters::of(&self.daemon).pod("pod1")["kernel"]["fallback_no_route"])
    }

    /// Waits until the daemon takes the talker's datagrams (again), and one is on the wire.
    fn wait_served(&self) {
        let before = self.received();
        wait_until("the daemon to take datagrams", BOUND, || {
            self.received() > before + 20
        })
        .unwrap();
        self.wait_on_wire(|_| true);
    }

    /// Waits until the kernel takes them.
    fn wait_left_to_the_kernel(&self) {
        let before = self.no_route();
        wait_until("the kernel to take datagrams", BOUND, || {
            self.no_route() > before + 20
        })
        .unwrap();
    }

    /// Waits for a datagram that is sent from now on and whose frame on the wire is `wanted`.
    fn wait_on_wire(&self, is_wanted: impl Fn(&CapturedFrame) -> bool) {
        let from = self.talker.sent();
        wait_until("a new datagram on the wire", BOUND, || {
            let is_new = |frame: &CapturedFrame| {
                is_wanted(frame)
                    && mark(&unwrapped(frame)).is_some_and(|(_, number)| number >= from)
            };
            self.wire.count(is_new) > 0
        })
        .unwrap();
    }

    /// Ends it all. The frames with our datagrams, and the numbers of those that did not come out of the wire. What the
    /// daemon dropped is among them and no more than them.
    fn finish(self, what: &str) -> (Vec<CapturedFrame>, Vec<u32>) {
        let sent = self.talker.finish();
        wait_at_rest(&self.daemon);
        let counters = Counters::of(&self.daemon);
        counters.assert_conserved();
        self.daemon.terminate().unwrap();
        let mut frames = self.wire.finish().unwrap();
        frames.retain(|frame| mark(&unwrapped(frame)).is_some());
        let lost = lost(&numbers(&datagrams(&frames), CONTROL), sent);
        report(what, sent, lost.len(), &counters.all_causes());
        assert!(
            counters.all_drops() <= lost.len() as u64,
            "{}",
            counters.all_causes()
        );
        (frames, lost)
    }
}

/// Forgets the near node's neighbours over and over.
#[test]
fn a_forgotten_neighbour_is_found_again() {
    let served = Served::new(Kind::Vxlan);
    for _ in 0..5 {
        let before = served.no_route();
        served.bed.network.near.forget_underlay().unwrap();
        served.wait_served();
        println!(
            "{} datagrams meanwhile by the kernel",
            served.no_route() - before
        );
    }
    let (_, lost) = served.finish("neighbour forgotten five times");
    assert_eq!(
        lost, [0; 0],
        "the kernel holds a packet until its neighbour is found"
    );
}

#[test]
fn a_neighbour_that_was_never_known_is_resolved_by_the_kernel() {
    let bed = OverlayBed::new(Kind::HostGateway, 1);
    let daemon = bed.start(&Settings::default());
    bed.network.near.forget_underlay().unwrap();
    let wire = bed.capture();
    let talker = Talker::start(bed.near(1), bed.far(1), CONTROL, 200, GAP);
    let counters = || Counters::of(&daemon);
    wait_until("the daemon to take datagrams", BOUND, || {
        number(&counters().stream("pod1", "timed")["received"]) > 20
    })
    .unwrap();
    let sent = talker.finish();
    wait_at_rest(&daemon);
    assert!(number(&counters().pod("pod1")["kernel"]["fallback_no_route"]) > 0);
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    assert_eq!(lost(&numbers(&datagrams(&frames), CONTROL), sent), [0; 0]);
}

#[test]
fn a_next_hop_with_a_new_address_gets_the_frames() {
    const NEW: [u8; 6] = [2, 0x0e, 0, 0, 0, 9];
    let served = Served::new(Kind::Vxlan);
    served
        .bed
        .network
        .far
        .change_uplink_address("02:0e:00:00:00:09")
        .unwrap();
    served.wait_on_wire(|frame| frame.bytes[..6] == NEW);
    served.wait_served();
    let (frames, lost) = served.finish("next hop's address changed");
    assert_eq!(lost, [0; 0], "the wire takes frames for any address");
    // Once it has been told, nothing goes to the old one.
    let new = |frame: &CapturedFrame| frame.bytes[..6] == NEW;
    let first = frames.iter().position(new).unwrap();
    let late_old = frames[first..].iter().filter(|frame| !new(frame)).count();
    println!("{late_old} frames to the old address after the first to the new one");
    assert!(frames[frames.len() - 20..].iter().all(new));
}

#[test]
fn a_withdrawn_route_takes_nothing_and_serves_again_when_it_is_back() {
    let served = Served::new(Kind::Vxlan);
    let (near, far) = (&served.bed.network.near, &served.bed.network.far);
    near.withdraw_routes(far).unwrap();
    served.wait_left_to_the_kernel();
    let at_rest = served.received();
    served.talker.wait_more(50);
    assert_eq!(
        served.received(),
        at_rest,
        "nothing goes through the daemon without a route"
    );
    let on_wire = || served.wire.count(|frame| mark(&unwrapped(frame)).is_some());
    let withdrawn = on_wire();
    served.talker.wait_more(50);
    assert_eq!(on_wire(), withdrawn, "nothing leaves");
    near.learn(far).unwrap();
    served.wait_served();
    let (_, lost) = served.finish("route withdrawn and back");
    assert!(!lost.is_empty(), "the kernel had no route either");
}

#[test]
fn a_tunnel_that_is_made_anew_is_entered_with_its_new_address() {
    let mut served = Served::new(Kind::Vxlan);
    served.bed.network.remake_near_tunnels().unwrap();
    let is_new = |frame: &CapturedFrame| {
        Tunnelled::of(frame).is_some_and(|outer| {
            outer.inner.bytes[6..9] == [2, 0xf1, 0] && outer.inner.bytes[9] == 1
        })
    };
    served.wait_on_wire(is_new);
    served.wait_served();
    let (frames, _) = served.finish("tunnel deleted and made anew");
    assert!(frames[frames.len() - 20..].iter().all(is_new));
}

#[test]
fn a_restarted_daemon_goes_on_where_it_was() {
    let bed = OverlayBed::new(Kind::Vxlan, 1);
    let settings = Settings {
        heartbeat_timeout: "100ms",
        ..Settings::default()
    };
    let daemon = bed.start(&settings);
    wait_for_fast_path(&bed, &daemon, Family::V4);
    let wire = bed.capture();
    let talker = Talker::start(bed.near(1), bed.far(1), CONTROL, 200, GAP);
    talker.wait_more(200);
    let ended_at = talker.sent();
    daemon.terminate().unwrap();
    talker.wait_more(200);
    let daemon = bed.start(&settings);
    let received = || number(&Counters::of(&daemon).stream("pod1", "timed")["received"]);
    wait_until("the daemon to take datagrams", BOUND, || received() > 100).unwrap();
    let killed_at = talker.sent();
    daemon.kill().unwrap();
    talker.wait_more(500);
    let daemon = bed.start(&settings);
    let received = || number(&Counters::of(&daemon).stream("pod1", "timed")["received"]);
    wait_until("the daemon to take datagrams", BOUND, || received() > 100).unwrap();
    let sent = talker.finish();
    wait_at_rest(&daemon);
    Counters::of(&daemon).assert_conserved();
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    let lost = lost(&numbers(&datagrams(&frames), CONTROL), sent);
    report(
        "ended and restarted, killed and restarted",
        sent,
        lost.len(),
        "at the kill",
    );
    assert!(
        lost.iter().all(|number| number.abs_diff(killed_at) < 300),
        "ended at {ended_at}, killed at {killed_at}: lost {lost:?}"
    );
}
