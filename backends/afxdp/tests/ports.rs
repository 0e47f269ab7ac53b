//! AF_XDP ports beyond what every port promises: stamps, checksums, devices that go. Needs root.

mod bed;

use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use bed::{Bed, HOST_END, POD, POD_END};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg, setsockopt, sockopt};
use tsn_afxdp::{AfxdpBackend, AfxdpConfig, AfxdpFrame, BackendError, SocketError, WakeError};
use tsn_port::conformance::TestBed;
use tsn_port::{Backend, Frame, Port, Stamp, TimeBase};
use tsn_programs::ProgramError;

const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for a frame that `wanted` accepts.
fn receive(bed: &mut Bed, wanted: impl Fn(&[u8]) -> bool) -> AfxdpFrame {
    let start = Instant::now();
    loop {
        if let Some(frame) = bed.receiver.receive().filter(|frame| wanted(frame.bytes())) {
            return frame;
        }
        assert!(start.elapsed() < PATIENCE, "the frame does not arrive");
        std::thread::yield_now();
    }
}

/// Puts a frame without meaning into the sender's ring.
fn transmit(bed: &mut Bed, mark: u8) {
    let mut frame = bed.sender.allocate(100).expect("a free chunk");
    frame.bytes_mut().fill(mark);
    bed.sender.transmit(frame).expect("room in the ring");
}

/// Waits until the kernel has given everything back, with a receiver that is looked at.
fn drain(bed: &mut Bed, expected: usize) {
    let start = Instant::now();
    while bed.free_buffers() != expected {
        bed.sender.wake().expect("wake");
        drop(bed.receiver.receive());
        assert!(
            start.elapsed() < PATIENCE,
            "{} chunks are free, not {expected}",
            bed.free_buffers()
        );
    }
}

/// An ordinary socket in the pod, to an address whose neighbour is known.
fn udp_socket(bed: &Bed) -> UdpSocket {
    bed.namespaces.in_pod(|| {
        bed::run(&format!("ip address add 10.9.0.1/24 dev {POD_END}"));
        bed::run(&format!(
            "ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:09 dev {POD_END}"
        ));
        let socket = UdpSocket::bind("10.9.0.1:0").expect("a socket");
        socket.connect("10.9.0.2:7").expect("connected");
        socket
    })
}

fn is_ipv4_udp(bytes: &[u8]) -> bool {
    bytes[12..14] == [0x08, 0x00] && bytes[23] == 17
}

#[test]
fn a_frame_brings_its_sockets_stamp_and_a_whole_checksum() {
    const LAUNCH_TIME_NS: u64 = 4_000_000_000_000_000_000;
    let mut bed = Bed::new();
    let socket = udp_socket(&bed);
    setsockopt(&socket, sockopt::Priority, &5).expect("SO_PRIORITY");
    let txtime = libc::sock_txtime {
        clockid: libc::CLOCK_TAI,
        flags: 0,
    };
    setsockopt(&socket, sockopt::TxTime, &txtime).expect("SO_TXTIME");
    let payload = b"an odd number of bytes.";
    sendmsg::<SockaddrIn>(
        socket.as_raw_fd(),
        &[IoSlice::new(payload)],
        &[ControlMessage::TxTime(&LAUNCH_TIME_NS)],
        MsgFlags::empty(),
        None,
    )
    .expect("sent");

    let frame = receive(&mut bed, is_ipv4_udp);
    let stamp = Stamp {
        launch_time_ns: LAUNCH_TIME_NS,
        time_base: TimeBase::Tai,
        priority: 5,
    };
    assert_eq!(frame.stamp(), stamp);
    let bytes = frame.bytes();
    assert_eq!(&bytes[42..], payload);
    // Over pseudo-header and datagram, its checksum included, the sum is all ones (RFC 768).
    let mut summed = bytes[26..34].to_vec();
    summed.extend([0, 17, bytes[38], bytes[39]]);
    summed.extend(&bytes[34..]);
    summed.resize(summed.len().next_multiple_of(2), 0);
    let mut sum = 0;
    for pair in summed.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    assert_eq!(sum, 0xffff, "the far end takes the checksum: {bytes:02x?}");
}

#[test]
fn a_stamp_is_never_taken_for_the_chunks_next_frame() {
    let mut bed = Bed::new();
    let socket = udp_socket(&bed);
    setsockopt(&socket, sockopt::Priority, &5).expect("SO_PRIORITY");
    // Every chunk has carried a stamped frame ...
    for _ in 0..2 * bed::CHUNKS {
        socket.send(b"stamped").expect("sent");
        let frame = receive(&mut bed, is_ipv4_udp);
        assert_eq!(frame.stamp().priority, 5);
    }
    // ... and then one without: an AF_XDP socket's frames pass by the program that stamps.
    for _ in 0..2 * bed::CHUNKS {
        transmit(&mut bed, 0xee);
        bed.sender.wake().expect("wake");
        let frame = receive(&mut bed, |bytes| bytes[0] == 0xee);
        assert_eq!(frame.stamp(), Stamp::NONE);
    }
}

#[test]
fn a_pod_can_be_detached_and_attached_again() {
    let mut bed = Bed::new();
    let at_rest = bed.free_buffers();
    for round in 0..5 {
        // Frames in every ring when the port goes: received, waiting to be sent, and not taken.
        for _ in 0..10 {
            transmit(&mut bed, 0xee);
        }
        bed.sender.wake().expect("wake");
        let attachment = bed.namespaces.attachment();
        let Bed {
            sender,
            receiver,
            mut backend,
            namespaces,
        } = bed;
        drop(receiver);
        backend.detach_pod(POD).expect("detached");
        assert!(!backend.is_attached(POD));
        backend
            .detach_pod(POD)
            .expect("a pod that is gone is no error");
        let counters = backend.pod_counters(POD);
        assert!(!counters.is_empty() && counters.iter().all(|(_, count)| *count == 0));
        let receiver = backend.attach_pod(&attachment).expect("attached again");
        assert!(backend.is_attached(POD));
        bed = Bed {
            sender,
            receiver,
            backend,
            namespaces,
        };
        drain(&mut bed, at_rest);
        transmit(&mut bed, round);
        bed.sender.wake().expect("wake");
        receive(&mut bed, |bytes| bytes[0] == round);
    }
    let counters = bed.backend.pod_counters(POD);
    assert!(
        counters
            .iter()
            .any(|&(name, count)| name == "redirected" && count > 0),
        "{counters:?}"
    );
}

#[test]
fn the_descriptor_becomes_readable_when_a_frame_arrives() {
    let mut bed = Bed::new();
    let readable = |bed: &Bed, timeout: PollTimeout| {
        assert_eq!(
            bed.receiver.readable(),
            Some(bed.receiver.as_fd().as_raw_fd())
        );
        let mut polled = [PollFd::new(bed.receiver.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, timeout).expect("poll") > 0
    };
    // The kernel's own first frames may still come in: each must be there to receive.
    while readable(&bed, PollTimeout::ZERO) {
        assert!(
            bed.receiver.receive().is_some(),
            "readable, but nothing is there"
        );
        while bed.receiver.receive().is_some() {}
    }
    transmit(&mut bed, 0xee);
    bed.sender.wake().expect("wake");
    assert!(readable(&bed, PollTimeout::from(10_000u16)));
    receive(&mut bed, |bytes| bytes[0] == 0xee);
}

#[test]
fn a_device_that_is_down_keeps_its_frames() {
    let mut bed = Bed::new();
    transmit(&mut bed, 0xee);
    bed.namespaces
        .in_pod(|| bed::run(&format!("ip link set {POD_END} down")));
    assert!(
        matches!(bed.sender.wake(), Err(WakeError::DeviceDown { device }) if *device == *POD_END)
    );
    bed.namespaces
        .in_pod(|| bed::run(&format!("ip link set {POD_END} up")));
    bed.sender.wake().expect("up again");
    receive(&mut bed, |bytes| bytes[0] == 0xee);
}

#[test]
fn a_device_that_is_gone_is_said_and_can_come_back() {
    let mut bed = Bed::new();
    let all = bed.free_buffers() + bed::RING_SLOTS as usize;
    transmit(&mut bed, 0xee);
    bed::run(&format!("ip link delete {HOST_END}"));
    assert!(
        matches!(bed.sender.wake(), Err(WakeError::DeviceGone { device }) if *device == *POD_END)
    );
    while bed.receiver.receive().is_some() {} // what had arrived before; then nothing, and no failure
    assert!(!bed.backend.is_attached(POD));
    let Bed {
        sender,
        receiver,
        mut backend,
        namespaces,
    } = bed;
    drop((sender, receiver));
    assert_eq!(
        backend.free_chunks(),
        all,
        "closing the ports frees every chunk"
    );
    backend
        .detach_pod(POD)
        .expect("nothing to detach is no error");

    namespaces.add_pod_veth();
    let receiver = backend
        .attach_pod(&namespaces.attachment())
        .expect("attached again");
    let sender = namespaces
        .in_pod(|| backend.open_uplink(POD_END))
        .expect("opened again");
    let mut bed = Bed {
        sender,
        receiver,
        backend,
        namespaces,
    };
    transmit(&mut bed, 0xee);
    bed.sender.wake().expect("wake");
    receive(&mut bed, |bytes| bytes[0] == 0xee);
}

#[test]
fn a_frame_of_other_memory_is_refused() {
    let mut bed = Bed::new();
    bed::run(
        "ip link add up0 type veth peer name wire0 && ip link set up0 up && ip link set wire0 up",
    );
    let config = AfxdpConfig {
        pin_dir: "/sys/fs/bpf/other".into(),
        ..bed::config()
    };
    let mut other = AfxdpBackend::open(&config).expect("another backend");
    let mut uplink = other.open_uplink("up0").expect("its uplink");
    let mut frame = bed.sender.allocate(100).expect("a free chunk");
    frame.bytes_mut().fill(0xee);
    let refused = uplink.transmit(frame).expect_err("not of its memory");
    assert_eq!(refused.bytes(), [0xee; 100]);
    assert_eq!(uplink.counters().transmit_refused, 1);
}

#[test]
fn errors_name_the_device_and_the_way_out() {
    let mut bed = Bed::new();
    let Err(missing) = bed.backend.open_uplink("nosuch0") else {
        panic!("opened nothing")
    };
    let message = missing.to_string();
    assert!(
        message.contains("nosuch0") && message.contains("check the device's name"),
        "{message}"
    );

    let config = AfxdpConfig {
        pin_dir: "/sys/fs/bpf/other".into(),
        ..bed::config()
    };
    let mut other = AfxdpBackend::open(&config).expect("another backend");
    let Err(busy) = bed.namespaces.in_pod(|| other.open_uplink(POD_END)) else {
        panic!("shared")
    };
    let message = busy.to_string();
    assert!(
        message.contains(POD_END) && message.contains("another XDP program"),
        "{message}"
    );

    let again = bed.namespaces.attachment();
    assert!(
        matches!(bed.backend.attach_pod(&again), Err(BackendError::Program(ProgramError::PodAttached { name })) if name == POD)
    );
}

#[test]
fn a_pod_whose_frames_do_not_fit_is_not_attached() {
    let namespaces = bed::Namespaces::new();
    namespaces.in_pod(|| bed::run(&format!("ip link set {POD_END} mtu 3000")));
    bed::run(&format!("ip link set {HOST_END} mtu 3000"));
    let mut backend = AfxdpBackend::open(&bed::config()).expect("backend");
    let Err(error) = backend.attach_pod(&namespaces.attachment()) else {
        panic!("attached")
    };
    assert!(
        matches!(
            error,
            BackendError::Socket(SocketError::MtuTooLarge {
                mtu_bytes: 3000,
                ..
            })
        ),
        "{error}"
    );
    assert!(!backend.is_attached(POD));
    assert_eq!(backend.leftovers().expect("a list"), Vec::<String>::new());

    let config = AfxdpConfig {
        chunk_bytes: 4096,
        ..bed::config()
    };
    drop(backend);
    let mut backend = AfxdpBackend::open(&config).expect("backend");
    let port = backend
        .attach_pod(&namespaces.attachment())
        .expect("fits now");
    assert!(port.capabilities().max_frame_bytes >= 3014);
}
