//! What is delivered to pods, and what of it is not, as the metrics tell it.

use std::time::Instant;

use tsn_port::fault::Faults;
use tsn_port::loopback::LoopbackPort;
use tsn_port::{Port, Stamp};
use tsn_tests::coverage::Seen;
use tsn_userspace::metrics::encode;

use super::bench::{BOUND, Bench};

/// Two stations; the one with the lower address gets the copies, the other the original.
const CONFIGURATION: &str = "
uplinks:
  - device: loopback
    link-speed: 1000
    lead-probes: 0
pods:
  - name: one
    vhost-user: { socket: /nowhere/1, address: '02:00:00:00:00:01' }
    streams: [ { name: all, match: {}, traffic-class: 0 } ]
  - name: two
    vhost-user: { socket: /nowhere/2, address: '02:00:00:00:00:02' }
    streams: [ { name: all, match: {}, traffic-class: 0 } ]
";

const TO_ONE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const TO_NOBODY: [u8; 6] = [2, 0, 0, 0, 0, 3];
const TO_ALL: [u8; 6] = [0xff; 6];
const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn send(from: &mut LoopbackPort, to: [u8; 6]) {
    send_from(from, STRANGER, to);
}

fn send_from(port: &mut LoopbackPort, from: [u8; 6], to: [u8; 6]) {
    let mut bytes = [0; 60];
    bytes[..6].copy_from_slice(&to);
    bytes[6..12].copy_from_slice(&from);
    if let Some(frame) = port.frame(&bytes, Stamp::NONE) {
        // A full ring: the frames before this one do as well.
        let _ = port.transmit(frame);
    }
    port.wake().unwrap();
}

/// Provokes what only happens where the worker delivers.
pub fn provoke(wanted: &[&str], seen: &mut Seen) {
    let faults = Faults {
        refuse_per_mille: 300,
        drop_per_mille: 300,
        ..Faults::default()
    };
    let mut bench = Bench::start_with(CONFIGURATION, Faults::default(), faults);
    let start = Instant::now();
    let mut hoard = Vec::new();
    loop {
        for to in [TO_ONE, TO_NOBODY, TO_ALL] {
            send(&mut bench.wire, to);
        }
        send_from(&mut bench.wire, TO_ONE, TO_ALL);
        send(&mut bench.pods[1], TO_ONE);
        for pod in &mut bench.pods {
            while pod.receive().is_some() {}
        }
        while bench.wire.receive().is_some() {}
        let text = encode(&bench.moment());
        seen.look_at(&text);
        let missing = seen.missing(wanted);
        match &missing[..] {
            [] => return,
            // All the rest has been seen: from now on there are no buffers for copies.
            [last] if last.contains("no_buffer") => {
                hoard.extend(std::iter::from_fn(|| bench.pods[0].allocate(60)));
            }
            _ => {}
        }
        assert!(
            start.elapsed() < BOUND,
            "never seen: {missing:?} in\n{text}"
        );
    }
}

#[test]
fn what_is_delivered_is_told_of_pod_and_uplink() {
    let mut bench = Bench::start(CONFIGURATION, Faults::default());
    for to in [TO_ONE, TO_NOBODY, TO_ALL] {
        send(&mut bench.wire, to);
    }
    send(&mut bench.pods[1], TO_ONE);
    let start = Instant::now();
    let moment = loop {
        let moment = bench.moment();
        if moment.pods[0].delivered == 3 && moment.status.uplink.received["no_station"] == 1 {
            break moment;
        }
        assert!(start.elapsed() < BOUND, "{:?}", moment.pods);
    };
    let text = encode(&moment);
    for sample in [
        "tsnd_uplink_received_frames_total{what=\"for_pod\"} 1",
        "tsnd_uplink_received_frames_total{what=\"for_group\"} 1",
        "tsnd_uplink_received_frames_total{what=\"no_station\"} 1",
        "tsnd_delivery_copied_bytes_total 60",
        "tsnd_pod_delivered_frames_total{pod=\"two\"} 1",
        "tsnd_pod_to_pods_frames_total{pod=\"two\"} 1",
        "tsnd_pod_received_frames_total{pod=\"two\"} 1",
    ] {
        assert!(
            text.contains(&format!("\n{sample}\n")),
            "no {sample} in\n{text}"
        );
    }
}
