//! Gates that change while traffic runs: on the wire, no frame of any class is outside its gates across a change, and
//! none is lost without a cause. What counts is the order in which the classes' frames arrive, never the time.

mod common;

use std::time::Duration;

use common::{
    BEST_EFFORT, BOUND, Bed, CONTROL, Settings, VIDEO,
    counters::{Counters, number, stalls},
    runs::{Run, follow, runs},
    traffic::{Talker, assert_complete, lost, mark, numbers},
    wait_at_rest,
};
use serde_json::{Value, json};
use tsn_tests::{capture::Capture, clock::tai_now_ns, daemon::Daemon, wait::wait_until};

/// Ports of the three classes, all sending more than their windows hold.
const PORTS: [u16; 3] = [CONTROL, VIDEO, BEST_EFFORT];
/// 82 µs of a link of 100 Mb/s; a window of 5 ms holds some sixty.
const FRAME_BYTES: usize = 1_000;
/// 6000 frames a second of each class, where a third of the link is good for 4000.
const GAP: Duration = Duration::from_micros(166);

/// A saturated link whose classes take turns, each for 5 ms.
fn settings(list: &str) -> Settings<'_> {
    Settings {
        link_speed: 100,
        capacity: 512,
        frame_quota: 4_096,
        // A tenth of a window: shorter absences cannot carry a frame across its close.
        stall_threshold: "500us",
        list,
        ..Settings::default()
    }
}

/// A gate control list that opens one class after the other.
fn turns(classes: &[u16]) -> Value {
    classes
        .iter()
        .map(|port| json!({ "gate-states-value": [class(*port)], "time-interval-value": "5ms" }))
        .collect()
}

/// The traffic class of a port's stream.
fn class(port: u16) -> u64 {
    match port {
        CONTROL => 7,
        VIDEO => 5,
        _ => 0,
    }
}

fn put_gates(daemon: &Daemon, gates: &Value) -> Value {
    daemon
        .control
        .request("PUT", "/v1/gates", &gates.to_string())
        .unwrap()
        .json()
        .unwrap()
}

/// How many datagrams of ours have come out of the wire so far.
fn arrived(wire: &Capture) -> usize {
    wire.count(|frame| mark(frame).is_some())
}

/// Waits until a change is no longer pending, and until frames have come out of the wire since.
fn wait_in_force(daemon: &Daemon, wire: &Capture, frames: usize) {
    wait_until("the change of schedule", BOUND, || {
        let status = daemon.control.get("/v1/status").unwrap();
        status["gates"]["config-pending"] == false
    })
    .unwrap();
    let before = arrived(wire);
    wait_until("frames under the new schedule", BOUND, || {
        arrived(wire) >= before + frames
    })
    .unwrap();
}

#[test]
fn no_class_is_outside_its_gates_across_changes() {
    const A: u16 = CONTROL;
    const B: u16 = VIDEO;
    const C: u16 = BEST_EFFORT;
    let schedules: [&[u16]; 5] = [&[A, B, C], &[C, B, A], &[A, C, B, C], &[B, A], &[A, B, C]];
    let bed = Bed::new(2);
    let first = turns(schedules[0]).to_string();
    let daemon = bed.start(&bed.configuration(&settings(&first)));
    let wire = bed.capture();
    let talkers = PORTS.map(|port| Talker::start(bed.near(1), bed.far(1), port, FRAME_BYTES, GAP));
    wait_in_force(&daemon, &wire, 600);
    for schedule in &schedules[1..] {
        let base_ns = tai_now_ns() + 150_000_000;
        let base =
            json!({ "seconds": base_ns / 1_000_000_000, "nanoseconds": base_ns % 1_000_000_000 });
        let applied = put_gates(
            &daemon,
            &json!({ "admin-base-time": base, "admin-control-list": turns(schedule) }),
        );
        // A base time ahead is the ConfigChangeTime to the nanosecond.
        assert_eq!(number(&applied["config-change-time-ns"]), base_ns);
        wait_in_force(&daemon, &wire, 600);
    }
    let sent = talkers.map(Talker::finish);
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    let stalls = stalls(&daemon);
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();

    counters.assert_conserved();
    assert_eq!(counters.status["gates"]["config-change-error"], 0);
    let mut missing = 0;
    for (port, sent) in PORTS.into_iter().zip(sent) {
        let arrived = numbers(&frames, port);
        assert!(arrived.is_sorted(), "a class keeps its order");
        missing += lost(&arrived, sent).len() as u64;
    }
    assert_eq!(
        missing,
        counters.all_drops(),
        "every lost frame has its cause"
    );
    let (runs, set_aside) = runs(&frames, &stalls);
    println!(
        "{} frames in {} runs across {} changes; {set_aside} set aside for {} stalls; dropped: {}",
        frames.len(),
        runs.len(),
        schedules.len() - 1,
        stalls.len(),
        counters.all_causes()
    );
    assert!(
        set_aside < frames.len() / 2,
        "stalls left too little to judge by"
    );
    follow(&runs, &schedules).unwrap();
}

#[test]
fn a_past_base_time_counts_an_error_and_gates_can_be_switched_off_and_on() {
    let bed = Bed::new(1);
    let list = turns(&PORTS);
    let daemon = bed.start(&bed.configuration(&settings(&list.to_string())));
    let wire = bed.capture();
    let talker = Talker::start(
        bed.near(1),
        bed.far(1),
        VIDEO,
        200,
        Duration::from_millis(1),
    );
    talker.wait_through(&wire);

    // A base time in the past while a schedule runs: an error is counted, the start is a whole number of cycles away.
    let before_ns = tai_now_ns();
    let applied = put_gates(
        &daemon,
        &json!({ "admin-base-time": 1_000, "admin-control-list": turns(&[VIDEO, CONTROL]) }),
    );
    let start_ns = number(&applied["config-change-time-ns"]);
    assert!(start_ns >= before_ns && (start_ns - 1_000).is_multiple_of(10_000_000));
    wait_in_force(&daemon, &wire, 20);
    let gates = daemon.control.get("/v1/status").unwrap()["gates"].clone();
    assert_eq!(gates["config-change-error"], 1);

    // Disabled, the gates stand as admin-gate-states says; here all are shut.
    put_gates(
        &daemon,
        &json!({ "gate-enabled": false, "admin-gate-states": 0, "admin-control-list": [] }),
    );
    let shut = daemon.control.get("/v1/status").unwrap()["gates"].clone();
    assert_eq!(shut["oper-gate-states"], 0);
    wait_until("frames to be held or refused", BOUND, || {
        let counters = Counters::of(&daemon);
        let class = counters.class(5);
        number(&class["queued"]) + number(&class["drops"]["gate_never_opens"]) >= 50
    })
    .unwrap();
    let held_from = arrived(&wire);
    talker.wait_more(50);
    assert_eq!(arrived(&wire), held_from, "nothing passes a shut gate");

    // Enabled again, the schedule runs on.
    put_gates(
        &daemon,
        &json!({ "gate-enabled": true, "admin-control-list": [] }),
    );
    talker.wait_through(&wire);
    let sent = talker.finish();
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    daemon.terminate().unwrap();
    let arrived = numbers(&wire.finish().unwrap(), VIDEO);
    println!("dropped: {}", counters.all_causes());
    assert_eq!(lost(&arrived, sent).len() as u64, counters.all_drops());
    assert!(arrived.is_sorted());
}

#[test]
fn a_change_under_light_traffic_loses_nothing() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let wire = bed.capture();
    let gap = Duration::from_micros(700);
    let talkers = PORTS.map(|port| Talker::start(bed.near(1), bed.far(1), port, 200, gap));
    for list in [turns(&[CONTROL, BEST_EFFORT, VIDEO]), turns(&PORTS)] {
        let base_ns = tai_now_ns() + 50_000_000;
        put_gates(
            &daemon,
            &json!({ "admin-base-time": base_ns, "admin-control-list": list }),
        );
        wait_in_force(&daemon, &wire, 200);
    }
    let sent = talkers.map(Talker::finish);
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    for (port, sent) in PORTS.into_iter().zip(sent) {
        assert_complete(&numbers(&frames, port), sent);
    }
}

#[test]
fn the_judge_sees_a_class_out_of_turn() {
    let run = |port| Run {
        port,
        frames: 1,
        last_ns: 0,
        after_stall: false,
        idle_before: Vec::new(),
        idle_within: Vec::new(),
    };
    let runs = [CONTROL, VIDEO, CONTROL, VIDEO, BEST_EFFORT, CONTROL].map(run);
    let schedules: [&[u16]; 2] = [&[CONTROL, VIDEO], &[VIDEO, CONTROL, BEST_EFFORT]];
    let refused = follow(&runs, &schedules).unwrap_err();
    assert!(refused.contains("run 4 is outside its gates"), "{refused}");
    follow(&runs[..4], &schedules).unwrap();
}
