//! The test bed itself, without a daemon: what the other tests take for granted.

use std::{
    env,
    fs::File,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    process::Command,
    time::Duration,
};

use pcap_file::pcap::PcapReader;
use tsn_tests::{
    capture::{Capture, CapturedFrame},
    clients,
    clock::tai_now_ns,
    evidence,
    isochron::Isochron,
    topology::{Network, POD_INTERFACE, Pod, UPLINK},
    wait::wait_until,
};

const PORT: u16 = 7000;
const BOUND: Duration = Duration::from_secs(20);

/// One datagram there and one back.
fn exchange(from: &Pod, to: &Pod, address: IpAddr) {
    let any = match address {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let open = |pod: &Pod| {
        let socket = pod
            .namespace
            .enter(|| UdpSocket::bind((any, PORT)))
            .unwrap()
            .unwrap();
        socket.set_read_timeout(Some(BOUND)).unwrap();
        socket
    };
    let (asking, answering) = (open(from), open(to));
    let mut buffer = [0; 16];
    asking.send_to(b"ask", (address, PORT)).unwrap();
    let (length, back) = answering.recv_from(&mut buffer).unwrap();
    answering.send_to(&buffer[..length], back).unwrap();
    let (length, _) = asking.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"ask");
}

#[test]
fn pods_reach_each_other_and_the_wire_carries_nothing_else() {
    let network = Network::new(2).unwrap();
    let wire = Capture::start(&network.far.namespace, UPLINK).unwrap();
    let before_ns = tai_now_ns();
    let [near, near_neighbour] = &network.near.pods[..] else {
        panic!("two pods")
    };
    let far = &network.far.pods[1];
    exchange(near, far, far.ipv4.into());
    exchange(near, near_neighbour, near_neighbour.ipv4.into());
    exchange(near, far, far.ipv6.into());
    let frames = wire.finish().unwrap();
    // Frames to a multicast address are IPv6 devices joining their groups.
    let unicast: Vec<_> = frames
        .iter()
        .filter(|frame| frame.bytes[0] & 1 == 0)
        .collect();
    assert_eq!(
        unicast.len(),
        2,
        "one datagram of each family towards the far node"
    );
    assert!(unicast[0].arrival_ns <= unicast[1].arrival_ns);
    assert!(unicast[0].arrival_ns > before_ns && unicast[1].arrival_ns < tai_now_ns());
}

#[test]
fn a_captured_frame_is_whole_with_its_vlan_tag() {
    let network = Network::new(1).unwrap();
    let wire = Capture::start(&network.far.namespace, UPLINK).unwrap();
    let sent = [
        &[0x02, 0, 0, 0, 2, 1, 0x02, 0, 0, 0, 1, 1][..], // far pod1 from near pod1
        &[0x81, 0x00, 0xc0, 0x05],                       // PCP 6, VLAN 5
        &[0x88, 0xb5],
        &[0xab; 50],
    ]
    .concat();
    let pod = &network.near.pods[0].namespace;
    clients::trafgen(pod, POD_INTERFACE, &sent, 20, 100)
        .unwrap()
        .finish(BOUND)
        .unwrap();
    let is_ours = |frame: &CapturedFrame| frame.pcp() == Some(6);
    wait_until("20 frames on the wire", BOUND, || wire.count(is_ours) == 20).unwrap();
    let frames = wire.finish().unwrap();
    assert!(
        frames
            .iter()
            .filter(|frame| is_ours(frame))
            .all(|frame| frame.bytes == sent)
    );
}

#[test]
fn a_moved_pod_is_reached_where_it_is_and_a_deleted_one_is_gone() {
    let mut network = Network::new(2).unwrap();
    network.move_near_pod_to_far(1).unwrap();
    let moved = &network.far.pods[2];
    exchange(&network.near.pods[0], moved, moved.ipv4.into());

    network.delete_near_pod(0);
    wait_until("the host's end to go", BOUND, || {
        let output = network
            .near
            .namespace
            .command("ip")
            .args(["link", "show", "pod1"])
            .output();
        output.is_ok_and(|output| !output.status.success())
    })
    .unwrap();
}

#[test]
fn isochron_sends_from_a_pod() {
    let network = Network::new(1).unwrap();
    let wire = Capture::start(&network.far.namespace, UPLINK).unwrap();
    let (near, far) = (&network.near.pods[0], &network.far.pods[0]);
    let options = [
        "--priority",
        "6",
        "--vid",
        "5",
        "--cycle-time",
        "0.001",
        "--num-frames",
        "50",
        "--frame-size",
        "100",
    ];
    Isochron::send(&near.namespace, &far.mac, &options)
        .unwrap()
        .finish(BOUND)
        .unwrap();
    let is_ours = |frame: &CapturedFrame| frame.pcp() == Some(6);
    wait_until("50 frames on the wire", BOUND, || wire.count(is_ours) == 50).unwrap();
}

#[test]
fn python_sends_with_priority_and_launch_time() {
    const PROGRAM: &str = "
import socket, struct, sys, time
CLOCK_TAI, SO_TXTIME = 11, 61
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 6)
sock.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack('iI', CLOCK_TAI, 0))
for _ in range(50):
    launch_time = time.clock_gettime_ns(CLOCK_TAI) + 500_000
    ancillary = [(socket.SOL_SOCKET, SO_TXTIME, struct.pack('Q', launch_time))]
    sock.sendmsg([b'python'], ancillary, 0, (sys.argv[1], int(sys.argv[2])))
";
    let network = Network::new(1).unwrap();
    let wire = Capture::start(&network.far.namespace, UPLINK).unwrap();
    let (near, far) = (&network.near.pods[0], &network.far.pods[0]);
    let arguments = [far.ipv4.to_string(), PORT.to_string()];
    let process = clients::python(&near.namespace, PROGRAM, &arguments).unwrap();
    process.finish(BOUND).unwrap();
    let is_ours = |frame: &CapturedFrame| frame.udp_destination() == Some(PORT);
    wait_until("50 frames on the wire", BOUND, || wire.count(is_ours) == 50).unwrap();
}

#[test]
#[ignore = "fails, as the test that runs it wants"]
fn fails_with_a_capture() {
    let network = Network::new(1).unwrap();
    let wire = Capture::start(&network.far.namespace, UPLINK).unwrap();
    let (near, far) = (&network.near.pods[0], &network.far.pods[0]);
    exchange(near, far, far.ipv4.into());
    let frames = wire.finish().unwrap();
    assert!(frames.is_empty());
}

#[test]
fn a_failing_test_leaves_what_it_captured() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--ignored", "fails_with_a_capture"])
        .env(evidence::VARIABLE, directory.path())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    let mut files = directory.path().read_dir().unwrap();
    let file = files.next().expect("a capture").unwrap();
    let name = file.file_name().into_string().unwrap();
    assert!(name.starts_with("fails_with_a_capture-1-"), "{name}");
    assert!(name.ends_with("-uplink0.pcap"), "{name}");
    let mut pcap = PcapReader::new(File::open(file.path()).unwrap()).unwrap();
    let is_question = |bytes: &[u8]| bytes.ends_with(b"ask");
    let mut questions = 0;
    while let Some(packet) = pcap.next_packet() {
        questions += usize::from(is_question(&packet.unwrap().data));
    }
    assert!(questions > 0, "{name} has no datagram of the test");
}
