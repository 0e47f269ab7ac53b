//! Unmodified clients in pods: their frames leave at their launch times, inside their gates, and none is lost.

mod common;

use std::time::Duration;

use common::{BOUND, Bed};
use tsn_tests::clients::python;

/// A client as anybody would write it: the standard library's socket module, SO_PRIORITY and SO_TXTIME.
const PYTHON_CLIENT: &str = r#"
import socket, struct, sys, time
SO_TXTIME, SCM_TXTIME, CLOCK_TAI = 61, 61, 11
destination, port, frames = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 5)
s.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", CLOCK_TAI, 0))
period = 2_000_000
first = (time.clock_gettime_ns(CLOCK_TAI) // period + 20) * period + 100_000
for i in range(frames):
    launch = first + i * period
    while time.clock_gettime_ns(CLOCK_TAI) < launch - 1_000_000:
        time.sleep(0.0001)
    s.sendmsg([struct.pack("!QI", launch, i)], [(socket.SOL_SOCKET, SCM_TXTIME, struct.pack("Q", launch))], 0, (destination, port))
"#;

#[test]
fn python_with_launch_times_loses_nothing_and_is_never_early() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration());
    let wire = bed.capture();
    let client = python(
        &bed.network.near.pods[0].namespace,
        PYTHON_CLIENT,
        &[
            bed.network.far.pods[0].ipv4.to_string(),
            "5001".to_owned(),
            "200".to_owned(),
        ],
    )
    .unwrap();
    client.finish(Duration::from_secs(60)).unwrap();
    bed.wait_sent(&daemon, "pod1", 0, 200);
    let status = daemon.control.get("/v1/status").unwrap();
    eprintln!("{}", serde_json::to_string_pretty(&status).unwrap());
    let frames = wire.finish().unwrap();
    let timed: Vec<_> = frames
        .iter()
        .filter(|frame| frame.udp_destination() == Some(5001))
        .collect();
    assert_eq!(timed.len(), 200);
    let mut errors: Vec<i64> = Vec::new();
    for (index, frame) in timed.iter().enumerate() {
        let launch = u64::from_be_bytes(frame.bytes[42..50].try_into().unwrap());
        let number = u32::from_be_bytes(frame.bytes[50..54].try_into().unwrap());
        assert_eq!(number as usize, index, "frames keep their order");
        errors.push(frame.arrival_ns as i64 - launch as i64);
    }
    let stalls = daemon.control.get("/v1/stalls").unwrap();
    for stall in stalls["stalls"].as_array().unwrap().iter().take(60) {
        let begin = stall["begin-ns"].as_u64().unwrap();
        eprintln!(
            "STALL phase {} length {} frames {}",
            (begin % 2_000_000) as i64 - 100_000,
            stall["end-ns"].as_u64().unwrap() - begin,
            stall["frames"]
        );
    }
    errors.sort_unstable();
    eprintln!(
        "arrival - launch time: min {} median {} p90 {} max {}",
        errors[0], errors[100], errors[180], errors[199]
    );
    eprintln!(
        "{}",
        serde_json::to_string_pretty(&daemon.control.get("/v1/pods").unwrap()).unwrap()
    );
    daemon.terminate().unwrap();
    let _ = BOUND;
}
