//! Every metric and every cause of a drop, made to happen once with a real daemon, and told by its metrics. What a
//! healthy kernel does not do on demand is in `tsn-userspace/tests/metrics.rs`.

mod common;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use common::{BOUND, Bed, openmetrics, shim::ClockShim, traffic::Talker};
use serde_json::json;
use tsn_tests::{
    clients::python,
    clock::tai_now_ns,
    control::Control,
    coverage::{END_TO_END, FLIPS, Seen},
    process::{Process, Signal},
    topology::{POD_INTERFACE, UPLINK},
    wait::wait_until,
};

/// UDP ports of the streams; each provokes another cause.
const TIMED: u16 = 5001;
const SENT_LATE: u16 = 5002;
const DEADLINE: u16 = 5003;
const REQUIRED: u16 = 5004;
const SMALL_QUEUE: u16 = 5005;
const NEVER_OPEN: u16 = 5006;
const NARROW: u16 = 5007;
const BULK: u16 = 5009;
const METERED: u16 = 5010;

/// Class 2 has no window, that of class 1 is shorter than its margins; class 4 wants launch times, class 5 is small.
fn configuration(bed: &Bed) -> String {
    let stream = |name: &str, port: u16, class: u8, more: &str| {
        format!(
            "{{ name: {name}, match: {{ udp-destination-port: {port} }}, traffic-class: {class}{more} }}"
        )
    };
    let streams = [
        stream("timed", TIMED, 7, ""),
        stream("sent-late", SENT_LATE, 7, ", late: send"),
        stream("deadline", DEADLINE, 6, ", launch-time: by"),
        stream("required", REQUIRED, 4, ""),
        stream("small-queue", SMALL_QUEUE, 5, ""),
        stream("never-open", NEVER_OPEN, 2, ""),
        stream("narrow", NARROW, 1, ""),
        stream("bulk", BULK, 0, ""),
        stream(
            "metered",
            METERED,
            3,
            ", flow-meter: { committed-information-rate: 1, committed-burst-size: 64 }",
        ),
    ]
    .join(", ");
    let pod = |name: &str, netns: &str, quota: u32| {
        format!(
            "  - {{ name: {name}, netns: {netns}, frame-quota: {quota}, streams: [ {streams} ] }}\n"
        )
    };
    let netns = |number| bed.near(number).namespace.path().display().to_string();
    format!(
        "{}worker: {{ heartbeat-timeout: 2s }}
clock: {{ holdover: 2500ms, on-sync-loss: drop-critical }}
uplinks:
  - device: {UPLINK}
    link-speed: 1000
    traffic-classes:
      - {{ number: 7, name: control, critical: true }}
      - {{ number: 5, name: video, capacity: 8, queue-max-sdu: 500 }}
      - {{ number: 4, launch-time-required: true }}
    gate-parameters:
      admin-control-list:
        - {{ gate-states-value: [7, 6], time-interval-value: 300us }}
        - {{ gate-states-value: [5, 4], time-interval-value: 200us }}
        - {{ gate-states-value: [1], time-interval-value: 5us }}
        - {{ gate-states-value: [0], time-interval-value: 495us }}
pods:
{}{}{}",
        bed.home.backend().settings(),
        pod("pod1", &netns(1), 512),
        pod("pod2", &netns(2), 8),
        pod("nobody", "/var/run/netns/nobody-has-this", 8)
    )
}

/// Sends so many datagrams of so many bytes to a port, with launch times that far ahead, 137 µs apart (or without, for
/// `-`). Arguments: address, then groups of port, nanoseconds, bytes, count.
const CLIENT: &str = r#"
import socket, struct, sys, time
SO_TXTIME, CLOCK_TAI = 61, 11
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", CLOCK_TAI, 0))
groups = sys.argv[2:]
for port, ahead, size, count in zip(*[iter(groups)] * 4):
    to, payload = (sys.argv[1], int(port)), bytes(int(size))
    for number in range(int(count)):
        if ahead == "-":
            s.sendto(payload, to)
        else:
            launch = time.clock_gettime_ns(CLOCK_TAI) + int(ahead) + number * 137_000
            s.sendmsg([payload], [(socket.SOL_SOCKET, SO_TXTIME, struct.pack("Q", launch))], 0, to)
"#;

/// Sends a frame that imitates a stamp, with a guessed secret.
const FORGER: &str = r#"
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
to = bytes([2, 0, 0, 0, 2, 1])
s.send(to + bytes([2, 7]) + struct.pack("=QQ", 1, 0x7473000000000000) + to + bytes([2, 0, 0, 0, 1, 2]) + bytes([0x88, 0xb6]) + bytes(46))
"#;

/// A daemon that is asked for its metrics, and what they have shown.
struct Watched {
    control: Control,
    seen: Seen,
}

impl Watched {
    fn look(&mut self) -> String {
        let text = self.control.metrics().unwrap();
        self.seen.look_at(&text);
        text
    }

    /// Waits until each of these has been other than 0.
    fn wait_for(&mut self, wanted: &[&str]) {
        let waited = wait_until("metrics to rise", BOUND, || {
            self.look();
            self.seen.missing(wanted).is_empty()
        });
        assert!(
            waited.is_ok(),
            "never seen: {:?}",
            self.seen.missing(wanted)
        );
    }

    /// Waits until all of these, 0 or 1, have been both.
    fn wait_flipped(&mut self, wanted: &[&str]) {
        let waited = wait_until("metrics to flip", BOUND, || {
            self.look();
            self.seen.not_flipped(wanted).is_empty()
        });
        assert!(
            waited.is_ok(),
            "never both: {:?}",
            self.seen.not_flipped(wanted)
        );
    }
}

fn class_drop(cause: &str) -> String {
    format!("tsnd_class_dropped_frames_total{{cause=\"{cause}\"}}")
}

fn send(bed: &Bed, pod: usize, groups: &str) {
    let mut arguments = vec![bed.far(1).ipv4.to_string()];
    arguments.extend(groups.split_whitespace().map(str::to_owned));
    let client = python(&bed.near(pod).namespace, CLIENT, &arguments).unwrap();
    client.finish(BOUND).unwrap();
}

fn talker(bed: &Bed, port: u16, bytes: usize, gap_us: u64) -> Talker {
    let gap = Duration::from_micros(gap_us);
    Talker::start(bed.near(1), bed.far(1), port, bytes, gap)
}

#[test]
fn everything_that_can_happen_end_to_end_is_told() {
    let bed = Bed::new(2);
    let daemon = bed.start(&configuration(&bed));
    let mut watched = Watched {
        control: daemon.control.clone(),
        seen: Seen::default(),
    };
    traffic(&bed, &mut watched);
    gates(&mut watched);
    link(&bed, &mut watched);
    pod_gone(&bed, &mut watched);
    stop(&bed, &mut watched, &|signal| {
        daemon.process.signal(signal).unwrap()
    });

    // Killed: until its last heartbeat is too old, the kernel programs miss its sockets.
    let socket_less = talker(&bed, BULK, 200, 1_000);
    daemon.kill().unwrap();
    socket_less.wait_more(50);
    socket_less.finish();
    clock(&bed, &mut watched);

    let missing = watched.seen.missing(END_TO_END);
    assert!(missing.is_empty(), "not provoked: {missing:?}");
    let not_flipped = watched.seen.not_flipped(FLIPS);
    assert!(not_flipped.is_empty(), "not both 0 and 1: {not_flipped:?}");
    let unknown = watched.seen.on_no_list();
    assert!(unknown.is_empty(), "nobody provokes {unknown:?}");
}

/// What one burst of pod1 must be counted as, frame for frame.
/// A frame of `bulk` has 1,400 bytes of payload, 14 of Ethernet, 20 of IPv4 and 8 of UDP.
const COUNTED: &str = r#"tsnd_stream_received_frames_total{pod="pod1",stream="sent-late"} 3
tsnd_stream_received_frames_total{pod="pod1",stream="deadline"} 3
tsnd_stream_received_frames_total{pod="pod1",stream="small-queue"} 203
tsnd_stream_received_frames_total{pod="pod1",stream="bulk"} 200
tsnd_stream_sent_frames_total{pod="pod1",stream="bulk"} 200
tsnd_class_sent_frames_total{class="0"} 200
tsnd_class_sent_bytes_total{class="0"} 288400
tsnd_class_dropped_frames_total{class="4",cause="missing_launch_time"} 3
tsnd_class_dropped_frames_total{class="5",cause="sdu_too_large"} 3
tsnd_class_dropped_frames_total{class="2",cause="gate_never_opens"} 3
tsnd_class_dropped_frames_total{class="1",cause="never_fits"} 3
tsnd_class_dropped_frames_total{class="7",cause="launch_time_past"} 3
tsnd_pod_dropped_frames_total{pod="pod1",cause="launch_time_too_far"} 3
tsnd_pod_dropped_frames_total{pod="pod1",cause="launch_time_wrong_clock"} 3
tsnd_pod_dropped_frames_total{pod="pod1",cause="quota_exceeded"} 0
tsnd_pod_dropped_frames_total{pod="pod1",cause="flow_meter_red"} 19
tsnd_stream_red_frames_total{pod="pod1",stream="metered"} 19
tsnd_pod_kernel_frames_total{pod="nobody",what="stamped"} 0"#;

fn not_counted(text: &str) -> Vec<&'static str> {
    let is_told = |wanted: &&str| text.lines().any(|line| line == *wanted);
    COUNTED.lines().filter(|line| !is_told(line)).collect()
}

/// What pods alone can provoke.
fn traffic(bed: &Bed, watched: &mut Watched) {
    const SECOND: u64 = 1_000_000_000;
    let [too_far, wrong_clock] = [15 * SECOND, 37 * SECOND];
    send(
        bed,
        1,
        &format!(
            "{TIMED} -{SECOND} 10 3  {TIMED} {too_far} 10 3  {TIMED} {wrong_clock} 10 3  {TIMED} 50000000 10 60
             {SENT_LATE} -1000000 10 3  {DEADLINE} -1000000 10 3  {REQUIRED} - 10 3  {SMALL_QUEUE} - 1000 3
             {SMALL_QUEUE} - 10 200  {NEVER_OPEN} - 10 3  {NARROW} - 200 3  {BULK} - 1400 200  {METERED} - 10 20"
        ),
    );
    let mut text = watched.look();
    let counted = wait_until("the burst to be counted", BOUND, || {
        text = watched.look();
        not_counted(&text).is_empty()
    });
    assert!(counted.is_ok(), "{:?} in\n{text}", not_counted(&text));
    send(bed, 2, &format!("{TIMED} 3000000000 10 30"));
    watched.wait_for(&["tsnd_pod_queued_frames", "tsnd_class_queued_frames"]);
    let forger = python(&bed.near(2).namespace, FORGER, &[POD_INTERFACE]).unwrap();
    forger.finish(BOUND).unwrap();
    let gap = Duration::from_millis(1);
    let inwards = Talker::start(bed.far(1), bed.near(1), BULK, 200, gap);
    let local = Talker::start(bed.near(1), bed.near(2), BULK, 200, gap);
    for cause in [
        "deadline_missed",
        "gate_never_opens",
        "late",
        "launch_time_past",
        "missing_launch_time",
        "never_fits",
        "queue_full",
        "sdu_too_large",
    ] {
        watched.wait_for(&[&class_drop(cause)]);
    }
    watched.wait_for(&[
        "tsnd_class_guard_band_holds_total",
        "tsnd_launch_error_seconds_bucket",
        "tsnd_launch_error_worst_seconds",
        "tsnd_pod_dropped_frames_total{cause=\"flow_meter_red\"}",
        "tsnd_pod_dropped_frames_total{cause=\"launch_time_too_far\"}",
        "tsnd_pod_dropped_frames_total{cause=\"launch_time_wrong_clock\"}",
        "tsnd_pod_dropped_frames_total{cause=\"quota_exceeded\"}",
        "tsnd_pod_kernel_frames_total{what=\"delivered\"}",
        "tsnd_pod_kernel_frames_total{what=\"forged_stamp\"}",
        "tsnd_pod_kernel_frames_total{what=\"local\"}",
        "tsnd_stream_sent_late_frames_total",
    ]);
    inwards.finish();
    local.finish();
}

/// A schedule that waits, and one that was asked to start in the past.
fn gates(watched: &mut Watched) {
    let mut gates = watched.control.get("/v1/gates").unwrap();
    for base_time_ns in [tai_now_ns() + 60_000_000_000, tai_now_ns() - 1_000_000_000] {
        gates["admin-base-time"] = json!(base_time_ns);
        let response = watched
            .control
            .request("PUT", "/v1/gates", &gates.to_string());
        assert_eq!(response.unwrap().status, 200);
        watched.look();
    }
    watched.wait_for(&["tsnd_config_change_errors_total"]);
    watched.wait_flipped(&["tsnd_config_pending"]);
}

fn link(bed: &Bed, watched: &mut Watched) {
    let near = &bed.network.near.namespace;
    let talker = talker(bed, BULK, 200, 1_000);
    near.batch("ip", &format!("link set {UPLINK} down\n"))
        .unwrap();
    watched.wait_for(&["tsnd_uplink_dropped_frames_total{cause=\"link_down\"}"]);
    watched.wait_flipped(&["tsnd_uplink_up"]);
    near.batch("ip", &format!("link set {UPLINK} up\n"))
        .unwrap();
    wait_until("the uplink to be up", BOUND, || {
        watched.look().contains("\ntsnd_uplink_up 1\n")
    })
    .unwrap();
    talker.finish();
}

/// A pod whose device is removed.
fn pod_gone(bed: &Bed, watched: &mut Watched) {
    let namespace = &bed.near(2).namespace;
    namespace
        .batch("ip", &format!("link del {POD_INTERFACE}\n"))
        .unwrap();
    watched.wait_flipped(&["tsnd_pod_attached"]);
    let counter = r#"tsnd_pod_kernel_frames_total{pod="pod2",what="stamped"} 0"#;
    assert!(watched.look().contains(counter));
}

/// A daemon that is away: its rings run out of buffers, and then the kernel takes over.
fn stop(bed: &Bed, watched: &mut Watched, signal: &dyn Fn(Signal)) {
    let wire = bed.capture();
    let flood = talker(bed, BULK, 200, 100);
    flood.wait_through(&wire);
    // These come due while it is away.
    send(bed, 1, &format!("{TIMED} 1500000000 10 20"));
    signal(Signal::SIGSTOP);
    flood.wait_more(2_000);
    flood.wait_through(&wire);
    signal(Signal::SIGCONT);
    flood.finish();
    watched.wait_for(&[
        "tsnd_pod_dropped_frames_total{cause=\"receive_no_buffer\"}",
        "tsnd_pod_kernel_frames_total{what=\"fallback_heartbeat\"}",
        "tsnd_stalled_frames_total",
        "tsnd_stall_seconds_count",
        "tsnd_stream_stalled_frames_total",
    ]);
}

/// A clock that finds its source, loses it, and is set.
fn clock(bed: &Bed, watched: &mut Watched) {
    let mut shim = ClockShim::build(bed);
    let mut command = bed.daemon_command(&bed.home.file("tsnd.yaml"));
    command.args(["--cpu", "1", "--metrics-listen", "127.0.0.1:9465"]);
    shim.preload(&mut command);
    bed.network
        .near
        .namespace
        .batch("ip", "link set lo up\n")
        .unwrap();
    let daemon = Process::spawn("tsnd", command).unwrap();
    wait_until("the daemon to answer", BOUND, || {
        watched.control.get("/v1/status").is_ok()
    })
    .unwrap();
    let state = |state: &str| format!("tsnd_clock_state{{state=\"{state}\"}}");
    watched.wait_for(&[
        &state("free-run"),
        "tsnd_pod_kernel_frames_total{what=\"fallback_no_socket\"}",
    ]);
    shim.set_locked(true);
    watched.wait_for(&[&state("locked")]);
    shim.set_locked(false);
    watched.wait_for(&[&state("holdover"), &state("lost")]);
    send(bed, 1, &format!("{SENT_LATE} - 10 10"));
    watched.wait_for(&["tsnd_uplink_dropped_frames_total{cause=\"clock_lost\"}"]);
    shim.set_ahead(Duration::from_secs(5));
    watched.wait_for(&["tsnd_clock_steps_total"]);
    read_over_tcp(bed, watched);
    drop(daemon);
}

/// `--metrics-listen` tells the same, in OpenMetrics as the reference reads it, and nothing else.
fn read_over_tcp(bed: &Bed, watched: &Watched) {
    let get = |path: &str| {
        let stream = bed
            .network
            .near
            .namespace
            .enter(|| TcpStream::connect("127.0.0.1:9465"));
        let mut stream = stream.unwrap().unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: tsnd\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(get("/v1/status").starts_with("HTTP/1.1 404"));
    let answer = get("/metrics");
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("application/openmetrics-text"), "{head}");
    let names = |text: &str| -> Vec<String> {
        let series = text.lines().map(|line| line.rsplit_once(' ').unwrap().0);
        series
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(names(text), names(&watched.control.metrics().unwrap()));

    assert_eq!(openmetrics::samples(text), names(text).len());
    openmetrics::lint(text);
}
