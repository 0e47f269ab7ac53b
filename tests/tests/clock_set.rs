//! Somebody sets the clock while the daemon runs: ahead and, which is worse, back.

mod common;

use std::time::Duration;

use common::{BOUND, Bed, CONTROL, Settings, counters::number, shim::ClockShim, traffic::Talker};
use serde_json::Value;
use tsn_tests::{control::Control, process::Process, wait::wait_until};

/// Longer than anything is waited for: a worker that waits for its old time to come again is found out.
const STEP: Duration = Duration::from_secs(600);

#[test]
fn frames_keep_leaving_through_the_daemon_when_the_clock_is_set_ahead_and_back() {
    let bed = Bed::new(1);
    let mut shim = ClockShim::build(&bed);
    let settings = Settings {
        heartbeat_timeout: "1s",
        ..Settings::default()
    };
    let file = bed.home.file("tsnd.yaml");
    std::fs::write(&file, bed.configuration(&settings)).unwrap();
    let mut command = bed.daemon_command(&file);
    shim.preload(&mut command);
    let _daemon = Process::spawn("tsnd", command).unwrap();
    let control = bed.home.control();
    wait_until("the pod to be attached", BOUND, || {
        control
            .get("/v1/pods")
            .is_ok_and(|pods| pods[0]["attached"] == true)
    })
    .unwrap();

    let talker = Talker::start(
        bed.near(1),
        bed.far(1),
        CONTROL,
        200,
        Duration::from_millis(1),
    );
    for (steps, ahead) in [(1, STEP), (2, Duration::ZERO)] {
        shim.set_ahead(ahead);
        wait_until("the worker to see the step", BOUND, || {
            number(&status(&control)["clock-steps"]) == steps
        })
        .unwrap();
        let before = sent(&control);
        wait_until("frames to leave after the step", BOUND, || {
            sent(&control) > before + 500
        })
        .unwrap();
    }
    talker.finish();
    let kernel = control.get("/v1/pods").unwrap()[0]["kernel"].clone();
    assert_eq!(number(&kernel["fallback_heartbeat"]), 0, "{kernel}");
}

fn status(control: &Control) -> Value {
    control.get("/v1/status").unwrap()
}

fn sent(control: &Control) -> u64 {
    let pods = control.get("/v1/pods").unwrap();
    pods[0]["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| number(&stream["sent"]))
        .sum()
}
