//! Clients that give launch times, and what must be true of their frames on the wire.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

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

/// The same in C, with the same arguments.
const C_CLIENT: &str = r#"
#include <arpa/inet.h>
#include <linux/net_tstamp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static uint64_t now_of(int clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

int main(int count, char **arguments) {
    if (count != 5) return 2;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), priority = 5;
    struct sock_txtime txtime = { .clockid = atoi(arguments[4]) };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(arguments[2])) };
    inet_pton(AF_INET, arguments[1], &to.sin_addr);
    if (setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority)) return 3;
    if (setsockopt(fd, SOL_SOCKET, SO_TXTIME, &txtime, sizeof txtime)) return 4;
    const uint64_t period = 2000000;
    uint64_t first = (now_of(CLOCK_TAI) / period + 20) * period + 100000;
    for (uint32_t number = 0; number < (uint32_t)atoi(arguments[3]); number++) {
        uint64_t launch = first + number * period;
        while (now_of(CLOCK_TAI) < launch - 1000000) nanosleep(&(struct timespec){ .tv_nsec = 100000 }, 0);
        unsigned char payload[12];
        for (int i = 0; i < 8; i++) payload[i] = launch >> (56 - 8 * i);
        for (int i = 0; i < 4; i++) payload[8 + i] = number >> (24 - 8 * i);
        union { char bytes[CMSG_SPACE(8)]; struct cmsghdr align; } control = { 0 };
        struct iovec data = { payload, sizeof payload };
        struct msghdr message = { &to, sizeof to, &data, 1, &control, sizeof control };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_TXTIME;
        header->cmsg_len = CMSG_LEN(8);
        uint64_t tai = now_of(CLOCK_TAI), at = launch - (tai - now_of(txtime.clockid));
        if (txtime.clockid == CLOCK_TAI) at = launch;
        memcpy(CMSG_DATA(header), &at, 8);
        if (sendmsg(fd, &message, 0) < 0) return 5;
    }
}
"#;

/// Compiles the client in C and links it statically, so that nothing can be put under it.
pub fn static_client(directory: &Path) -> PathBuf {
    let (source, client) = (directory.join("client.c"), directory.join("client"));
    std::fs::write(&source, C_CLIENT).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-static", "-O2", "-o"]).args([&client, &source]);
    let compiled = gcc
        .output()
        .expect("gcc is missing; `cargo xtask setup` installs it");
    let errors = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "gcc -static: {errors}");
    client
}

/// Launch time and number in the payload of a datagram of these clients.
fn launch_and_number(frame: &CapturedFrame) -> (u64, u32) {
    (
        u64::from_be_bytes(frame.bytes[42..50].try_into().unwrap()),
        u32::from_be_bytes(frame.bytes[50..54].try_into().unwrap()),
    )
}

/// Lets a client of `pod1` send, and asserts what [`assert_launched_by`] does.
pub fn assert_launched(
    daemon: &Daemon,
    wire: Capture,
    frames: u32,
    start: impl FnOnce() -> Process,
) {
    assert_launched_by(daemon, "pod1", wire, frames, || {
        start().finish(CLIENT_BOUND).unwrap();
    });
}

/// Lets a client of a pod send, and asserts that everything went through the daemon and out of the wire, in a tunnel or
/// without, once, in order, and not before its time.
pub fn assert_launched_by(
    daemon: &Daemon,
    pod: &str,
    wire: Capture,
    frames: u32,
    send: impl FnOnce(),
) {
    let figures = |counters: &Counters| {
        let stream = counters.stream(pod, "timed");
        [number(&stream["received"]), number(&stream["sent"])]
    };
    let before = figures(&Counters::of(daemon));
    send();
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
    let stream = counters.stream(pod, "timed");
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
