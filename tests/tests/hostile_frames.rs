//! Hostile frames and impossible launch times from a pod: dropped by name or passed on as they are, and nobody else
//! notices.

mod common;

use std::time::Duration;

use common::{
    BOUND, Bed, CONTROL, RAW_ETHERTYPE, Settings,
    counters::{Counters, number},
    traffic::{Talker, assert_complete, numbers},
    wait_at_rest,
};
use tsn_tests::{clients::python, topology::POD_INTERFACE};

/// Sends frames given in hexadecimal by a packet socket, past the queueing layer or not; says how many the kernel took.
const RAW_CLIENT: &str = r#"
import socket, sys
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20
taken = 0
for bypass in (0, 1):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((sys.argv[1], 0))
    s.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, bypass)
    for frame in sys.argv[2:]:
        try:
            s.send(bytes.fromhex(frame))
            taken += 1
        except OSError:
            pass
print(taken)
"#;

const FAR_POD_1: [u8; 6] = [2, 0, 0, 0, 2, 1];
const NEAR_POD_2: [u8; 6] = [2, 0, 0, 0, 1, 2];

fn frame(parts: &[&[u8]]) -> Vec<u8> {
    [&FAR_POD_1[..], &NEAR_POD_2, &parts.concat()].concat()
}

/// Frames that lie about what they are.
fn hostile_frames() -> Vec<Vec<u8>> {
    let ours = RAW_ETHERTYPE.to_be_bytes();
    let (ipv4, ipv6, vlan, service_vlan) = ([8, 0], [0x86, 0xdd], [0x81, 0], [0x88, 0xa8]);
    let control = CONTROL.to_be_bytes();
    let udp = [&[0x12, 0x34][..], &control, &[0, 8, 0, 0]].concat();
    let ip = |first: u8, total: u16| {
        let mut header = [
            first, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 71, 0, 12, 10, 71, 0, 21,
        ];
        header[2..4].copy_from_slice(&total.to_be_bytes());
        header
    };
    let ip6 = [&[0x60, 0, 0, 0, 0xff, 0xff, 17, 1][..], &[0; 32], &udp].concat();
    let mut frames = vec![
        frame(&[&ours]),          // nothing but a header
        frame(&[&vlan]),          // a tag that is not there
        frame(&[&vlan, &[0xe0]]), // half of one
        frame(&[&vlan, &[0xe0, 5], &ours]),
        frame(&[&ipv4]),
        frame(&[&ipv4, &ip(0x45, 28)[..10]]), // half an IP header
        frame(&[&ipv4, &ip(0x45, 28)]),       // no UDP header
        frame(&[&ipv4, &ip(0x45, 28), &udp[..3]]), // half of one
        frame(&[&ipv4, &ip(0x40, 28), &udp]), // a header of no length
        frame(&[&ipv4, &ip(0x4f, 28), &udp]), // one longer than the frame
        frame(&[&ipv4, &ip(0x45, 65_535), &udp]), // a datagram longer than the frame
        frame(&[&ipv4, &ip(0x45, 0), &udp, &[0; 20]]),
        frame(&[&ipv4, &ip(0x65, 28), &udp, &[0; 20]]), // neither version
        frame(&[&ipv6, &ip6[..20]]),
        frame(&[&ipv6, &ip6]),
        frame(&[&ours, &[0xa5; 1_486]]), // as long as the MTU allows
        frame(&[&ours, &[0xa5; 1_500]]),
        frame(&[&ours, &[0xa5; 8_900]]), // beyond it
        vec![0; 14],
        vec![0xff; 60],
    ];
    for tags in 1..12 {
        let stack = [
            &service_vlan[..],
            &[0xa0, 9],
            &[&vlan[..], &[0x60, 7]].concat().repeat(tags),
        ]
        .concat();
        frames.push(frame(&[&stack, &ours, &[0; 46]]));
        frames.push(frame(&[&stack]));
    }
    frames
}

/// Frames that begin like a stamp with a guessed secret.
fn forged_stamps() -> Vec<Vec<u8>> {
    let secrets = [
        0x7473_0000_0000_0000_u64,
        0x7473_ffff_ffff_ffff,
        0x7473_1234_5678_9abc,
    ];
    let inner = frame(&[&RAW_ETHERTYPE.to_be_bytes(), &[0; 46]]);
    let stamp = |secret: u64| {
        [
            &FAR_POD_1[..],
            &[2, 7],
            &1_u64.to_ne_bytes(),
            &secret.to_ne_bytes(),
            &inner,
        ]
        .concat()
    };
    secrets.into_iter().map(stamp).collect()
}

#[test]
fn hostile_frames_are_dropped_by_name_or_pass_and_disturb_nobody() {
    let bed = Bed::new(2);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let wire = bed.capture();
    let neighbour = Talker::start(
        bed.near(1),
        bed.far(1),
        CONTROL,
        200,
        Duration::from_millis(1),
    );
    neighbour.wait_through(&wire);
    let send = |frames: &[Vec<u8>]| -> u64 {
        let hex = frames
            .iter()
            .map(|frame| frame.iter().map(|byte| format!("{byte:02x}")).collect());
        let arguments: Vec<String> = std::iter::once(POD_INTERFACE.to_owned())
            .chain(hex)
            .collect();
        let client = python(&bed.near(2).namespace, RAW_CLIENT, &arguments).unwrap();
        client.finish(BOUND).unwrap().trim().parse().unwrap()
    };
    let hostile = hostile_frames();
    let taken = send(&hostile);
    let forged = forged_stamps();
    let forged_taken = send(&forged);
    assert_eq!(forged_taken, 2 * forged.len() as u64);
    neighbour.wait_more(50);
    neighbour.wait_through(&wire);
    let sent = neighbour.finish();
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    let kernel = &counters.pod("pod2")["kernel"];
    println!(
        "{} hostile frames, {taken} taken by the kernel; kernel programs: {kernel}; dropped: {}",
        2 * hostile.len(),
        counters.all_causes()
    );
    assert_eq!(number(&kernel["forged_stamp"]), forged_taken);
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    assert_complete(&numbers(&frames, CONTROL), sent);
    let is_on_wire = |frame: &Vec<u8>| frames.iter().any(|seen| frame.starts_with(&seen.bytes));
    assert!(
        !forged.iter().any(is_on_wire),
        "a forged frame came through"
    );
    assert!(
        !frames
            .iter()
            .any(|seen| seen.bytes.get(22..24) == Some(&[0x73, 0x74])),
        "a stamp came out of the wire"
    );
    // What was ordinary, if odd, came through as it was.
    for frame in hostile
        .iter()
        .filter(|frame| frame[12..14] == RAW_ETHERTYPE.to_be_bytes() && frame.len() <= 1_514)
    {
        let copies = frames
            .iter()
            .filter(|seen| seen.length == frame.len() && frame.starts_with(&seen.bytes));
        assert_eq!(copies.count(), 2, "of {} bytes", frame.len());
    }
}

/// Sends datagrams whose launch times are so many nanoseconds from now (CLOCK_TAI).
const LAUNCH_CLIENT: &str = r#"
import socket, struct, sys, time
SO_TXTIME, CLOCK_TAI = 61, 11
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", CLOCK_TAI, 0))
for distance in sys.argv[3:]:
    launch = time.clock_gettime_ns(CLOCK_TAI) + int(distance)
    s.sendmsg([b"."], [(socket.SOL_SOCKET, SO_TXTIME, struct.pack("Q", launch))], 0, (sys.argv[1], int(sys.argv[2])))
"#;

#[test]
fn impossible_launch_times_are_dropped_by_name() {
    const SECOND: i64 = 1_000_000_000;
    let bed = Bed::new(1);
    let settings = Settings {
        late: "drop",
        list: "[ { gate-states-value: 255, time-interval-value: 1ms } ]",
        ..Settings::default()
    };
    let daemon = bed.start(&bed.configuration(&settings));
    let far = [15 * SECOND, 60 * SECOND, 100_000 * SECOND, i64::MAX / 2];
    let wrong_clock = [37 * SECOND, -37 * SECOND, 37 * SECOND + SECOND / 2];
    let past = [-SECOND, -10 * SECOND, -SECOND / 10];
    let good = [SECOND / 10, SECOND];
    let all = [&far[..], &wrong_clock, &past, &good].concat();
    let wire = bed.capture();
    let arguments: Vec<String> = [bed.far(1).ipv4.to_string(), CONTROL.to_string()]
        .into_iter()
        .chain(all.iter().map(i64::to_string))
        .collect();
    let client = python(&bed.near(1).namespace, LAUNCH_CLIENT, &arguments).unwrap();
    client.finish(BOUND).unwrap();
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    let pod = &counters.pod("pod1")["drops"];
    assert_eq!(
        number(&pod["launch_time_too_far"]),
        far.len() as u64,
        "{pod}"
    );
    assert_eq!(
        number(&pod["launch_time_wrong_clock"]),
        wrong_clock.len() as u64,
        "{pod}"
    );
    assert_eq!(
        number(&counters.class(7)["drops"]["launch_time_past"]),
        past.len() as u64
    );
    // A machine that others use may be late with the good ones; then that is their name.
    let late = number(&counters.class(7)["drops"]["late"]) as usize;
    assert_eq!(counters.all_drops() as usize, all.len() - good.len() + late);
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    let arrived = frames
        .iter()
        .filter(|frame| frame.udp_destination() == Some(CONTROL));
    assert_eq!(arrived.count() + late, good.len());
}
