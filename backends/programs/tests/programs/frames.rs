//! What becomes of frames on their way through the programs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
use tsn_common::{PodCounter, Rule, RuleFields, STAMP_HEADER_BYTES, StampHeader, TimeBase};

use crate::lab::{Lab, PEER, POD, PORT, RawSocket, run, until};
use crate::traffic::{BROADCAST, now_ns, raw_frame, received, send_timed};
use crate::{counter, tagger, with_node};

#[test]
fn without_a_daemon_frames_take_the_kernel_path_unchanged() {
    with_node(|lab, mut programs| {
        let pod = programs.attach_pod(&lab.pod("pod")).unwrap();
        assert_eq!(
            (pod.host_interface.as_str(), pod.mtu, pod.adopted),
            ("host", 1500, false)
        );
        let (sender, receiver) = (lab.udp("pod", POD, 0), lab.udp("peer", PEER, PORT));

        // As long as the MTU allows: 1500 − 20 (IPv4) − 8 (UDP).
        let full: Vec<u8> = (0..1472u32).map(|i| i as u8).collect();
        for payload in [b"short".as_slice(), &full] {
            send_timed(
                &sender,
                libc::CLOCK_MONOTONIC,
                now_ns(libc::CLOCK_MONOTONIC),
                payload,
            );
            assert_eq!(received(&receiver), payload);
        }
        assert_eq!(counter(&programs, &pod, PodCounter::Stamped), 2);
        assert_eq!(counter(&programs, &pod, PodCounter::FallbackHeartbeat), 2);

        programs.heartbeat().beat();
        send_timed(
            &sender,
            libc::CLOCK_TAI,
            now_ns(libc::CLOCK_TAI),
            b"alive, yet no socket",
        );
        assert_eq!(received(&receiver), b"alive, yet no socket");
        assert_eq!(counter(&programs, &pod, PodCounter::FallbackNoSocket), 1);

        programs.divert().unwrap();
        send_timed(
            &sender,
            libc::CLOCK_TAI,
            now_ns(libc::CLOCK_TAI),
            b"diverted",
        );
        assert_eq!(received(&receiver), b"diverted");
        assert_eq!(counter(&programs, &pod, PodCounter::FallbackHeartbeat), 3);

        sender.send_to(b"other", (PEER, PORT + 1)).unwrap();
        assert_eq!(counter(&programs, &pod, PodCounter::Stamped), 4);
        assert_eq!(counter(&programs, &pod, PodCounter::Redirected), 0);
    });
}

#[test]
fn raw_and_vlan_frames_arrive_byte_for_byte() {
    with_node(|lab, mut programs| {
        let pod = programs.attach_pod(&lab.pod("pod")).unwrap();
        let (sender, receiver) = (lab.raw("pod", "eth0"), lab.raw("peer", "eth0"));
        let ours = |frame: &[u8]| frame.ends_with(b"payload of a raw frame");

        let plain = raw_frame(b"payload of a raw frame");
        sender.send(&plain);
        assert_eq!(receiver.receive(ours).unwrap(), plain);

        let mut tagged = plain.clone();
        tagged.splice(12..12, [0x81, 0, 0x60, 7]);
        sender.send(&tagged);
        until("the tagged frame is stamped", || {
            counter(&programs, &pod, PodCounter::Stamped) == 2
        });
        // The receiving kernel takes a tag out of the frame before anybody sees it.
        assert_eq!(receiver.receive(ours).unwrap(), plain);
        assert_eq!(counter(&programs, &pod, PodCounter::FallbackHeartbeat), 2);
    });
}

/// Takes the redirect program away, so that stamps can be seen on the host end.
fn bare_stamps(lab: &Lab) -> RawSocket {
    run(&format!(
        "bpftool link detach pinned {}",
        lab.bpffs.join("tsnd/pods/pod/redirect").display()
    ));
    lab.raw("node", "host")
}

/// What is in front of the next frame that ends in `payload`.
fn stamp_of(host: &RawSocket, payload: &[u8]) -> (StampHeader, Vec<u8>) {
    let bytes = host.receive(|frame| frame.ends_with(payload)).unwrap();
    let (header, frame) = bytes.split_at(STAMP_HEADER_BYTES);
    // SAFETY: a header is plain old data of that many bytes.
    let header = unsafe { header.as_ptr().cast::<StampHeader>().read_unaligned() };
    assert_eq!(header.destination, frame[..6]);
    (header, frame.to_vec())
}

#[test]
fn stamps_carry_priority_and_launch_time_exactly() {
    with_node(|lab, mut programs| {
        programs.attach_pod(&lab.pod("pod")).unwrap();
        let sender = lab.udp("pod", POD, 0);
        let _neighbour = lab.udp("peer", PEER, PORT);
        send_timed(&sender, libc::CLOCK_TAI, 1, b"resolves the neighbour");
        received(&_neighbour);
        let host = bare_stamps(lab);
        let clocks = [
            (libc::CLOCK_MONOTONIC, TimeBase::Monotonic),
            (libc::CLOCK_TAI, TimeBase::Tai),
        ];
        for (clock, time_base) in clocks {
            let launch_time_ns = now_ns(clock) + 123_456_789;
            send_timed(&sender, clock, launch_time_ns, b"timed");
            let (header, _) = stamp_of(&host, b"timed");
            assert_eq!(header.launch_time_ns, launch_time_ns);
            assert_eq!(TimeBase::from_u8(header.time_base), time_base);
            assert_eq!(header.priority, 5);
        }
        lab.raw("pod", "eth0").send(&raw_frame(b"untimed"));
        let (header, _) = stamp_of(&host, b"untimed");
        assert_eq!(
            (header.launch_time_ns, header.time_base, header.priority),
            (0, 0, 0)
        );
    });
}

#[test]
fn tags_that_the_kernel_keeps_beside_the_frame_are_put_into_it() {
    for vlan_ids in [[5].as_slice(), &[6, 5]] {
        with_node(|lab, mut programs| {
            let pin = lab.bpffs.join("tagger");
            let _tagger = lab.within("pod", || tagger::attach("eth0", vlan_ids, &pin));
            let pod = programs.attach_pod(&lab.pod("pod")).unwrap();
            let host = bare_stamps(lab);

            let frame = raw_frame(b"tagged by the pod");
            lab.raw("pod", "eth0").send(&frame);
            let mut expected = frame;
            for &id in vlan_ids {
                expected.splice(12..12, [0x81, 0, 0, id as u8]);
            }
            assert_eq!(stamp_of(&host, b"tagged by the pod").1, expected);
            assert_eq!(counter(&programs, &pod, PodCounter::Stamped), 1);
        });
    }
}

#[test]
fn forged_stamps_are_dropped_and_counted() {
    with_node(|lab, mut programs| {
        let pod = programs.attach_pod(&lab.pod("pod")).unwrap();
        let (sender, receiver) = (lab.raw("pod", "eth0"), lab.raw("peer", "eth0"));
        let mut forged = [&BROADCAST[..], &[2, 255], &1u64.to_ne_bytes()].concat();
        forged.extend(StampHeader::secret(12345).to_ne_bytes());
        forged.extend(raw_frame(b"forged"));
        sender.send(&forged);
        sender.send(&raw_frame(b"honest"));

        let ends = |ending: &'static [u8]| move |frame: &[u8]| frame.ends_with(ending);
        let either = |frame: &[u8]| ends(b"forged")(frame) || ends(b"honest")(frame);
        assert!(receiver.receive(either).unwrap().ends_with(b"honest"));
        assert_eq!(counter(&programs, &pod, PodCounter::ForgedStamp), 1);
        assert_eq!(counter(&programs, &pod, PodCounter::Stamped), 1);

        log::set_logger(&LINES).unwrap();
        log::set_max_level(log::LevelFilter::Info);
        programs.take_logs().unwrap().unwrap().flush();
        let lines = LINES.0.lock().unwrap();
        assert!(
            lines
                .iter()
                .any(|line| line.contains("slot 0: dropped a frame")),
            "{lines:?}"
        );
        assert!(programs.take_logs().unwrap().is_none());
    });
}

/// What the kernel programs logged.
struct Lines(Mutex<Vec<String>>);
static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }
    fn log(&self, record: &log::Record) {
        self.0.lock().unwrap().push(record.args().to_string());
    }
    fn flush(&self) {}
}

#[test]
fn segmentation_offload_and_tcp_pass() {
    with_node(|lab, mut programs| {
        let mut attachment = lab.pod("pod");
        let ipv4 = Rule {
            fields: RuleFields::ETHERTYPE,
            ethertype: 0x0800,
            ..Rule::default()
        };
        attachment.rules.push(ipv4);
        let pod = programs.attach_pod(&attachment).unwrap();

        let (sender, receiver) = (lab.udp("pod", POD, 0), lab.udp("peer", PEER, PORT));
        setsockopt(&sender, UdpGsoSegment, &500).unwrap();
        let payload: Vec<u8> = (0..2500u32).map(|i| i as u8).collect();
        sender.send_to(&payload, (PEER, PORT)).unwrap();
        let segments: Vec<u8> = (0..5).flat_map(|_| received(&receiver)).collect();
        assert_eq!(segments, payload);
        assert_eq!(counter(&programs, &pod, PodCounter::Stamped), 1);
        assert_eq!(counter(&programs, &pod, PodCounter::FallbackHeartbeat), 5);

        let listener = lab.within("peer", || TcpListener::bind((PEER, PORT)).unwrap());
        let bytes: Vec<u8> = (0..1_000_000u32).map(|i| (i / 7) as u8).collect();
        let received = std::thread::scope(|scope| {
            let receive = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(5)))
                    .unwrap();
                let mut received = Vec::new();
                stream.read_to_end(&mut received).unwrap();
                received
            });
            let mut stream = lab.within("pod", || TcpStream::connect((PEER, PORT)).unwrap());
            stream.write_all(&bytes).unwrap();
            drop(stream);
            receive.join().unwrap()
        });
        assert!(received == bytes);
        assert!(counter(&programs, &pod, PodCounter::Stamped) > 1);
    });
}

#[test]
fn frames_from_the_uplink_go_straight_to_the_pod() {
    with_node(|lab, mut programs| {
        let pod = programs.attach_pod(&lab.pod("pod")).unwrap();
        programs.attach_uplink("up0").unwrap();
        programs.attach_uplink("up0").unwrap(); // adopts its own
        // A real wire carries whole checksums.
        run(&format!(
            "ip netns exec {} ethtool -K eth0 tx off",
            lab.name("peer")
        ));
        let (sender, receiver) = (lab.udp("peer", PEER, 0), lab.udp("pod", POD, PORT));
        for number in 0..10u8 {
            sender.send_to(&[number; 100], (POD, PORT)).unwrap();
            assert_eq!(received(&receiver), [number; 100]);
        }
        assert!(counter(&programs, &pod, PodCounter::Delivered) >= 10);
        programs.detach_uplink("up0").unwrap();
        sender.send_to(b"by the bridge", (POD, PORT)).unwrap();
        assert_eq!(received(&receiver), b"by the bridge");
    });
}
