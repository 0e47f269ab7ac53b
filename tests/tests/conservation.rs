//! Every frame is found in exactly one counter, and what the counters call sent is what the wire carried.

mod common;

use std::{net::UdpSocket, time::Duration};

use common::{
    BEST_EFFORT, BOUND, Bed, CONTROL, Settings, VIDEO,
    counters::{Counters, number},
    traffic::{lost, mark, numbers, send},
    wait_at_rest,
};
use tsn_tests::wait::wait_for;

const PORTS: [u16; 3] = [CONTROL, VIDEO, BEST_EFFORT];

/// Small numbers that look random and repeat with their seed (a linear congruential generator).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Sends datagrams of random classes and sizes in random bursts. How many of each port.
fn send_at_random(socket: &UdpSocket, to: std::net::Ipv4Addr, seed: u64) -> [u32; 3] {
    let mut random = Random(seed);
    let mut sent = [0; 3];
    for _ in 0..300 {
        for _ in 0..=random.below(20) {
            let of = random.below(3) as usize;
            let frame_bytes = 60 + random.below(1_400) as usize;
            send(socket, (to, PORTS[of]).into(), sent[of], frame_bytes);
            sent[of] += 1;
        }
        std::thread::sleep(Duration::from_micros(random.below(3_000)));
    }
    sent
}

#[test]
fn every_frame_of_two_pods_is_accounted_for() {
    let bed = Bed::new(2);
    // Narrow queues on a slow link, so that some of the bursts do not fit.
    let settings = Settings {
        link_speed: 100,
        capacity: 24,
        frame_quota: 40,
        ..Settings::default()
    };
    let daemon = bed.start(&bed.configuration(&settings));
    let wire = bed.capture();
    let sent: Vec<[u32; 3]> = std::thread::scope(|scope| {
        let threads: Vec<_> = [1, 2]
            .map(|pod| {
                let bed = &bed;
                scope.spawn(move || {
                    let (from, to) = (bed.near(pod), bed.far(pod));
                    let socket = from.namespace.enter(|| UdpSocket::bind((from.ipv4, 0)));
                    send_at_random(&socket.unwrap().unwrap(), to.ipv4, pod as u64)
                })
            })
            .into_iter()
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    wait_at_rest(&daemon);
    let counters = wait_for("the device to give all buffers back", BOUND, || {
        let counters = Counters::of(&daemon);
        let uplink = &counters.status["uplink"];
        (uplink["transmitted"] == uplink["transmit-queued"]).then_some(counters)
    })
    .unwrap();
    counters.assert_conserved();
    let total: u32 = sent.iter().flatten().sum();
    let frames = wire.finish().unwrap();
    let ours = frames.iter().filter(|frame| mark(frame).is_some()).count() as u64;
    let uplink = &counters.status["uplink"];
    println!(
        "{total} sent, {ours} on the wire; dropped: {}",
        counters.all_causes()
    );
    assert_eq!(
        ours,
        number(&uplink["transmitted"]) - number(&uplink["lead-probes"])
    );
    assert_eq!(u64::from(total) - ours, counters.all_drops());
    for (pod, of_pod) in ["pod1", "pod2"].into_iter().zip(&sent) {
        // All of it came through the kernel programs, and none took another way.
        let kernel = &counters.pod(pod)["kernel"];
        let stamped = u64::from(of_pod.iter().sum::<u32>());
        assert_eq!(number(&kernel["stamped"]), stamped);
        assert_eq!(number(&kernel["redirected"]), stamped);
        assert_eq!(number(&kernel["fallback_heartbeat"]), 0);
        assert_eq!(number(&kernel["fallback_no_socket"]), 0);
        let port = &counters.pod(pod)["drops"];
        assert_eq!(
            number(&counters.pod(pod)["received"]),
            stamped - number(&port["receive_ring_full"]) - number(&port["receive_no_buffer"])
        );
    }
    assert!(counters.all_drops() > 0, "the queues were to be too narrow");
    daemon.terminate().unwrap();
}

#[test]
fn with_room_for_all_nothing_is_dropped() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let wire = bed.capture();
    let (from, to) = (bed.near(1), bed.far(1));
    let socket = from.namespace.enter(|| UdpSocket::bind((from.ipv4, 0)));
    let sent = send_at_random(&socket.unwrap().unwrap(), to.ipv4, 7);
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    for (port, sent) in PORTS.into_iter().zip(sent) {
        assert_eq!(lost(&numbers(&frames, port), sent), [0; 0]);
    }
}
