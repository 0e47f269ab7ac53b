//! Faults, made to happen under traffic: what was lost, by cause, and that the kernel path carries on.

mod common;

use std::time::Duration;

use common::{
    BEST_EFFORT, BOUND, Bed, CONTROL, Settings, VIDEO, configuration_without_pods,
    counters::{Counters, number, sum},
    pod_settings,
    traffic::{Talker, assert_complete, lost, numbers},
    wait_at_rest,
};
use tsn_tests::{capture::Capture, process::Signal, topology::UPLINK, wait::wait_until};

const FRAME_BYTES: usize = 200;
const GAP: Duration = Duration::from_millis(1);

/// A daemon that is taken for dead after a tenth of a second: long enough for a busy machine.
fn mortal() -> Settings<'static> {
    Settings {
        heartbeat_timeout: "100ms",
        ..Settings::default()
    }
}

fn control_talker(bed: &Bed) -> Talker {
    Talker::start(bed.near(1), bed.far(1), CONTROL, FRAME_BYTES, GAP)
}

/// The numbers that did not come out of the wire.
fn lost_of(wire: Capture, port: u16, sent: u32) -> Vec<u32> {
    lost(&numbers(&wire.finish().unwrap(), port), sent)
}

fn report(fault: &str, sent: u32, lost: usize, causes: &str) {
    println!("{fault}: {sent} sent, {lost} lost ({causes})");
}

#[test]
fn sigkill_loses_what_was_in_the_daemon_and_the_kernel_carries_on() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&mortal()));
    let wire = bed.capture();
    let talker = control_talker(&bed);
    talker.wait_through(&wire);
    talker.wait_more(200);
    let before_kill = talker.sent();
    daemon.kill().unwrap();
    let after_kill = talker.sent();
    talker.wait_through(&wire);
    talker.wait_more(300);
    let sent = talker.finish();
    wait_until("the last datagram", BOUND, || {
        wire.count(|frame| common::traffic::mark(frame) == Some((CONTROL, sent - 1))) == 1
    })
    .unwrap();
    let lost = lost_of(wire, CONTROL, sent);
    report(
        "SIGKILL",
        sent,
        lost.len(),
        "in the daemon's rings and queues",
    );
    // A frame waits a cycle at most; only what was on its way then, or came before the socket was closed, is gone.
    let is_near =
        |number: &u32| (before_kill.saturating_sub(100)..after_kill + 100).contains(number);
    assert!(
        lost.iter().all(is_near),
        "killed at {before_kill}: lost {lost:?}"
    );
}

#[test]
fn sigstop_for_a_second_every_lost_frame_has_a_cause() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&mortal()));
    let wire = bed.capture();
    let talker = control_talker(&bed);
    talker.wait_through(&wire);
    talker.wait_more(100);
    let fallback =
        |counters: &Counters| number(&counters.pod("pod1")["kernel"]["fallback_heartbeat"]);
    let fallback_before = fallback(&Counters::of(&daemon));
    daemon.process.signal(Signal::SIGSTOP).unwrap();
    // The kernel path takes over while the daemon is stopped.
    talker.wait_more(300);
    talker.wait_through(&wire);
    talker.wait_more(700);
    daemon.process.signal(Signal::SIGCONT).unwrap();
    talker.wait_through(&wire);
    talker.wait_more(200);
    let sent = talker.finish();
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    let carried = fallback(&counters) - fallback_before;
    assert!(carried > 100, "the kernel path carried {carried} frames");
    daemon.terminate().unwrap();
    let lost = lost_of(wire, CONTROL, sent);
    report(
        "SIGSTOP for a second",
        sent,
        lost.len(),
        &counters.all_causes(),
    );
    println!("  {carried} went by the kernel path meanwhile");
    assert_eq!(lost.len() as u64, counters.all_drops(), "{lost:?}");
}

#[test]
fn sigterm_under_traffic_drains_and_loses_nothing() {
    let bed = Bed::new(1);
    // Windows so rare that frames wait when the signal comes.
    let list = "[ { gate-states-value: [7], time-interval-value: 1ms },
                  { gate-states-value: [5], time-interval-value: 59ms } ]";
    let daemon = bed.start(&bed.configuration(&Settings { list, ..mortal() }));
    let wire = bed.capture();
    let talker = control_talker(&bed);
    talker.wait_through(&wire);
    wait_until("frames to wait in the queue", BOUND, || {
        number(&Counters::of(&daemon).class(7)["queued"]) > 5
    })
    .unwrap();
    daemon.terminate().unwrap();
    talker.wait_through(&wire);
    talker.wait_more(100);
    let sent = talker.finish();
    wait_until("the last datagram", BOUND, || {
        wire.count(|frame| common::traffic::mark(frame) == Some((CONTROL, sent - 1))) == 1
    })
    .unwrap();
    let lost = lost_of(wire, CONTROL, sent);
    report("SIGTERM", sent, lost.len(), "none allowed");
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn a_deleted_pod_takes_nothing_with_it() {
    let mut bed = Bed::new(2);
    // Class 5 waits long enough that frames of the pod are queued when it goes.
    let list = "[ { gate-states-value: [7], time-interval-value: 390ms },
                  { gate-states-value: [5], time-interval-value: 10ms } ]";
    let daemon = bed.start(&bed.configuration(&Settings { list, ..mortal() }));
    let wire = bed.capture();
    let neighbour = control_talker(&bed);
    let doomed = Talker::start(bed.near(2), bed.far(2), VIDEO, FRAME_BYTES, GAP);
    doomed.wait_through(&wire);
    doomed.wait_more(100);
    // A namespace lives as long as a socket in it, so its program has to end first, as in a container.
    let sent_by_doomed = doomed.finish();
    bed.network.delete_near_pod(1);
    wait_until("the daemon to miss the pod", BOUND, || {
        daemon
            .control
            .get("/v1/pods/pod2")
            .is_ok_and(|pod| pod["attached"] == false && pod["waits-for"].is_string())
    })
    .unwrap();
    neighbour.wait_through(&wire);
    neighbour.wait_more(100);
    let sent = neighbour.finish();
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    assert_eq!(counters.pod("pod1")["attached"], true);
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    assert_complete(&numbers(&frames, CONTROL), sent);
    let lost = lost(&numbers(&frames, VIDEO), sent_by_doomed);
    report(
        "pod deleted",
        sent_by_doomed,
        lost.len(),
        "on the way through its veth",
    );
    // What the daemon had received still left; only what was between the two ends of the veth can be gone.
    assert!(lost.len() <= 64, "{lost:?}");
}

#[test]
fn uplink_down_and_up_again_every_lost_frame_has_a_cause() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&mortal()));
    let wire = bed.capture();
    let talker = control_talker(&bed);
    talker.wait_through(&wire);
    let near = &bed.network.near.namespace;
    near.batch("ip", &format!("link set {UPLINK} down\n"))
        .unwrap();
    wait_until("frames to be dropped for the link", BOUND, || {
        number(&Counters::of(&daemon).status["uplink"]["drops"]["link_down"]) >= 100
    })
    .unwrap();
    assert_eq!(Counters::of(&daemon).status["uplink"]["up"], false);
    near.batch("ip", &format!("link set {UPLINK} up\n"))
        .unwrap();
    talker.wait_through(&wire);
    talker.wait_more(200);
    let sent = talker.finish();
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    assert_eq!(counters.status["uplink"]["up"], true);
    daemon.terminate().unwrap();
    let lost = lost_of(wire, CONTROL, sent);
    report(
        "uplink down and up",
        sent,
        lost.len(),
        &counters.all_causes(),
    );
    assert_eq!(lost.len() as u64, counters.all_drops(), "{lost:?}");
}

#[test]
fn full_queues_drop_by_name_and_touch_no_other_class() {
    let bed = Bed::new(2);
    // Class 5 may send once a second, and holds 64 frames; pod2 may hold 32 in all.
    let list = "[ { gate-states-value: [7, 0], time-interval-value: 990ms },
                  { gate-states-value: [5], time-interval-value: 10ms } ]";
    let settings = Settings {
        list,
        capacity: 64,
        ..Settings::default()
    };
    let small = Settings {
        frame_quota: 32,
        ..Settings::default()
    };
    let configuration = format!(
        "{}pods:\n  - {}\n  - {}\n",
        configuration_without_pods(&settings),
        pod_settings(bed.near(1), &settings),
        pod_settings(bed.near(2), &small)
    );
    let daemon = bed.start(&configuration);
    let wire = bed.capture();
    let steady = Talker::start(
        bed.near(1),
        bed.far(1),
        BEST_EFFORT,
        FRAME_BYTES,
        Duration::from_millis(2),
    );
    let gap = Duration::from_micros(500);
    let floods =
        [1, 2].map(|pod| Talker::start(bed.near(pod), bed.far(pod), VIDEO, FRAME_BYTES, gap));
    wait_until("both kinds of drops", BOUND, || {
        let counters = Counters::of(&daemon);
        number(&counters.class(5)["drops"]["queue_full"]) > 100
            && number(&counters.pod("pod2")["drops"]["quota_exceeded"]) > 100
    })
    .unwrap();
    steady.wait_more(100);
    let flooded: u32 = floods.map(Talker::finish).into_iter().sum();
    let sent = steady.finish();
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    for class in [0, 7] {
        assert_eq!(sum(&counters.class(class)["drops"]), 0);
    }
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    report(
        "queues full",
        flooded,
        flooded as usize - numbers(&frames, VIDEO).len(),
        &counters.all_causes(),
    );
    assert_eq!(
        u64::from(flooded) - numbers(&frames, VIDEO).len() as u64,
        counters.all_drops()
    );
    // Its class shares pod and uplink with the flood, but neither queue nor window.
    assert_complete(&numbers(&frames, BEST_EFFORT), sent);
}

#[test]
fn full_rings_drop_by_name_and_are_used_again() {
    let bed = Bed::new(1);
    // The kernel path does not take over so soon, so that the stopped daemon's rings fill up.
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let wire = bed.capture();
    let flood = Talker::start(
        bed.near(1),
        bed.far(1),
        BEST_EFFORT,
        FRAME_BYTES,
        Duration::from_micros(100),
    );
    flood.wait_through(&wire);
    daemon.process.signal(Signal::SIGSTOP).unwrap();
    flood.wait_more(4_000);
    daemon.process.signal(Signal::SIGCONT).unwrap();
    flood.wait_through(&wire);
    let sent = flood.finish();
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    let drops = &counters.pod("pod1")["drops"];
    assert!(number(&drops["receive_ring_full"]) + number(&drops["receive_no_buffer"]) > 1_000);
    daemon.terminate().unwrap();
    let lost = lost_of(wire, BEST_EFFORT, sent);
    report("rings full", sent, lost.len(), &counters.all_causes());
    assert_eq!(lost.len() as u64, counters.all_drops());
}

#[test]
fn sigterm_names_what_is_beyond_the_drain_limit() {
    let bed = Bed::new(1);
    // Class 5 opens after a minute.
    let list = "[ { gate-states-value: [7, 0], time-interval-value: 60s },
                  { gate-states-value: [5], time-interval-value: 10ms } ]";
    let configuration = bed.configuration(&Settings { list, ..mortal() });
    let mut daemon = bed.start_with(&configuration, &["--drain-limit", "1"]);
    let talker = Talker::start(bed.near(1), bed.far(1), VIDEO, FRAME_BYTES, GAP);
    talker.wait_more(20);
    let sent = talker.finish();
    wait_until("all frames to wait", BOUND, || {
        number(&Counters::of(&daemon).class(5)["queued"]) == u64::from(sent)
    })
    .unwrap();
    daemon.process.signal(Signal::SIGTERM).unwrap();
    assert!(daemon.process.wait(BOUND).unwrap().success());
    let log = daemon.process.stderr();
    let last = log.lines().last().unwrap_or_default();
    report(
        "SIGTERM beyond the drain limit",
        sent,
        sent as usize,
        "flushed",
    );
    assert!(
        last.contains("--drain-limit") && last.contains(&sent.to_string()),
        "{log}"
    );
}

#[test]
fn a_restart_under_traffic_adopts_programs_gates_and_pods() {
    let bed = Bed::new(2);
    // The file names pod1; pod2 and the gates come over the control API.
    let settings = mortal();
    let configuration = format!(
        "{}pods:\n  - {}\n",
        configuration_without_pods(&settings),
        pod_settings(bed.near(1), &settings)
    );
    let daemon = bed.start(&configuration);
    let post = |path, method, body: &str| {
        let response = daemon.control.request(method, path, body).unwrap();
        assert!(response.status < 300, "{response:?}");
    };
    post("/v1/pods", "POST", &pod_settings(bed.near(2), &settings));
    let gates = r#"{ "admin-control-list": [ { "gate-states-value": 255, "time-interval-value": "3ms" } ] }"#;
    post("/v1/gates", "PUT", gates);
    let wire = bed.capture();
    let talkers = [1, 2].map(|pod| {
        Talker::start(
            bed.near(pod),
            bed.far(pod),
            [CONTROL, VIDEO][pod - 1],
            FRAME_BYTES,
            GAP,
        )
    });
    let all_through = || talkers.iter().for_each(|talker| talker.wait_through(&wire));
    all_through();
    let gates_before = daemon.control.get("/v1/gates").unwrap();
    let killed_at = talkers[0].sent();
    daemon.kill().unwrap();
    all_through();

    let daemon = bed.start(&configuration);
    let restarted_at = talkers[0].sent();
    assert_eq!(daemon.control.get("/v1/gates").unwrap(), gates_before);
    wait_until("both pods to be served again", BOUND, || {
        let counters = Counters::of(&daemon);
        ["pod1", "pod2"]
            .iter()
            .all(|pod| number(&counters.pod(pod)["received"]) > 50)
    })
    .unwrap();
    all_through();
    let [first, second] = talkers.map(Talker::finish);
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    for (port, sent) in [(CONTROL, first), (VIDEO, second)] {
        let lost = lost(&numbers(&frames, port), sent);
        report("killed and restarted", sent, lost.len(), "at the kill");
        assert!(
            lost.iter().all(|number| number.abs_diff(killed_at) < 200),
            "killed at about {killed_at}, restarted at about {restarted_at}: lost {lost:?}"
        );
    }
}
