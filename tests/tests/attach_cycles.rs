//! Pods that come and go: another pod's frames do not notice, and nothing is left of them.

mod common;

use std::time::Duration;

use common::{
    BEST_EFFORT, BOUND, Bed, CONTROL, Settings, configuration_without_pods,
    counters::{Counters, number, sum},
    pod_settings,
    traffic::{Talker, assert_complete, numbers},
    wait_at_rest,
};
use tsn_tests::{daemon::Daemon, footprint::Footprint, recorded::Recorded, wait::wait_for};

/// Attaches and detaches a pod so many times, with a datagram of it in between.
fn cycles(bed: &Bed, count: u32) {
    for cycle in 0..count {
        let recorded = Recorded::of(
            &bed.home,
            bed.near(2),
            &format!("container{cycle}"),
            "cycled",
        )
        .unwrap();
        recorded.attach().unwrap();
        let talker = Talker::start(
            bed.near(2),
            bed.far(2),
            BEST_EFFORT,
            200,
            Duration::from_millis(1),
        );
        talker.wait_more(3);
        talker.finish();
        recorded.detach().unwrap();
    }
}

fn start(bed: &Bed) -> Daemon {
    let settings = Settings::default();
    bed.start(&format!(
        "{}pods: [ {} ]\nprofiles:\n  - name: cycled\n    streams: [ {{ name: rest, match: {{ \
         udp-destination-port: {BEST_EFFORT} }}, traffic-class: 0 }} ]\n",
        configuration_without_pods(&settings),
        pod_settings(bed.near(1), &settings)
    ))
}

#[test]
fn attaching_and_detaching_disturbs_no_other_pod_and_leaves_nothing() {
    /// What an allocator may keep back without being a leak: the first cycles have paid for what one takes.
    const SLACK_KIB: u64 = 512;
    let bed = Bed::new(2);
    let daemon = start(&bed);
    let wire = bed.capture();
    let steady = Talker::start(
        bed.near(1),
        bed.far(1),
        CONTROL,
        200,
        Duration::from_millis(1),
    );
    cycles(&bed, 20);
    let before = Footprint::of(&daemon, &bed.home).unwrap();
    cycles(&bed, 60);
    // A connection is closed some time after its answer.
    let after = wait_for("descriptors to be closed", BOUND, || {
        let after = Footprint::of(&daemon, &bed.home).unwrap();
        (after.descriptors <= before.descriptors).then_some(after)
    })
    .unwrap();
    let sent = steady.finish();
    wait_at_rest(&daemon);
    println!("after 20 cycles: {before:?}; after 80: {after:?}; {sent} datagrams of the other pod");
    assert_eq!(after.pins, before.pins);
    assert!(after.resident_kib <= before.resident_kib + SLACK_KIB);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    let pod = counters.pod("pod1");
    assert_eq!(sum(&pod["drops"]), 0, "{pod}");
    assert_eq!(number(&pod["kernel"]["fallback_heartbeat"]), 0, "{pod}");
    assert_eq!(
        number(&counters.stream("pod1", "timed")["sent"]),
        u64::from(sent)
    );
    daemon.terminate().unwrap();
    assert_complete(&numbers(&wire.finish().unwrap(), CONTROL), sent);
}
