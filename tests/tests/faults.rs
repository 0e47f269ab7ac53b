//! Faults, made to happen under traffic: what was lost, by cause, and that the kernel path carries on.

mod common;

use std::time::Duration;

use common::{
    BOUND, Bed, CONTROL, Settings, VIDEO, configuration_without_pods,
    counters::{Counters, number},
    pod_settings,
    traffic::{Talker, assert_complete, lost, lost_of, numbers, report},
    wait_at_rest,
};
use serde_json::json;
use tsn_tests::{clock::tai_now_ns, process::Signal, topology::UPLINK, wait::wait_until};

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
    // The kernel path has no other uplink either, and counts elsewhere; here it stays out.
    let daemon = bed.start(&bed.configuration(&Settings::default()));
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
    // The frame that was in the device's ring counts as lost for its time, and yet leaves when the link is back.
    let unexplained = counters.all_drops().checked_sub(lost.len() as u64);
    assert!(unexplained.is_some_and(|stuck| stuck <= 1), "{lost:?}");
}

#[test]
fn sigterm_names_what_is_beyond_the_drain_limit() {
    let bed = Bed::new(1);
    let settings = Settings {
        list: "[ { gate-states-value: [7, 0], time-interval-value: 1ms } ]",
        ..Settings::default()
    };
    let mut daemon = bed.start_with(&bed.configuration(&settings), &["--drain-limit", "1"]);
    // Class 5 opens after a minute.
    let gates = json!({
        "admin-base-time": tai_now_ns() + 60_000_000_000,
        "admin-control-list": [{ "gate-states-value": [5], "time-interval-value": "10ms" }],
    });
    let response = daemon
        .control
        .request("PUT", "/v1/gates", &gates.to_string());
    assert_eq!(response.unwrap().status, 200);
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
