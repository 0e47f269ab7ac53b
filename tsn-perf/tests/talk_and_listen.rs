//! Real talkers and listeners, over loopback and over a veth pair.
//!
//! Nothing on the way holds a frame until its launch time, so that only accounting is asserted, no time.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tsn_perf::listen::{ListenSummary, StreamSummary};
use tsn_perf::talk::TalkSummary;

const BINARY: &str = env!("CARGO_BIN_EXE_tsn-perf");

/// A network namespace of this test's own, gone when it is dropped.
struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Self {
        let name = format!("tsnperf-{}-{name}", std::process::id());
        ip(&["netns", "add", &name]);
        let namespace = Self(name);
        ip(&["-n", &namespace.0, "link", "set", "lo", "up"]);
        namespace
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, BINARY]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "delete", &self.0]);
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .expect("ip runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {error}");
}

/// A listener that has said that it is ready. It is killed if the test ends before it does.
struct Listener(Option<Child>);

impl Listener {
    fn start(mut command: Command, arguments: &[&str]) -> Self {
        command
            .arg("listen")
            .args(arguments)
            .args(["--output", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the listener starts");
        let mut said = String::new();
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        stderr.read_line(&mut said).expect("stderr is text");
        let listener = Self(Some(child));
        assert_eq!(said, "ready\n");
        listener
    }

    fn terminate(&self) {
        let id = self.0.as_ref().expect("the listener runs").id().to_string();
        assert!(
            Command::new("kill")
                .arg(id)
                .status()
                .expect("kill runs")
                .success()
        );
    }

    fn summary(mut self) -> ListenSummary {
        let child = self.0.take().expect("the listener runs");
        let output = child.wait_with_output().expect("the listener ends");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("the summary is JSON")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child
                .kill()
                .and_then(|()| child.wait())
                .expect("the listener can be killed");
        }
    }
}

fn talk(mut command: Command, arguments: &[&str]) -> TalkSummary {
    command
        .arg("talk")
        .args(arguments)
        .args(["--output", "json"]);
    let output = command.output().expect("the talker runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("the summary is JSON")
}

fn binary() -> Command {
    Command::new(BINARY)
}

/// A port that was free a moment ago.
fn free_port() -> String {
    let socket = UdpSocket::bind("[::]:0").expect("there is a free port");
    socket
        .local_addr()
        .expect("it has an address")
        .port()
        .to_string()
}

fn stream(summary: &ListenSummary, id: u16) -> &StreamSummary {
    summary
        .streams
        .iter()
        .find(|stream| stream.stream.id == id)
        .expect("the stream arrived")
}

#[test]
fn timed_frames_are_all_accounted_for() {
    let port = free_port();
    let directory = tempfile::tempdir().unwrap();
    let csv = directory.path().join("frames.csv");
    let ready = directory.path().join("ready");
    let paths = [
        "--csv",
        csv.to_str().unwrap(),
        "--ready-file",
        ready.to_str().unwrap(),
    ];
    let limits = [
        "--udp",
        &port,
        "--count",
        "50",
        "--duration",
        "30s",
        "--stream",
        "motion/7",
    ];
    let listener = Listener::start(binary(), &[&limits[..], &paths].concat());
    assert!(ready.exists());

    let destination = format!("127.0.0.1:{port}");
    let arguments = [
        "--launch-time",
        "monotonic",
        "--period",
        "2ms",
        "--offset",
        "300us",
    ];
    let more = [
        "--udp",
        &destination,
        "--count",
        "50",
        "--size",
        "200",
        "--stream",
        "7",
    ];
    let talked = talk(binary(), &[&arguments[..], &more].concat());
    assert_eq!((talked.sent, talked.errors.len()), (50, 0));
    let (first_ns, last_ns) = (talked.first_time_ns.unwrap(), talked.last_time_ns.unwrap());
    assert_eq!(first_ns % 2_000_000, 300_000);
    assert_eq!(last_ns - first_ns, 49 * 2_000_000);

    let heard = listener.summary();
    let motion = stream(&heard, 7);
    assert_eq!(motion.stream.name, "motion");
    assert_eq!(
        (motion.counts.received, motion.counts.lost, motion.timed),
        (50, 0, 50)
    );
    assert_eq!(
        motion.counts.duplicated + motion.counts.reordered + motion.truncated,
        0
    );
    assert!(motion.error_ns.is_some() && motion.transit_ns.is_some());
    check_csv(&csv, first_ns);
}

fn check_csv(path: &Path, first_ns: u64) {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 51);
    assert_eq!(
        lines[0][..4],
        ["stream", "sequence", "launch_time_ns", "arrival_ns"]
    );
    for (index, line) in lines[1..].iter().enumerate() {
        let launch_time_ns = first_ns + index as u64 * 2_000_000;
        let arrival_ns: i64 = line[3].parse().unwrap();
        assert_eq!(
            line[..3],
            ["motion", &index.to_string(), &launch_time_ns.to_string()]
        );
        assert_eq!(line[4], (arrival_ns - launch_time_ns as i64).to_string());
        assert_eq!((line[5], line[6]), ("200", &*index.to_string()));
    }
}

#[test]
fn best_effort_over_ipv6_has_no_launch_times() {
    let port = free_port();
    let listener = Listener::start(binary(), &["--udp", &port, "--idle", "1s"]);
    let destination = format!("[::1]:{port}");
    let arguments = [
        "--udp",
        &destination,
        "--rate",
        "10",
        "--size",
        "1000",
        "--count",
        "40",
    ];
    let talked = talk(binary(), &arguments);
    assert_eq!((talked.sent, talked.tardiness_ns), (40, None));
    let heard = listener.summary();
    let counts = stream(&heard, 1).counts;
    assert_eq!(
        (counts.received, counts.lost, stream(&heard, 1).timed),
        (40, 0, 0)
    );
}

#[test]
fn a_listener_that_is_terminated_still_gives_its_summary() {
    let (port, other) = (free_port(), free_port());
    let listener = Listener::start(binary(), &["--udp", &port, "--udp", &other]);
    for (port, id) in [(&port, "3"), (&other, "4")] {
        let destination = format!("127.0.0.1:{port}");
        let talked = talk(
            binary(),
            &[
                "--udp",
                &destination,
                "--launch-time",
                "none",
                "--count",
                "5",
                "--stream",
                id,
            ],
        );
        assert_eq!(talked.sent, 5);
    }
    let foreign = UdpSocket::bind("127.0.0.1:0").unwrap();
    foreign
        .send_to(b"not ours", format!("127.0.0.1:{port}"))
        .unwrap();
    listener.terminate();
    let heard = listener.summary();
    assert_eq!(stream(&heard, 3).counts.received, 5);
    assert_eq!(stream(&heard, 4).counts.received, 5);
    assert_eq!(heard.foreign, 1);
}

#[test]
fn a_capture_sees_raw_and_udp_frames_and_their_tags() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not root: raw frames are not tested");
        return;
    }
    let (near, far) = (Namespace::new("near"), Namespace::new("far"));
    ip(&[
        "-n", &near.0, "link", "add", "wire0", "type", "veth", "peer", "wire1", "netns", &far.0,
    ]);
    ip(&["-n", &near.0, "addr", "add", "192.0.2.1/24", "dev", "wire0"]);
    ip(&[
        "-n",
        &far.0,
        "link",
        "set",
        "wire1",
        "address",
        "02:00:00:00:00:02",
    ]);
    ip(&["-n", &far.0, "link", "set", "wire1", "up"]);
    ip(&["-n", &near.0, "link", "set", "wire0", "up"]);
    let neighbour = ["192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "wire0"];
    ip(&[&["-n", &near.0, "neighbour", "add"], &neighbour[..]].concat());

    let capture = Listener::start(far.command(), &["--capture", "wire1", "--count", "60"]);
    let raw = Listener::start(far.command(), &["--raw", "wire1", "--count", "20"]);
    let to_far = [
        "--raw",
        "wire0",
        "--destination",
        "02:00:00:00:00:02",
        "--count",
        "20",
    ];
    let tagged = [
        "--vlan", "100", "--pcp", "5", "--size", "60", "--stream", "1",
    ];
    talk(near.command(), &[&to_far[..], &tagged].concat());
    let other_ethertype = [
        "--ethertype",
        "0x88b6",
        "--launch-time",
        "none",
        "--stream",
        "2",
    ];
    talk(near.command(), &[&to_far[..], &other_ethertype].concat());
    let udp = [
        "--udp",
        "192.0.2.2:5000",
        "--bind-device",
        "wire0",
        "--size",
        "1514",
    ];
    talk(
        near.command(),
        &[&udp[..], &["--count", "20", "--stream", "3"]].concat(),
    );

    let raw = raw.summary();
    assert_eq!(raw.streams.len(), 1, "only one EtherType was asked for");
    assert_eq!(stream(&raw, 1).vlan_tags["100/5"], 20);
    let captured = capture.summary();
    for id in [1, 2, 3] {
        let counts = stream(&captured, id).counts;
        assert_eq!(
            (counts.received, counts.lost, counts.reordered),
            (20, 0, 0),
            "stream {id}"
        );
    }
    assert_eq!(stream(&captured, 1).timed, 20);
    assert_eq!(stream(&captured, 2).timed, 0);
    assert!(stream(&captured, 3).vlan_tags.is_empty());
}

#[test]
fn what_cannot_be_done_says_the_way_out() {
    let cases: [(&[&str], &str); 4] = [
        (
            &["--udp", "127.0.0.1:9", "--size", "59"],
            "--size 59 is not from 60",
        ),
        (
            &["--udp", "127.0.0.1:9", "--offset", "1ms"],
            "--offset 1000000 ns is not less",
        ),
        (
            &["--udp", "127.0.0.1:9", "--bind-device", "none0"],
            "cannot bind to device none0",
        ),
        (&["--udp", "127.0.0.1:9", "--period", "5"], "needs a unit"),
    ];
    for (arguments, expected) in cases {
        let output = binary().arg("talk").args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && error.contains(expected),
            "{arguments:?}: {error}"
        );
    }
}
