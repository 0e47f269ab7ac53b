//! The whole backend: uplinks, pods that come and go, and what is left when they are gone. One EAL in a process, so one
//! test in this file.

mod bed;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tsn_common::StampHeader;
use tsn_dpdk::{BackendError, DpdkBackend, DpdkConfig, EthDevice, EthOptions, EthPort, Hugepages};
use tsn_port::{
    Backend, Frame, Link, MacAddress, PodAttachment, PodEnd, Port, Stamp, TimeBase, VhostUserEnd,
    checksum,
};
use tsn_tests::wait::{wait_for, wait_until};

use bed::{PATIENCE, ip, veth_pair};

const RANDOM: u64 = 0x1234_5678_9abc;
const POD_ADDRESS: [u8; 6] = [2, 0, 0, 0, 0, 7];
const BUFFERS: u32 = 4096;

#[test]
fn pods_and_uplinks_come_and_go() {
    private_bpffs();
    veth_pair();
    let mut backend = DpdkBackend::open(&DpdkConfig {
        pin_dir: "/sys/fs/bpf/tsnd".into(),
        heartbeat_timeout: Duration::from_secs(3600),
        frame_buffers: BUFFERS,
        frame_bytes: 2048,
        memory_mib: None,
        hugepages: Hugepages::None,
        file_prefix: "tsn-dpdk-backend".into(),
        pci_devices: Vec::new(),
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("pod");

    a_pod_sends_and_receives(&mut backend, &socket);
    nothing_that_a_pod_sends_keeps_the_worker(&mut backend, &socket);
    frames_for_a_pod_that_left_are_dropped(&mut backend, &socket);
    frames_that_an_uplink_does_not_take_are_dropped(&mut backend, &socket);
    a_peer_is_restarted(&mut backend, &socket);
    a_stale_socket_is_replaced(&mut backend, &socket);
    wrong_devices_are_told(&mut backend);
    an_interface_is_an_uplink(&mut backend);
    a_tap_is_an_uplink(&mut backend);
    checksums_are_completed_by_a_device_that_can(&mut backend, &socket);
    assert_eq!(backend.pool().frames_in_use(), 0, "buffers are left behind");
}

fn a_pod_sends_and_receives(backend: &mut DpdkBackend, socket: &Path) {
    let mut pod = backend.attach_pod(&vhost_pod(socket)).unwrap();
    assert!(backend.is_attached("pod"));
    assert_eq!(pod.station(), Some(MacAddress(POD_ADDRESS)));
    let again = backend.attach_pod(&vhost_pod(socket)).err().unwrap();
    assert!(matches!(again, BackendError::PodAttached { .. }), "{again}");
    {
        let mut peer = peer(backend, socket);
        let stamped = [header(StampHeader::secret(RANDOM)).as_slice(), &frame(1)].concat();
        let forged = [
            header(StampHeader::secret(RANDOM + 1)).as_slice(),
            &frame(2),
        ]
        .concat();
        for bytes in [stamped, forged, frame(3)] {
            send(&mut peer, &bytes);
        }
        let first = receive(&mut pod);
        assert_eq!(first.bytes(), frame(1), "the stamp is taken off");
        let expected = Stamp {
            launch_time_ns: 42,
            time_base: TimeBase::Tai,
            priority: 5,
        };
        assert_eq!(first.stamp(), expected);
        let second = receive(&mut pod);
        assert_eq!(second.bytes(), frame(3), "the forged one is dropped");
        assert_eq!(second.stamp(), Stamp::NONE);
        let counters = backend.pod_counters("pod");
        for expected in [("stamped", 1), ("forged_stamp", 1), ("redirected", 0)] {
            assert!(
                counters.contains(&expected),
                "{counters:?} without {expected:?}"
            );
        }
        // What came from the pod goes back to it.
        pod.transmit(second).unwrap();
        pod.wake().unwrap();
        assert_eq!(receive(&mut peer).bytes(), frame(3));
    }
    let down = wait_for("the link to go down", PATIENCE, || pod.wake().err()).unwrap();
    assert!(down.to_string().contains("down"), "{down}");
    backend.detach_pod("pod").unwrap();
    assert!(!backend.is_attached("pod"));
    drop(pod);
    assert!(!socket.exists(), "the socket goes with the port");
    assert_eq!(backend.pool().frames_in_use(), 0, "buffers are left behind");
}

/// More forged frames than a look at the device takes.
fn nothing_that_a_pod_sends_keeps_the_worker(backend: &mut DpdkBackend, socket: &Path) {
    let mut pod = backend.attach_pod(&vhost_pod(socket)).unwrap();
    let mut peer = peer(backend, socket);
    let forged = [
        header(StampHeader::secret(RANDOM + 1)).as_slice(),
        &frame(2),
    ]
    .concat();
    for _ in 0..100 {
        send(&mut peer, &forged);
    }
    send(&mut peer, &frame(3));
    wait_until("all to be in the device", PATIENCE, || {
        pod.levels().receive_waiting == 101
    })
    .unwrap();
    assert!(pod.receive().is_none(), "a burst of forged ones");
    assert!(pod.levels().receive_waiting > 0, "not all of them at once");
    assert_eq!(receive(&mut pod).bytes(), frame(3));
    assert!(backend.pod_counters("pod").contains(&("forged_stamp", 100)));
    backend.detach_pod("pod").unwrap();
}

fn frames_for_a_pod_that_left_are_dropped(backend: &mut DpdkBackend, socket: &Path) {
    let mut pod = backend.attach_pod(&vhost_pod(socket)).unwrap();
    drop(peer(backend, socket));
    wait_until("the link to go down", PATIENCE, || pod.wake().is_err()).unwrap();
    let before = pod.counters();
    let mut stale = pod.allocate(60).unwrap();
    stale.bytes_mut().copy_from_slice(&frame(9));
    pod.transmit(stale).unwrap();
    assert!(pod.wake().is_err());
    assert_eq!(pod.levels().transmit_used, 0, "for the next one there");
    let dropped = pod.counters().transmit_dropped - before.transmit_dropped;
    assert_eq!(dropped, 1);
    backend.detach_pod("pod").unwrap();
}

/// The switch at the other end, here a pod's port, listens only in the end.
fn frames_that_an_uplink_does_not_take_are_dropped(backend: &mut DpdkBackend, socket: &Path) {
    let mut switch = backend.attach_pod(&vhost_pod(socket)).unwrap();
    let name = format!("net_virtio_user8,path={}", socket.display());
    let mut uplink = backend.open_uplink(&name).unwrap();
    wait_until("the link", PATIENCE, || {
        matches!(backend.uplink_link(&name), Link::Up { .. }) && switch.wake().is_ok()
    })
    .unwrap();
    let refused = wait_for("the device to be full", PATIENCE, || {
        send_60(&mut uplink);
        let dropped = uplink.counters().transmit_dropped;
        (dropped > 0).then(|| (dropped, uplink.levels().transmit_used))
    });
    assert_eq!(refused.unwrap(), (1, 0), "one that is late is gone");
    let stuck = wait_for("the device to be stuck", PATIENCE, || {
        send_60(&mut uplink);
        uplink.wake().err()
    });
    let stuck = stuck.unwrap().to_string();
    assert!(stuck.contains("has taken no frame"), "{stuck}");
    assert_eq!(uplink.levels().transmit_used, 1, "to try it by");
    wait_until(
        "the device to take frames once the switch listens",
        PATIENCE,
        || {
            while switch.receive().is_some() {}
            uplink.wake().is_ok() && uplink.levels().transmit_used == 0
        },
    )
    .unwrap();
    drop(uplink);
    backend.detach_pod("pod").unwrap();
}

/// Sends a frame, or does not; a device that is stuck says so at the next wake-up too.
fn send_60<P: Port>(port: &mut P) {
    let frame = port.allocate(60).expect("a free buffer");
    port.transmit(frame).ok().expect("room in the port");
    let _ = port.wake();
}

/// Ten times over, with frames on the way in both directions when it goes.
fn a_peer_is_restarted(backend: &mut DpdkBackend, socket: &Path) {
    let mut pod = backend.attach_pod(&vhost_pod(socket)).unwrap();
    let at_rest = backend.pool().frames_in_use();
    for round in 0..10 {
        let mut peer = peer(backend, socket);
        for _ in 0..8 {
            send(&mut peer, &frame(4));
            let back = receive(&mut pod);
            pod.transmit(back).unwrap();
            pod.wake().unwrap();
        }
        assert_eq!(receive(&mut peer).bytes(), frame(4), "round {round}");
        send(&mut peer, &frame(5));
        drop(peer);
        wait_until("the link to go down", PATIENCE, || pod.wake().is_err()).unwrap();
        while pod.receive().is_some() {}
        assert_eq!(
            backend.pool().frames_in_use(),
            at_rest,
            "round {round} leaves buffers behind"
        );
    }
    backend.detach_pod("pod").unwrap();
}

fn a_stale_socket_is_replaced(backend: &mut DpdkBackend, socket: &Path) {
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let taken = backend.attach_pod(&vhost_pod(socket)).err().unwrap();
    assert!(matches!(taken, BackendError::Socket { .. }), "{taken}");
    drop(listener);
    assert!(socket.exists(), "a killed program leaves its socket");
    let pod = backend.attach_pod(&vhost_pod(socket)).unwrap();
    let mode = socket.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only for the daemon's user");
    drop(peer(backend, socket));
    backend.detach_pod("pod").unwrap();
    drop(pod);
}

fn wrong_devices_are_told(backend: &mut DpdkBackend) {
    for (device, expected) in [
        ("0000:ff:1f.7", "no PCI device 0000:ff:1f.7"),
        (
            "net_af_packet0,iface=far,framecount=1",
            "net_af_packet0,iface=far,framecount=1",
        ),
        (
            "net_virtio_user0,path=/nowhere/socket",
            "cannot attach net_virtio_user0",
        ),
        ("net_nonsense0", "cannot attach net_nonsense0"),
        ("nowhere", "nowhere"),
    ] {
        let error = backend.open_uplink(device).err().expect(device).to_string();
        assert!(error.contains(expected), "{device}: {error}");
    }
}

fn an_interface_is_an_uplink(backend: &mut DpdkBackend) {
    let mut uplink = backend.open_uplink("near").unwrap();
    assert!(matches!(backend.uplink_link("near"), Link::Up { .. }));
    let eal_pool = backend.pool();
    let mut far = EthPort::new(device(backend, "net_af_packet9,iface=far"), eal_pool);
    let mut frame_out = uplink.allocate(60).unwrap();
    frame_out.bytes_mut().copy_from_slice(&frame(6));
    uplink.transmit(frame_out).unwrap();
    uplink.wake().unwrap();
    receive_ours(&mut far, 6);
    assert!(uplink.receive().is_none(), "the kernel receives there");
    let facts = backend.uplink_facts("near");
    assert!(facts.contains(&("device", "near".into())), "{facts:?}");

    ip("link set near down");
    assert_eq!(backend.uplink_link("near"), Link::Down);
    ip("link set near up");
    drop(far);
    ip("link del near");
    assert_eq!(backend.uplink_link("near"), Link::Gone);
    backend.close_uplink("near").unwrap();
    drop(uplink);
}

/// A tap device offers to complete checksums: the frame leaves as it would from here, and so it does by any other port.
fn checksums_are_completed_by_a_device_that_can(backend: &mut DpdkBackend, socket: &Path) {
    let mut uplink = backend.open_uplink("net_tap0,iface=tap0").unwrap();
    ip("link set tap0 up");
    let mut wire = EthPort::new(device(backend, "net_af_packet8,iface=tap0"), backend.pool());
    let mut pod = backend.attach_pod(&vhost_pod(socket)).unwrap();
    let mut peer = peer(backend, socket);
    let unfinished = datagram();
    let mut finished = unfinished.clone();
    assert!(checksum::complete(&mut finished));

    send(&mut peer, &unfinished);
    let frame = receive(&mut pod);
    assert_eq!(frame.bytes(), unfinished, "left to the device");
    uplink.transmit(frame).unwrap();
    uplink.wake().unwrap();
    let is_ours = |frame: &tsn_dpdk::DpdkFrame| frame.bytes()[..6] == POD_ADDRESS;
    let on_wire = wait_for("the datagram", PATIENCE, || wire.receive().filter(is_ours));
    assert_eq!(on_wire.unwrap().bytes(), finished);

    send(&mut peer, &unfinished);
    let frame = receive(&mut pod);
    pod.transmit(frame).unwrap();
    pod.wake().unwrap();
    assert_eq!(receive(&mut peer).bytes(), finished, "this port does not");
    drop((peer, wire, uplink));
    backend.detach_pod("pod").unwrap();
}

/// UDP over IPv4 whose checksum is only that of the pseudo-header, as a pod with checksum offload sends it.
fn datagram() -> Vec<u8> {
    const PAYLOAD: &[u8] = b"an odd number of bytes.";
    let udp_bytes = (8 + PAYLOAD.len()) as u16;
    let mut bytes = POD_ADDRESS.to_vec();
    bytes.extend([2, 0, 0, 0, 0, 8, 0x08, 0x00]);
    bytes.extend([0x45, 0]);
    bytes.extend((20 + udp_bytes).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.extend([0x13, 0x88, 0x13, 0x89]);
    bytes.extend(udp_bytes.to_be_bytes());
    // 10.0.0.1 + 10.0.0.2 + the protocol + the length.
    bytes.extend((0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 17 + udp_bytes).to_be_bytes());
    bytes.extend(PAYLOAD);
    bytes
}

fn a_tap_is_an_uplink(backend: &mut DpdkBackend) {
    const NAME: &str = "net_tap0,iface=tap0";
    let mut uplink = backend.open_uplink(NAME).unwrap();
    ip("link set tap0 up");
    wait_until("the link", PATIENCE, || {
        matches!(backend.uplink_link(NAME), Link::Up { .. })
    })
    .unwrap();
    // The kernel's side of it.
    let mut kernel = EthPort::new(device(backend, "net_af_packet9,iface=tap0"), backend.pool());
    let mut out = uplink.allocate(60).unwrap();
    out.bytes_mut().copy_from_slice(&frame(7));
    uplink.transmit(out).unwrap();
    uplink.wake().unwrap();
    receive_ours(&mut kernel, 7);
    let mut short = uplink.allocate(20).unwrap();
    short.bytes_mut().copy_from_slice(&frame(7)[..20]);
    uplink.transmit(short).unwrap();
    uplink.wake().unwrap();
    let padded = [&frame(7)[..20], &[0; 40]].concat();
    wait_until("the short frame", PATIENCE, || {
        kernel
            .receive()
            .is_some_and(|frame| frame.bytes() == padded)
    })
    .unwrap();
    send(&mut kernel, &frame(8));
    receive_ours(&mut uplink, 8);
    assert!(!uplink.capabilities().zero_copy, "the kernel copies");
    drop(kernel);
    ip("link del tap0");
    assert_eq!(backend.uplink_link(NAME), Link::Gone, "still open");
    drop(uplink);
    assert_eq!(backend.uplink_link(NAME), Link::Gone);
}

fn vhost_pod(socket: &Path) -> PodAttachment {
    PodAttachment {
        name: "pod".into(),
        end: PodEnd::VhostUser(VhostUserEnd {
            socket: socket.into(),
            peer_listens: false,
            address: MacAddress(POD_ADDRESS),
            stamp_secret: Some(RANDOM),
        }),
        mode: tsn_port::PodMode::L2,
        rules: Vec::new(),
    }
}

/// The pod's side of the socket, with its link up.
fn peer(backend: &DpdkBackend, socket: &Path) -> EthPort {
    let name = format!("net_virtio_user7,path={}", socket.display());
    let port = EthPort::new(device(backend, &name), backend.pool());
    wait_until("the peer's link", PATIENCE, || {
        port.device().link().is_some_and(|link| link.up)
    })
    .unwrap();
    port
}

fn device(backend: &DpdkBackend, name: &str) -> EthDevice {
    let options = EthOptions {
        receive_slots: 256,
        promiscuous: true,
    };
    EthDevice::open(
        backend.eal(),
        backend.pool(),
        &name.parse().unwrap(),
        options,
    )
    .unwrap()
}

fn header(secret: u64) -> [u8; 24] {
    StampHeader {
        destination: POD_ADDRESS,
        time_base: TimeBase::Tai as u8,
        priority: 5,
        launch_time_ns: 42,
        secret,
    }
    .to_bytes()
}

fn frame(number: u8) -> Vec<u8> {
    let mut bytes = vec![number; 60];
    bytes[..6].copy_from_slice(&POD_ADDRESS);
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes
}

fn send(port: &mut EthPort, bytes: &[u8]) {
    let mut frame = port.allocate(bytes.len()).expect("a free buffer");
    frame.bytes_mut().copy_from_slice(bytes);
    port.transmit(frame).expect("room in the port");
    port.wake().unwrap();
}

fn receive<P: Port>(port: &mut P) -> P::Frame {
    wait_for("a frame", PATIENCE, || port.receive()).unwrap()
}

/// As [`receive`], past what the kernel sends of its own accord.
fn receive_ours<P: Port>(port: &mut P, number: u8) {
    wait_until("our frame", PATIENCE, || {
        port.receive()
            .is_some_and(|received| received.bytes() == frame(number))
    })
    .unwrap();
}

/// A bpffs of our own, in a mount namespace of our own.
fn private_bpffs() {
    unshare(CloneFlags::CLONE_NEWNS).expect("cannot make a namespace: this test needs root");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(
        Some("bpf"),
        "/sys/fs/bpf",
        Some("bpf"),
        MsFlags::empty(),
        none,
    )
    .unwrap();
}
