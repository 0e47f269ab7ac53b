//! A virtual machine as a pod: its virtio card is at a vhost-user socket of a `tsnd` on the host, which this test runs in
//! namespaces as the other tests do. What the guest sends is in `src/suite/vhost_user/guest.py`.

#[path = "../../tests/tests/common/counters.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod counters;

use std::{fs, net::UdpSocket, path::Path, thread, time::Duration};

use serde_json::json;
use tsn_tests::{
    backend::Backend,
    capture::{Capture, CapturedFrame},
    clock::tai_now_ns,
    daemon::{Daemon, Home},
    topology::{Network, POD_INTERFACE, UPLINK},
    wait::{wait_for, wait_until},
};
use tsn_vm_tests::{Machine, companion};

use counters::{Counters, number};

const GUEST_MAC: &str = "02:00:00:00:01:31";
const GUEST_IPV4: &str = "10.71.0.31";
const SECRET: &str = "0x123456789abc";
const TIMED: u16 = 5001;
const UNTIMED: u16 = 5009;
const ANSWER: u16 = 5005;
const RAW_ETHERTYPE: [u8; 2] = [0x88, 0xb6];
/// Of each kind.
const FRAMES: u64 = 50;
/// Until the guest, which shares the host's processors, has read the time and sent the frames.
const NOTICE_NS: u64 = 3_000_000_000;
/// The guest boots meanwhile.
const BOUND: Duration = Duration::from_secs(240);

#[test]
fn a_guests_frames_leave_by_the_gates_at_their_launch_times_and_it_receives() {
    let network = Network::new(1).unwrap();
    let home = Home::with_backend(Backend::Dpdk).unwrap();
    let socket = home.file("guest.sock");
    let daemon = start(&network, &home, &socket);
    let wire = Capture::start(&network.far.namespace, UPLINK).unwrap();
    let mut machine = companion::machine().unwrap();
    let begin = machine.output.join("begin");
    let _ = fs::remove_file(&begin); // of the run before
    connect(&mut machine, &socket);
    let arrived = |port| wire.count(|frame| frame.udp_destination() == Some(port)) as u64;

    wait_until("the gates", BOUND, || {
        told(&daemon).status["gates"]["config-pending"] == false
    })
    .unwrap();
    // If this test fails, its process ends, and the guest with it.
    let guest = thread::spawn(move || machine.boot());
    // The gate of class 0 is closed for long.
    wait_until("the frames of class 7", BOUND, || arrived(TIMED) == FRAMES).unwrap();
    wait_until("the frames of class 0 in the daemon", BOUND, || {
        number(&told(&daemon).class(0)["queued"]) == FRAMES
    })
    .unwrap();
    assert_eq!(arrived(UNTIMED), 0, "their gate is closed");
    let gates = json!({ "admin-control-list": open(&[0, 7]) }).to_string();
    let answer = daemon.control.request("PUT", "/v1/gates", &gates);
    answer.unwrap().json().unwrap();
    wait_until("the frames of class 0", BOUND, || {
        arrived(UNTIMED) == FRAMES
    })
    .unwrap();

    let first_ns = tai_now_ns() + NOTICE_NS;
    let partial = begin.with_extension("partial");
    fs::write(&partial, first_ns.to_string()).unwrap();
    fs::rename(&partial, &begin).unwrap();
    wait_until("the frames with launch times", BOUND, || {
        wire.count(is_launched) as u64 == FRAMES
    })
    .unwrap();
    deliver(&network);
    let outcome = guest.join().expect("it does not panic").unwrap();
    assert!(outcome.is_good(), "{outcome}");

    let counters = told(&daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    let guest = counters.pod("vm1");
    assert_eq!(number(&guest["received"]), 3 * FRAMES);
    assert_eq!(number(&guest["delivered"]), 1, "{guest}");
    let lead_ns = number(&counters.status["uplink"]["lead-ns"]);
    let frames = wire.finish().unwrap();
    for port in [TIMED, UNTIMED] {
        let expected: Vec<u32> = (0..FRAMES as u32).collect();
        assert_eq!(
            numbers(&frames, port),
            expected,
            "each once, in order, of port {port}"
        );
    }
    let launched: Vec<_> = frames
        .iter()
        .filter(|frame| is_launched(frame))
        .map(launch_and_arrival)
        .collect();
    // The guest sent the last one first.
    assert!(
        launched.is_sorted(),
        "they leave in the order of launch times: {launched:?}"
    );
    let early = launched
        .iter()
        .filter(|(launch, arrival)| arrival + 10 * lead_ns < *launch);
    assert_eq!(early.count(), 0, "none leaves before its launch time");
    println!(
        "{} frames of a virtual machine; those with launch times came {:?} ns after them",
        3 * FRAMES,
        launched
            .iter()
            .map(|(launch, arrival)| arrival.cast_signed() - launch.cast_signed())
            .collect::<Vec<_>>()
    );
    daemon.terminate().unwrap();
}

/// What the daemon tells. Its worker has not always answered in time where the guest takes its core.
fn told(daemon: &Daemon) -> Counters {
    let told = wait_for("the daemon's counters", BOUND, || {
        Some(Counters {
            status: daemon.control.get("/v1/status").ok()?,
            pods: daemon.control.get("/v1/pods").ok()?,
        })
    });
    told.unwrap()
}

/// A list that begins in a moment, in which the gate of class 7 is open first, and after longer than this test takes that of class 0.
fn class_7_for_long() -> serde_json::Value {
    let open_for =
        |class, time| json!({ "gate-states-value": [class], "time-interval-value": time });
    let mut list = vec![open_for(7, "4s"); 100];
    list.push(open_for(0, "1ms"));
    let base = json!({ "seconds": tai_now_ns() / 1_000_000_000 + 5, "nanoseconds": 0 });
    json!({ "admin-base-time": base, "admin-control-list": list })
}

/// A list of one entry in which these gates are open.
fn open(classes: &[u8]) -> serde_json::Value {
    json!([{ "gate-states-value": classes, "time-interval-value": "1ms" }])
}

fn start(network: &Network, home: &Home, socket: &Path) -> Daemon {
    let pod = &network.near.pods[0];
    let configuration = format!(
        r#"
worker: {{ heartbeat-timeout: 10s }}
{}uplinks:
  - device: {UPLINK}
    link-speed: 1000
    traffic-classes: [ {{ number: 7, name: control, critical: true }}, {{ number: 0, name: best-effort }} ]
    gate-parameters: {}
pods:
  - name: vm1
    vhost-user: {{ socket: {}, address: "{GUEST_MAC}", stamp-secret: {SECRET} }}
    streams:
      - {{ name: timed, match: {{ udp-destination-port: {TIMED} }}, traffic-class: 7 }}
      - {{ name: untimed, match: {{ udp-destination-port: {UNTIMED} }}, traffic-class: 0 }}
      - {{ name: launched, match: {{ ethertype: 0x88b6 }}, traffic-class: 7, late: send }}
  - name: {}
    netns: {}
    streams: [ {{ name: answers, match: {{ udp-destination-port: {ANSWER} }}, traffic-class: 0 }} ]
"#,
        Backend::Dpdk.settings(),
        class_7_for_long(),
        socket.display(),
        pod.host_end,
        pod.namespace.path().display(),
    );
    Daemon::start(
        &network.near.namespace,
        home,
        &configuration,
        &["--cpu", "1"],
    )
    .unwrap()
}

/// Gives the machine a virtio card at the socket, and memory that it shares.
fn connect(machine: &mut Machine, socket: &Path) {
    let memory = format!(
        "memory-backend-memfd,id=memory,size={}M,share=on",
        machine.memory_mib
    );
    let arguments = [
        ["-object", &memory],
        ["-numa", "node,memdev=memory"],
        [
            "-chardev",
            &format!("socket,id=vm1,path={},reconnect-ms=1000", socket.display()),
        ],
        ["-netdev", "vhost-user,id=net0,chardev=vm1"],
        [
            "-device",
            &format!("virtio-net-pci,netdev=net0,mac={GUEST_MAC},romfile="),
        ],
    ];
    machine
        .arguments
        .extend(arguments.concat().into_iter().map(String::from));
}

/// Sends the guest a datagram from the pod beside it, by a socket of the kernel.
fn deliver(network: &Network) {
    let pod = &network.near.pods[0];
    let neighbour = format!(
        "neigh replace {GUEST_IPV4} lladdr {GUEST_MAC} dev {POD_INTERFACE} nud permanent\n"
    );
    pod.namespace.batch("ip", &neighbour).unwrap();
    let socket = pod.namespace.enter(|| UdpSocket::bind((pod.ipv4, 0)));
    let sent = socket
        .unwrap()
        .unwrap()
        .send_to(b"from the pod beside", (GUEST_IPV4, ANSWER));
    sent.unwrap();
}

/// The numbers of one port's datagrams in the order of their arrival.
fn numbers(frames: &[CapturedFrame], port: u16) -> Vec<u32> {
    let of_port = |frame: &&CapturedFrame| frame.udp_destination() == Some(port);
    let number =
        |frame: &CapturedFrame| frame.bytes[42..46].try_into().map_or(0, u32::from_be_bytes);
    frames.iter().filter(of_port).map(number).collect()
}

fn is_launched(frame: &CapturedFrame) -> bool {
    frame.bytes.get(12..14) == Some(&RAW_ETHERTYPE)
}

fn launch_and_arrival(frame: &CapturedFrame) -> (u64, u64) {
    let launch = frame.bytes[14..22].try_into();
    (launch.map_or(0, u64::from_be_bytes), frame.arrival_ns)
}
