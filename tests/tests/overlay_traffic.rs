//! Overlay mode under traffic: time-sensitive datagrams leave by the daemon and arrive, at nodes with and without one, and
//! all else takes the kernel's path.

mod common;

use std::{net::UdpSocket, time::Duration};

use common::{
    BOUND, CONTROL, Settings, VIDEO,
    counters::{Counters, number},
    launch::{PYTHON_CLIENT, assert_launched},
    overlay::{
        OverlayBed, address, datagrams, exchange, node_configuration, ping, tcp_there_and_back,
        udp_socket, wait_for_fast_path,
    },
    traffic::{Talker, assert_complete, numbers},
    wait_at_rest,
};
use tsn_tests::{
    capture::Capture,
    clients::python,
    daemon::{Daemon, Home},
    overlay::{Family, Kind, Tunnelled},
    topology::POD_INTERFACE,
};

/// Of a pod's frames: how many the daemon received, how many its kernel programs delivered, and left to the kernel for a
/// pod of the same node.
fn figures(daemon: &Daemon, pod: &str) -> [u64; 3] {
    let counters = Counters::of(daemon);
    let pod = counters.pod(pod);
    [
        number(&pod["received"]),
        number(&pod["kernel"]["delivered"]),
        number(&pod["kernel"]["local"]),
    ]
}

/// Pings, datagrams and TCP in both directions beside a steady talker; the far node has a daemon or none.
fn pods_talk(kind: Kind, far_has_daemon: bool) {
    let bed = OverlayBed::new(kind, 2);
    let (near, far) = (bed.near(1), bed.far(1));
    let far_home = Home::new().unwrap();
    let far_daemon = far_has_daemon.then(|| {
        let configuration = node_configuration(&bed.network.far, &Settings::default());
        let far = &bed.network.far.namespace;
        Daemon::start(far, &far_home, &configuration, &["--cpu", "1"]).unwrap()
    });
    let daemon = bed.start(&Settings::default());
    for family in Family::ALL {
        wait_for_fast_path(&bed, &daemon, family);
    }
    let before = figures(&daemon, "pod1");
    let far_before = far_daemon.as_ref().map(|daemon| figures(daemon, "pod1"));
    // What the far daemon's kernel programs hand to the pod, nothing sees on the uplink.
    let arrivals = if far_has_daemon {
        Capture::start_whole(&far.namespace, POD_INTERFACE).unwrap()
    } else {
        bed.capture()
    };
    let talker = Talker::start(near, far, CONTROL, 200, Duration::from_millis(1));
    for family in Family::ALL {
        ping(near, address(far, family), 5);
        ping(far, address(near, family), 5);
        exchange(near, far, family, VIDEO);
        exchange(far, near, family, VIDEO);
        exchange(near, bed.near(2), family, VIDEO);
        tcp_there_and_back(near, far, family, 4 << 20);
        tcp_there_and_back(far, near, family, 4 << 20);
    }
    let sent = talker.finish();
    wait_at_rest(&daemon);
    let after = figures(&daemon, "pod1");
    // The datagrams to the far pod, of which two asked for an answer, and nothing else.
    let through = u64::from(sent) + 2;
    assert_eq!(after[0] - before[0], through, "received");
    assert_eq!(
        after[1] - before[1],
        2,
        "the far pod asked twice; an answer has the port of no stream"
    );
    assert_eq!(after[2] - before[2], 2, "for the neighbour");
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    let frames = datagrams(&arrivals.finish().unwrap());
    assert_complete(&numbers(&frames, CONTROL), sent);
    if let (Some(far_daemon), Some(before)) = (far_daemon, far_before) {
        wait_at_rest(&far_daemon);
        let after = figures(&far_daemon, "pod1");
        assert_eq!(after[0] - before[0], 2, "the far pod asked twice");
        assert_eq!(after[1] - before[1], through, "delivered");
        far_daemon.terminate().unwrap();
    }
    daemon.terminate().unwrap();
}

#[test]
fn pods_talk_to_a_node_without_a_daemon_through_a_tunnel() {
    pods_talk(Kind::Vxlan, false);
}

#[test]
fn pods_talk_to_a_node_without_a_daemon_through_tunnels_of_the_other_family() {
    pods_talk(Kind::VxlanCrossed, false);
}

#[test]
fn pods_talk_to_a_node_without_a_daemon_through_a_router() {
    pods_talk(Kind::VxlanThroughRouter, false);
}

#[test]
fn pods_talk_to_a_node_without_a_daemon_without_a_tunnel() {
    pods_talk(Kind::HostGateway, false);
}

#[test]
fn pods_talk_to_a_node_with_a_daemon_through_a_tunnel() {
    pods_talk(Kind::Vxlan, true);
}

#[test]
fn pods_talk_to_a_node_with_a_daemon_through_tunnels_of_the_other_family() {
    pods_talk(Kind::VxlanCrossed, true);
}

#[test]
fn pods_talk_to_a_node_with_a_daemon_without_a_tunnel() {
    pods_talk(Kind::HostGateway, true);
}

/// An unmodified program's launch times.
fn launches(kind: Kind) {
    let bed = OverlayBed::new(kind, 1);
    let daemon = bed.start(&Settings::default());
    wait_for_fast_path(&bed, &daemon, Family::V4);
    assert_launched(&daemon, bed.capture(), 500, || {
        let destination = bed.far(1).ipv4.to_string();
        let arguments = [&*destination, &CONTROL.to_string(), "500", "11"];
        python(&bed.near(1).namespace, PYTHON_CLIENT, &arguments).unwrap()
    });
    daemon.terminate().unwrap();
}

#[test]
fn frames_with_launch_times_enter_a_tunnel_in_their_time() {
    launches(Kind::Vxlan);
}

#[test]
fn routed_frames_with_launch_times_leave_in_their_time() {
    launches(Kind::HostGateway);
}

#[test]
fn a_class_can_have_an_outer_dscp_of_its_own() {
    let bed = OverlayBed::new(Kind::Vxlan, 1);
    let configuration = bed.configuration(&Settings::default());
    let marked = configuration.replace("name: control,", "name: control, dscp: 46,");
    assert_ne!(marked, configuration);
    let daemon = bed.start_with(&marked);
    wait_for_fast_path(&bed, &daemon, Family::V4);
    let wire = bed.capture();
    for port in [CONTROL, VIDEO] {
        let talker = Talker::start(bed.near(1), bed.far(1), port, 200, Duration::from_millis(1));
        talker.wait_more(20);
        talker.finish();
    }
    wait_at_rest(&daemon);
    daemon.terminate().unwrap();
    let outer: Vec<_> = wire
        .finish()
        .unwrap()
        .iter()
        .filter_map(Tunnelled::of)
        .collect();
    for (port, ds_field) in [(CONTROL, 46 << 2), (VIDEO, 0)] {
        let of_port = outer
            .iter()
            .filter(|outer| outer.inner.udp_destination() == Some(port));
        let fields: Vec<_> = of_port
            .map(|outer| (outer.ds_field, outer.inner.bytes[15]))
            .collect();
        assert!(fields.len() >= 20);
        assert!(
            fields.iter().all(|fields| *fields == (ds_field, 0)),
            "{port}: {fields:?}"
        );
    }
}

/// The address that a cluster would give a service, and its translation to a pod; and what leaves the cluster has the
/// node's address.
const TRANSLATION: &str = "
table ip cluster {
  chain prerouting { type nat hook prerouting priority dstnat; ip daddr 10.96.0.10 dnat to POD; }
  chain postrouting { type nat hook postrouting priority srcnat;
    ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade; }
}
";

#[test]
fn what_the_node_translates_stays_with_the_kernel() {
    let bed = OverlayBed::new(Kind::Vxlan, 1);
    let (near, far) = (bed.near(1), bed.far(1));
    let rules = bed.home.file("translation.nft");
    let own = TRANSLATION.replace("POD", &far.ipv4.to_string());
    std::fs::write(&rules, own).unwrap();
    let node = &bed.network.near;
    let nft = node
        .namespace
        .command("nft")
        .arg("--file")
        .arg(&rules)
        .output();
    let nft = nft.expect("nft is missing; `cargo xtask setup` installs it");
    assert!(
        nft.status.success(),
        "{}",
        String::from_utf8_lossy(&nft.stderr)
    );
    let daemon = bed.start(&Settings::default());
    wait_for_fast_path(&bed, &daemon, Family::V4);
    let before = figures(&daemon, "pod1");
    let no_route = || number(&Counters::of(&daemon).pod("pod1")["kernel"]["fallback_no_route"]);
    let no_route_before = no_route();

    // To the service, which is the far pod: the answer comes from the service.
    let asking = udp_socket(near, Family::V4, 0);
    let pod = udp_socket(far, Family::V4, CONTROL);
    asking.send_to(b"service", ("10.96.0.10", CONTROL)).unwrap();
    let mut buffer = [0; 16];
    let (_, back) = pod.recv_from(&mut buffer).unwrap();
    pod.send_to(b"answer", back).unwrap();
    let (_, from) = asking.recv_from(&mut buffer).unwrap();
    assert_eq!(from, ([10, 96, 0, 10], CONTROL).into());

    // To the other node's own address: that sees the near node ask.
    let remote = bed.network.far.address(Family::V4);
    let socket = bed
        .network
        .far
        .namespace
        .enter(|| UdpSocket::bind((remote, CONTROL)));
    let socket = socket.unwrap().unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    asking.send_to(b"node", (remote, CONTROL)).unwrap();
    let (_, back) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(back.ip(), node.address(Family::V4));
    socket.send_to(b"answer", back).unwrap();
    let (_, from) = asking.recv_from(&mut buffer).unwrap();
    assert_eq!(from, (remote, CONTROL).into());

    wait_at_rest(&daemon);
    assert_eq!(
        figures(&daemon, "pod1")[0],
        before[0],
        "none of it went through the daemon"
    );
    assert_eq!(no_route(), no_route_before + 2);
    // What is not translated still does.
    wait_for_fast_path(&bed, &daemon, Family::V4);
    daemon.terminate().unwrap();
}

/// Sends datagrams with or without "do not fragment" to where the path's MTU is too small, and says of each whether it
/// was taken, and at the end the path's MTU and what is on the socket's error queue.
const OVERSIZE_CLIENT: &str = r#"
import errno, json, socket, struct, sys, time
address, port, size, dont_fragment = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
# Level, then IP_MTU_DISCOVER, IP_RECVERR and IP_MTU or their names in IPv6.
level, discover, receive_errors, mtu = (41, 23, 25, 24) if family == socket.AF_INET6 else (0, 10, 11, 14)
s.setsockopt(level, discover, 2 if dont_fragment else 0)
s.setsockopt(level, receive_errors, 1)
s.connect((address, port))
taken = []
for number in range(20):
    try:
        s.send(bytes([number]) * size)
        taken.append(True)
    except OSError as error:
        taken.append(error.errno == errno.EMSGSIZE)
        if error.errno == errno.EMSGSIZE:
            break
    time.sleep(0.05)
errors = []
try:
    while True:
        _, ancillary, _, _ = s.recvmsg(1, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        # The number of the error begins struct sock_extended_err.
        errors.append(struct.unpack_from("=I", ancillary[0][2])[0])
except BlockingIOError:
    pass
print(json.dumps({"sent": len(taken), "too long": errno.EMSGSIZE in errors, "mtu": s.getsockopt(level, mtu)}))
"#;

/// A pod and its way to the bridge take packets that do not fit into the tunnel.
fn raise_pod_mtu(bed: &OverlayBed) {
    let node = &bed.network.near.namespace;
    node.batch("ip", "link set cni0 mtu 1500\nlink set pod1 mtu 1500\n")
        .unwrap();
    let pod = &bed.near(1).namespace;
    pod.batch("ip", "link set eth0 mtu 1500\n").unwrap();
}

fn send_oversize(bed: &OverlayBed, family: Family, dont_fragment: bool) -> serde_json::Value {
    let headers = if family == Family::V4 { 28 } else { 48 };
    let arguments = [
        address(bed.far(1), family).to_string(),
        CONTROL.to_string(),
        (1_500 - headers).to_string(),
        u8::from(dont_fragment).to_string(),
    ];
    let client = python(&bed.near(1).namespace, OVERSIZE_CLIENT, &arguments).unwrap();
    serde_json::from_str(&client.finish(BOUND).unwrap()).unwrap()
}

#[test]
fn a_sender_of_what_does_not_fit_is_told_the_mtu() {
    let bed = OverlayBed::new(Kind::Vxlan, 1);
    raise_pod_mtu(&bed);
    let daemon = bed.start(&Settings::default());
    for (family, mtu) in [(Family::V4, 1_450), (Family::V6, 1_430)] {
        wait_for_fast_path(&bed, &daemon, family);
        let before = Counters::of(&daemon);
        let told = send_oversize(&bed, family, true);
        println!("{family:?}: {told}");
        assert_eq!(told["too long"], true);
        assert_eq!(told["mtu"], mtu);
        let oversize =
            |counters: &Counters| number(&counters.pod("pod1")["kernel"]["fallback_oversize"]);
        let counted = oversize(&Counters::of(&daemon)) - oversize(&before);
        // The last attempt failed before it was a packet.
        assert_eq!(counted, number(&told["sent"]) - 1);
    }
    let counters = Counters::of(&daemon);
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    daemon.terminate().unwrap();
}

#[test]
fn what_does_not_fit_and_may_be_fragmented_is() {
    let bed = OverlayBed::new(Kind::Vxlan, 1);
    raise_pod_mtu(&bed);
    let daemon = bed.start(&Settings::default());
    wait_for_fast_path(&bed, &daemon, Family::V4);
    let receiver = udp_socket(bed.far(1), Family::V4, CONTROL);
    send_oversize(&bed, Family::V4, false);
    let mut buffer = vec![0; 2_000];
    for number in 0..20 {
        let (length, _) = receiver.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], vec![number; 1_472]);
    }
    let counters = Counters::of(&daemon);
    assert_eq!(
        number(&counters.pod("pod1")["kernel"]["fallback_oversize"]),
        20
    );
    daemon.terminate().unwrap();
}
