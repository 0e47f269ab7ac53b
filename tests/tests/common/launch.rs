//! Clients that give launch times, and what must be true of their frames on the wire.

use std::time::Duration;

use tsn_tests::{
    capture::{Capture, CapturedFrame},
    daemon::Daemon,
    overlay::unwrapped,
    process::Process,
};

use super::{
    CONTROL,
    counters::{Counters, number, stalls},
    wait_at_rest,
};

/// Clients run this long at most.
pub const CLIENT_BOUND: Duration = Duration::from_secs(60);

/// A client as anybody would write it: the standard library's socket module, SO_PRIORITY and SO_TXTIME. Each datagram
/// carries its launch time (TAI) and its number. Without privilege it uses CLOCK_MONOTONIC.
pub const PYTHON_CLIENT: &str = r#"
import os, socket, struct, sys, time
SO_TXTIME, CLOCK_TAI = 61, 11
destination, port, frames, clock = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
if clock == time.CLOCK_MONOTONIC:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 5)
s.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", clock, 0))
period = 2_000_000
tai = lambda: time.clock_gettime_ns(CLOCK_TAI)
first = (tai() // period + 20) * period + 100_000
for number in range(frames):
    launch = first + number * period
    while tai() < launch - 1_000_000:
        time.sleep(0.0001)
    offset = 0 if clock == CLOCK_TAI else tai() - time.clock_gettime_ns(clock)
    s.sendmsg([struct.pack("!QI", launch, number)],
              [(socket.SOL_SOCKET, SO_TXTIME, struct.pack("Q", launch - offset))], 0, (destination, port))
"#;

/// Launch time and number in the payload of a datagram of these clients.
fn launch_and_number(frame: &CapturedFrame) -> (u64, u32) {
    (
        u64::from_be_bytes(frame.bytes[42..50].try_into().unwrap()),
        u32::from_be_bytes(frame.bytes[50..54].try_into().unwrap()),
    )
}

/// Lets a client send, and asserts that everything went through the daemon and out of the wire, in a tunnel or without,
/// once, in order, and not before its time.
pub fn assert_launched(
    daemon: &Daemon,
    wire: Capture,
    frames: u32,
    start: impl FnOnce() -> Process,
) {
    let figures = |counters: &Counters| {
        let stream = counters.stream("pod1", "timed");
        [number(&stream["received"]), number(&stream["sent"])]
    };
    let before = figures(&Counters::of(daemon));
    start().finish(CLIENT_BOUND).unwrap();
    wait_at_rest(daemon);
    let counters = Counters::of(daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    let expected = before.map(|figure| figure + u64::from(frames));
    assert_eq!(figures(&counters), expected, "received and sent");

    let captured: Vec<_> = wire.finish().unwrap().iter().map(unwrapped).collect();
    let timed: Vec<_> = captured
        .iter()
        .filter(|frame| frame.udp_destination() == Some(CONTROL))
        .collect();
    let numbers: Vec<u32> = timed
        .iter()
        .map(|frame| launch_and_number(frame).1)
        .collect();
    assert_eq!(
        numbers,
        (0..frames).collect::<Vec<_>>(),
        "each once, in order"
    );

    let mut errors_ns: Vec<i64> = timed
        .iter()
        .map(|frame| frame.arrival_ns.cast_signed() - launch_and_number(frame).0.cast_signed())
        .collect();
    errors_ns.sort_unstable();
    let at = |part: f64| errors_ns[((errors_ns.len() - 1) as f64 * part) as usize];
    let lead_ns = number(&counters.status["uplink"]["lead-ns"]);
    let stream = counters.stream("pod1", "timed");
    println!(
        "arrival - launch time in ns: min {} median {} p90 {} max {}; lead {lead_ns}; {} of {frames} sent late, {} \
         touched by {} stalls",
        at(0.0),
        at(0.5),
        at(0.9),
        at(1.0),
        stream["sent-late"],
        stream["stalled"],
        stalls(daemon).len()
    );
    // The daemon acts earlier by the lead, never by more; ten of them leave room for a lead that has been followed
    // down since, and for nothing that sends early by design.
    assert!(
        at(0.0) >= -10 * lead_ns.cast_signed(),
        "a frame left before its launch time"
    );
}
