//! Floods that fill queues, quotas and rings: dropped by name, and no other class notices.

mod common;

use std::time::Duration;

use common::{
    BEST_EFFORT, BOUND, Bed, Settings, VIDEO, configuration_without_pods,
    counters::{Counters, number, sum},
    pod_settings,
    traffic::{Talker, assert_complete, lost_of, numbers, report},
    wait_at_rest,
};
use tsn_tests::{process::Signal, wait::wait_until};

const FRAME_BYTES: usize = 200;

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
