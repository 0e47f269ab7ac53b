//! `tsnctl capture`: what left, as a pcapng file that Wireshark's own reader takes, against what came out of the wire.

mod common;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use common::{BOUND, Bed, CONTROL, Settings, VIDEO, traffic::Talker, wait_at_rest};
use serde_json::Value;
use tsn_tests::{
    clients::{binary, python},
    clock::tai_minus_realtime_ns,
    daemon::Daemon,
    process::{Process, Signal},
    wait::wait_until,
};

/// Frames of a client, of which the capture wants fewer.
const SENT: u32 = 60;
const CAPTURED: usize = 50;
/// More than the headers, less than the frame.
const SNAP_LENGTH: usize = 60;

/// As anybody would write it. Each datagram carries its launch time (TAI) and its number, and is longer than what is
/// captured of it.
const CLIENT: &str = r#"
import socket, struct, sys, time
SO_TXTIME, CLOCK_TAI = 61, 11
destination, port, frames = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 5)
s.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", CLOCK_TAI, 0))
period = 2_000_000
first = (time.clock_gettime_ns(CLOCK_TAI) // period + 20) * period + 100_000
for number in range(frames):
    launch = first + number * period
    while time.clock_gettime_ns(CLOCK_TAI) < launch - 1_000_000:
        time.sleep(0.0001)
    s.sendmsg([struct.pack("!QI", launch, number) + bytes(200)],
              [(socket.SOL_SOCKET, SO_TXTIME, struct.pack("Q", launch))], 0, (destination, port))
"#;

/// A packet as tshark reads it.
struct Packet {
    epoch: String,
    comment: String,
    bytes: Vec<u8>,
    length: usize,
}

fn tsnctl(daemon: &Daemon, arguments: &[&str]) -> Process {
    let mut command = Command::new(binary("tsnctl").unwrap());
    command.arg("--control").arg(daemon.control.socket());
    Process::spawn("tsnctl", {
        command.args(arguments);
        command
    })
    .unwrap()
}

/// Waits until the daemon copies what leaves: then there is a first line, so a file with a beginning.
fn wait_until_captures(file: &Path) {
    wait_until("the capture to begin", BOUND, || {
        std::fs::metadata(file).is_ok_and(|data| data.len() > 0)
    })
    .unwrap();
}

fn tshark(file: &Path, options: &[&str]) -> String {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args(options)
        .stdin(Stdio::null())
        .output()
        .expect("tshark is missing; `cargo xtask setup` installs it");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark {options:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn packets(file: &Path) -> Vec<Packet> {
    let fields = ["frame.time_epoch", "frame.comment", "frame.len"];
    let options: Vec<&str> = fields.iter().flat_map(|field| ["-e", field]).collect();
    let lines = tshark(file, &[&["-T", "fields"], &*options].concat());
    let json = tshark(file, &["-T", "json", "-x"]);
    let json: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(lines.lines().count(), json.len());
    lines
        .lines()
        .zip(json)
        .map(|(line, json)| {
            let [epoch, comment, length] = *line.split('\t').collect::<Vec<_>>() else {
                panic!("{line}");
            };
            let raw = &json["_source"]["layers"]["frame_raw"][0];
            Packet {
                epoch: epoch.to_owned(),
                comment: comment.to_owned(),
                bytes: from_hex(raw.as_str().unwrap()),
                length: length.parse().unwrap(),
            }
        })
        .collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The number behind a word of a comment, such as `launch time 17 ns TAI`.
fn number_after(comment: &str, words: &str) -> i64 {
    let (_, rest) = comment
        .split_once(words)
        .unwrap_or_else(|| panic!("no `{words}` in `{comment}`"));
    let number = rest.trim_start().split(' ').next().unwrap();
    number.parse().unwrap()
}

#[test]
fn a_capture_has_the_frames_of_the_wire_with_their_launch_times_and_departures() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let wire = bed.capture();
    let file = bed.home.file("timed.pcapng");
    let (count, snap_length) = (CAPTURED.to_string(), SNAP_LENGTH.to_string());
    let mut capture = tsnctl(
        &daemon,
        &[
            ["capture", "-w", file.to_str().unwrap()].as_slice(),
            &["--pod", "pod1", "--stream", "timed", "--class", "control"],
            &["--snap-length", &snap_length, "--count", &count],
        ]
        .concat(),
    );
    wait_until_captures(&file);

    // Another one has to wait, and is told.
    let mut second = tsnctl(&daemon, &["capture", "-w", "/dev/null"]);
    assert_eq!(second.wait(BOUND).unwrap().code(), Some(1));
    assert!(
        second.stderr().contains("a capture is running"),
        "{}",
        second.stderr()
    );

    // Other frames of the pod are not wanted.
    let video = Talker::start(
        bed.near(1),
        bed.far(1),
        VIDEO,
        200,
        Duration::from_millis(1),
    );
    let destination = bed.far(1).ipv4.to_string();
    let arguments = [&*destination, &CONTROL.to_string(), &SENT.to_string()];
    let client = python(&bed.near(1).namespace, CLIENT, &arguments).unwrap();
    client.finish(BOUND).unwrap();
    assert!(capture.wait(BOUND).unwrap().success(), "{}", capture.log());
    let told = capture.stderr();
    assert!(
        told.contains("50 frames in ") && told.contains(", 0 missed"),
        "{told}"
    );
    video.finish();
    wait_at_rest(&daemon);

    let captured = wire.finish().unwrap();
    let on_wire: BTreeMap<u64, _> = captured
        .iter()
        .filter(|frame| frame.udp_destination() == Some(CONTROL))
        .map(|frame| (launch_time(&frame.bytes), frame))
        .collect();
    assert_eq!(on_wire.len(), SENT as usize);
    let packets = packets(&file);
    assert_eq!(packets.len(), CAPTURED);
    let tai_utc_offset_ns = tai_minus_realtime_ns();
    let mut has_nanoseconds = false;
    for packet in &packets {
        let launch = launch_time(&packet.bytes);
        let frame = on_wire[&launch];
        assert_eq!(packet.bytes, frame.bytes[..SNAP_LENGTH]);
        assert_eq!(packet.length, frame.length);
        let comment = &packet.comment;
        assert!(
            comment.starts_with("class 7 control, pod pod1, stream timed, "),
            "{comment}"
        );
        assert_eq!(number_after(comment, "launch time"), launch.cast_signed());
        let error_ns = number_after(comment, "departure − launch time");

        // The time is the departure, in UTC and with all its digits.
        let (seconds, nanoseconds) = packet.epoch.split_once('.').unwrap();
        assert_eq!(nanoseconds.len(), 9, "{}", packet.epoch);
        let utc_ns =
            seconds.parse::<i64>().unwrap() * 1_000_000_000 + nanoseconds.parse::<i64>().unwrap();
        assert_eq!(utc_ns + tai_utc_offset_ns, launch.cast_signed() + error_ns);
        has_nanoseconds |= !nanoseconds.ends_with("000");
    }
    assert!(
        has_nanoseconds,
        "no departure has a nanosecond that is not 0"
    );
    daemon.terminate().unwrap();
}

/// Where the clients put the launch time: at the beginning of a UDP datagram's payload.
fn launch_time(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[42..50].try_into().unwrap())
}

#[test]
fn an_interrupted_capture_is_whole_and_the_next_one_can_begin() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let video = Talker::start(
        bed.near(1),
        bed.far(1),
        VIDEO,
        200,
        Duration::from_millis(1),
    );
    let file = bed.home.file("interrupted.pcapng");
    let mut capture = tsnctl(&daemon, &["capture", "-w", file.to_str().unwrap()]);
    wait_until("a line of progress", BOUND, || {
        capture.stderr().contains(" missed\n")
    })
    .unwrap();
    capture.signal(Signal::SIGINT).unwrap();
    assert!(capture.wait(BOUND).unwrap().success(), "{}", capture.log());
    assert!(
        capture.stderr().contains("frames in "),
        "{}",
        capture.stderr()
    );
    let packets = packets(&file);
    assert!(!packets.is_empty());
    assert!(packets.iter().all(|packet| {
        packet
            .comment
            .starts_with("class 5 video, pod pod1, stream video")
    }));

    // The daemon notices that nobody reads any more.
    wait_until("the next capture", BOUND, || {
        let mut next = tsnctl(&daemon, &["capture", "-w", "-", "--count", "3"]);
        next.wait(BOUND).unwrap().success()
    })
    .unwrap();

    // A client that is stopped does not keep others from it for ever.
    let mut stopped = tsnctl(&daemon, &["capture", "-w", "/dev/null"]);
    wait_until("a line of progress", BOUND, || {
        stopped.stderr().contains(" missed\n")
    })
    .unwrap();
    stopped.signal(Signal::SIGSTOP).unwrap();
    wait_until("the next capture", BOUND, || {
        let mut next = tsnctl(&daemon, &["capture", "-w", "-", "--count", "3"]);
        next.wait(BOUND).unwrap().success()
    })
    .unwrap();
    stopped.signal(Signal::SIGCONT).unwrap();
    assert_eq!(stopped.wait(BOUND).unwrap().code(), Some(1));
    assert!(
        stopped.stderr().contains("tsnd ended the capture"),
        "{}",
        stopped.stderr()
    );

    // What cannot be captured is said.
    for (option, value, expected) in [
        ("--pod", "nobody", "there is no pod `nobody`"),
        ("--class", "nothing", "there is no traffic class `nothing`"),
        ("--snap-length", "0", "1 to 4096"),
    ] {
        let mut refused = tsnctl(&daemon, &["capture", "-w", "-", option, value]);
        assert_eq!(refused.wait(BOUND).unwrap().code(), Some(1));
        assert!(refused.stderr().contains(expected), "{}", refused.stderr());
    }

    // A daemon that ends is no success.
    let rest = bed.home.file("rest.pcapng");
    let mut capture = tsnctl(&daemon, &["capture", "-w", rest.to_str().unwrap()]);
    wait_until_captures(&rest);
    video.finish();
    daemon.terminate().unwrap();
    assert_eq!(capture.wait(BOUND).unwrap().code(), Some(1));
    assert!(
        capture.stderr().contains("tsnd went away"),
        "{}",
        capture.stderr()
    );
}
