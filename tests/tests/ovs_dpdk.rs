//! tsnd as a port of Open vSwitch with DPDK, and pods behind the VXLAN tunnel: KuberneTSN's topology and traffic, from
//! an unmodified client.
//!
//! The wire between the nodes is a veth pair here, which the switch sends on by a packet socket: no network card is there
//! to be had by vfio-pci. So what the wire and the far node add is printed and says nothing about the topology; what is
//! asserted is delivery, and tsnd's own account of when frames left.

mod common;

use std::{net::UdpSocket, time::Duration};

use common::{
    counters::{Counters, number},
    wait_at_rest,
};
use serde_json::Value;
use tsn_tests::{
    backend::Backend,
    clients::tsn_perf,
    daemon::{Daemon, Home},
    namespace::Namespace,
    ovs::{FAR_POD_IPV4, FAR_POD_MAC, NEAR_POD_IPV4, Overlay},
    process::Process,
    testpmd::{BURST_FRAMES, Testpmd},
    topology::POD_INTERFACE,
    wait::wait_until,
};

/// KuberneTSN's `tsn_perf`: UDP port, frames, and sizes of its published runs with those between.
const PORT: u16 = 9999;
const FRAMES: u64 = 1000;
const PAYLOAD_BYTES: [u64; 5] = [64, 128, 256, 512, 1024];
/// Of datagrams that go ahead, the same way.
const FIRST_PORT: u16 = 9998;
/// Ethernet, IPv4 and UDP.
const HEADER_BYTES: u64 = 42;

const BOUND: Duration = Duration::from_secs(30);
const STREAM: &str = "loop";

/// A guest of tsnd beside the pod, behind a vhost-user socket.
const GUEST_MAC: &str = "02:00:00:00:01:02";
const GUEST_IPV4: &str = "10.71.0.12";

/// Starts tsnd with these pods, and waits until the switch has connected.
fn start_daemon(overlay: &Overlay, home: &Home, pods: &str) -> Daemon {
    let configuration = format!(
        r#"
worker: {{ heartbeat-timeout: 10s }}
{}uplinks:
  - device: {}
    link-speed: 10000
    traffic-classes: [{{ number: 7, name: control, critical: true }}]
pods:
{pods}
"#,
        home.backend().settings(),
        overlay.uplink_device(),
    );
    let daemon = Daemon::start(&overlay.near, home, &configuration, &["--cpu", "1"]).unwrap();
    overlay.wait_link("up").unwrap();
    daemon
}

fn veth_pod(overlay: &Overlay) -> String {
    format!(
        "  - name: pod1
    netns: {}
    streams: [
      {{ name: {STREAM}, match: {{ udp-destination-port: {PORT} }}, traffic-class: control, late: send }},
      {{ name: first, match: {{ udp-destination-port: {FIRST_PORT} }}, traffic-class: control }}]",
        overlay.near_pod.path().display()
    )
}

/// What talker and listener tell of frames with so much payload, sent from pod to pod.
struct Run {
    talker: Value,
    listener: Value,
}

/// Sends from pod to pod until something arrives: while the switch rearranges its ports, it drops what it does not know.
fn pass_first(overlay: &Overlay) {
    let bind = |pod: &Namespace, address| pod.enter(|| UdpSocket::bind(address)).unwrap().unwrap();
    let far = bind(&overlay.far_pod, (FAR_POD_IPV4, FIRST_PORT));
    let near = bind(&overlay.near_pod, (NEAR_POD_IPV4, 0));
    far.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    wait_until("a first datagram", BOUND, || {
        near.send_to(&[0; 64], (FAR_POD_IPV4, FIRST_PORT)).unwrap();
        far.recv(&mut [0; 64]).is_ok()
    })
    .unwrap();
}

fn talk(overlay: &Overlay, home: &Home, payload_bytes: u64) -> Run {
    pass_first(overlay);
    let ready = home.file(&format!("ready-{payload_bytes}"));
    let mut listen = tsn_perf(&overlay.far_pod).unwrap();
    listen.args(["listen", "--udp", &PORT.to_string(), "--idle", "5s"]);
    listen.args([
        "--count",
        &FRAMES.to_string(),
        "--output",
        "json",
        "--ready-file",
    ]);
    let listener = Process::spawn("listener", {
        listen.arg(&ready);
        listen
    })
    .unwrap();
    wait_until("the listener", BOUND, || ready.exists()).unwrap();

    let mut talk = tsn_perf(&overlay.near_pod).unwrap();
    talk.args(["talk", "--udp", &format!("{FAR_POD_IPV4}:{PORT}")]);
    talk.args(["--period", "1ms", "--notice", "500us"]);
    talk.args(["--size", &(payload_bytes + HEADER_BYTES).to_string()]);
    talk.args(["--count", &FRAMES.to_string(), "--output", "json"]);
    let talker = Process::spawn("talker", talk)
        .unwrap()
        .finish(BOUND)
        .unwrap();
    let listener = listener.finish(BOUND).unwrap();
    Run {
        talker: serde_json::from_str(&talker).unwrap(),
        listener: serde_json::from_str(&listener).unwrap(),
    }
}

impl Run {
    fn assert_delivered(&self) {
        assert_eq!(number(&self.talker["sent"]), FRAMES, "{}", self.talker);
        let stream = &self.listener["streams"][0];
        assert_eq!(number(&stream["received"]), FRAMES, "{stream}");
        assert_eq!(number(&stream["lost"]), 0, "{stream}");
        assert_eq!(number(&stream["duplicated"]), 0, "{stream}");
    }

    /// The distribution of arrival less launch time at the far pod, in µs.
    fn arrival(&self) -> String {
        let error = &self.listener["streams"][0]["error_ns"];
        let us = |part: &str| error[part].as_i64().unwrap() as f64 / 1e3;
        format!(
            "min {:.1}, median {:.1}, p90 {:.1}, p99 {:.1}, max {:.1} µs",
            us("min"),
            us("p50"),
            us("p90"),
            us("p99"),
            us("max")
        )
    }
}

/// Upper bounds of tsnd's buckets of departure less launch time, in ns, each with the frames up to it.
fn departures(daemon: &Daemon) -> Vec<(f64, u64)> {
    let page = daemon.control.metrics().unwrap();
    let name = format!(r#"tsnd_launch_error_seconds_bucket{{pod="pod1",stream="{STREAM}",le=""#);
    page.lines()
        .filter_map(|line| line.strip_prefix(&name)?.split_once("\"} "))
        .map(|(bound, frames)| {
            let seconds = bound.replace("+Inf", "inf").parse::<f64>().unwrap();
            (seconds * 1e9, frames.parse().unwrap())
        })
        .collect()
}

#[test]
fn kubernetsns_pattern_is_delivered_through_the_overlay_and_leaves_on_time() {
    let (overlay, home) = (
        Overlay::new().unwrap(),
        Home::with_backend(Backend::Dpdk).unwrap(),
    );
    let daemon = start_daemon(&overlay, &home, &veth_pod(&overlay));
    let lead_ns = || number(&Counters::of(&daemon).status["uplink"]["lead-ns"]);
    let mut longest_lead_ns = lead_ns();
    let mut expected = 0;
    for payload_bytes in PAYLOAD_BYTES {
        let run = talk(&overlay, &home, payload_bytes);
        run.assert_delivered();
        expected += FRAMES;
        wait_at_rest(&daemon);
        let counters = Counters::of(&daemon);
        counters.assert_conserved();
        assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
        let stream = counters.stream("pod1", STREAM);
        assert_eq!(number(&stream["received"]), expected);
        assert_eq!(number(&stream["sent"]), expected);
        longest_lead_ns = longest_lead_ns.max(lead_ns());
        println!("{payload_bytes} bytes: at the far pod {}", run.arrival());
    }

    // The worker acts a lead before the launch time, and the frame is away some time later: so no frame is away a lead
    // or more before its time. Frames that a stall touched are not in the buckets, but are not early either.
    let counters = Counters::of(&daemon);
    let lead_ns = longest_lead_ns as f64;
    let departures = departures(&daemon);
    let early = departures
        .iter()
        .rfind(|(bound_ns, _)| *bound_ns <= -lead_ns);
    println!("departure less launch time as tsnd counts it, with a lead of {lead_ns} ns:");
    let mut before = 0;
    for (bound_ns, frames) in &departures {
        println!("  up to {:>9.1} µs: {:>5}", bound_ns / 1e3, frames - before);
        before = *frames;
    }
    let stream = counters.stream("pod1", STREAM);
    println!("  touched by a stall: {}", stream["stalled"]);
    assert_eq!(
        before + number(&stream["stalled"]),
        expected,
        "all are counted"
    );
    assert_eq!(early.map_or(0, |(_, frames)| *frames), 0, "{departures:?}");
    daemon.terminate().unwrap();
}

#[test]
fn without_tsnd_the_switch_carries_the_pods_frames_and_with_the_next_one_they_are_timed_again() {
    let (overlay, home) = (
        Overlay::new().unwrap(),
        Home::with_backend(Backend::Dpdk).unwrap(),
    );
    for round in 0..3 {
        let mut daemon = start_daemon(&overlay, &home, &veth_pod(&overlay));
        talk(&overlay, &home, 64).assert_delivered();
        wait_at_rest(&daemon);
        let counters = Counters::of(&daemon);
        let sent = number(&counters.stream("pod1", STREAM)["sent"]);
        assert_eq!(
            sent,
            FRAMES,
            "round {round}: by tsnd, {}",
            counters.all_causes()
        );
        daemon.process.kill().unwrap();
        overlay.wait_link("down").unwrap();
        talk(&overlay, &home, 64).assert_delivered();
    }
}

/// What is for a guest comes in at the uplink: the switch has learnt there where the guest is.
#[test]
fn a_guest_behind_vhost_user_talks_with_the_far_pod_both_ways() {
    let (overlay, home) = (
        Overlay::new().unwrap(),
        Home::with_backend(Backend::Dpdk).unwrap(),
    );
    let neighbour =
        format!("neigh add {GUEST_IPV4} lladdr {GUEST_MAC} dev {POD_INTERFACE} nud permanent\n");
    overlay.far_pod.batch("ip", &neighbour).unwrap();
    let socket = home.file("guest.sock");
    let pod = format!(
        r#"  - name: guest
    vhost-user: {{ socket: {}, address: "{GUEST_MAC}" }}
    streams: [{{ name: all, match: {{}}, traffic-class: control }}]"#,
        socket.display()
    );
    let daemon = start_daemon(&overlay, &home, &pod);
    let device = format!("net_virtio_user0,path={},mac={GUEST_MAC}", socket.display());
    let options = [
        &format!("--eth-peer=0,{FAR_POD_MAC}"),
        &format!("--tx-ip={GUEST_IPV4},{FAR_POD_IPV4}"),
        &format!("--tx-udp={PORT},{PORT}"),
    ];
    let options = options.map(String::as_str);
    let mut guest = Testpmd::start(&overlay.near, &device, &options).unwrap();
    let far = overlay
        .far_pod
        .enter(|| UdpSocket::bind((FAR_POD_IPV4, PORT)))
        .unwrap()
        .unwrap();
    far.set_read_timeout(Some(BOUND)).unwrap();

    guest.send(2).unwrap();
    assert_eq!(guest.stats().unwrap().sent, 2 * BURST_FRAMES);
    for _ in 0..2 * BURST_FRAMES {
        far.recv(&mut [0; 2048]).unwrap();
    }

    let before = guest.stats().unwrap().received;
    for _ in 0..100 {
        far.send_to(&[0; 64], (GUEST_IPV4, PORT)).unwrap();
    }
    wait_until("the far pod's datagrams", BOUND, || {
        guest.stats().unwrap().received - before >= 100
    })
    .unwrap();
    guest.quit().unwrap();
    daemon.terminate().unwrap();
}
