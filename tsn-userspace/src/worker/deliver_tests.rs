//! What is delivered to whom, and that nothing gets lost uncounted.

use tsn_port::loopback::{self, LoopbackPort};
use tsn_port::{Frame, MacAddress, Port, Stamp};

use super::bed::Bed;
use super::command::{Refusal, Retired};
use super::deliver::DeliveryCounters;
use super::pod::PodDelivery;
use super::receive::PassLimits;
use crate::clock::tai_now;

const BROADCAST: MacAddress = MacAddress([0xff; 6]);
const STRANGER: MacAddress = MacAddress([2, 0, 0, 0, 9, 9]);
/// What a pass handles at most: one more could begin before the limit and be a frame for a group.
const LONGEST_PASS: usize = PassLimits::NEAR.frames + PassLimits::NEAR.per_port + 1;

fn station(number: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, number])
}

fn send(from: &mut LoopbackPort, to: MacAddress, number: u8) {
    let mut bytes = [number; 60];
    bytes[..6].copy_from_slice(&to.0);
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    let frame = from.frame(&bytes, Stamp::NONE).expect("a buffer");
    from.transmit(frame).expect("a slot");
    from.wake().unwrap();
}

/// The numbers of the frames that arrived.
fn arrived(at: &mut LoopbackPort) -> Vec<u8> {
    std::iter::from_fn(|| at.receive())
        .map(|frame| frame.bytes()[20])
        .collect()
}

struct Node {
    bed: Bed<LoopbackPort>,
    wire: LoopbackPort,
    stations: Vec<LoopbackPort>,
}

impl Node {
    fn with_stations(count: u8, slots: usize) -> Self {
        let (uplink, wire) = loopback::pair(64);
        let mut bed = Bed::new(uplink, "");
        let stations = (0..count).map(|number| bed.add_station(station(number), slots).1);
        let stations = stations.collect();
        Self {
            bed,
            wire,
            stations,
        }
    }

    /// Makes passes until nothing comes any more, each of a bounded length.
    fn settle(&mut self) -> usize {
        let mut passes = 0;
        loop {
            let frames = self.bed.worker.receive(tai_now());
            assert!(frames <= LONGEST_PASS, "{frames} frames in one pass");
            if frames == 0 {
                return passes;
            }
            passes += 1;
        }
    }

    fn counters(&self) -> DeliveryCounters {
        self.bed.worker.delivery.counters()
    }

    fn pod(&self, place: usize) -> PodDelivery {
        self.bed.worker.places[place]
            .pod
            .as_ref()
            .unwrap()
            .delivery()
    }

    fn queued(&self) -> u32 {
        self.bed
            .worker
            .places
            .iter()
            .map(|place| place.waiting())
            .sum()
    }
}

#[test]
fn what_arrives_goes_to_the_station_that_it_is_for() {
    let mut node = Node::with_stations(3, 64);
    for (number, to) in [station(0), station(2), STRANGER, station(2)]
        .into_iter()
        .enumerate()
    {
        send(&mut node.wire, to, number as u8);
    }
    node.settle();
    let [a, b, c] = &mut node.stations[..] else {
        unreachable!()
    };
    assert_eq!(
        (arrived(a), arrived(b), arrived(c)),
        (vec![0], vec![], vec![1, 3])
    );
    let expected = DeliveryCounters {
        to_pod: 3,
        no_station: 1,
        ..DeliveryCounters::default()
    };
    assert_eq!(node.counters(), expected);
    assert_eq!(node.pod(2).delivered, 2);
}

#[test]
fn what_arrives_for_a_group_reaches_all_and_moves_to_the_last() {
    let mut node = Node::with_stations(3, 64);
    send(&mut node.wire, BROADCAST, 7);
    node.settle();
    for station in &mut node.stations {
        assert_eq!(arrived(station), [7]);
    }
    assert_eq!(
        (node.counters().to_group, node.counters().copied_bytes),
        (1, 2 * 60)
    );
    assert_eq!(node.queued(), 0, "nothing goes back to the uplink");
}

#[test]
fn what_a_pod_of_the_node_sent_is_not_delivered_when_the_network_sends_it_back() {
    let mut node = Node::with_stations(3, 64);
    for to in [BROADCAST, station(0), station(1)] {
        let mut bytes = [1; 60];
        bytes[..6].copy_from_slice(&to.0);
        bytes[6..12].copy_from_slice(&station(0).0);
        let frame = node.wire.frame(&bytes, Stamp::NONE).expect("a buffer");
        node.wire.transmit(frame).expect("a slot");
    }
    node.wire.wake().unwrap();
    node.settle();
    for station in &mut node.stations {
        assert_eq!(arrived(station), [0; 0]);
    }
    let expected = DeliveryCounters {
        own: 3,
        ..DeliveryCounters::default()
    };
    assert_eq!(node.counters(), expected);
}

#[test]
fn a_node_without_stations_drops_what_arrives_and_queues_what_its_pods_send() {
    let mut node = Node::with_stations(0, 64);
    let (port, mut pod) = loopback::pair(64);
    node.bed.add(port).unwrap();
    send(&mut node.wire, BROADCAST, 1);
    send(&mut node.wire, station(0), 2);
    send(&mut pod, BROADCAST, 3);
    send(&mut pod, station(0), 4);
    node.settle();
    assert_eq!(node.counters().no_station, 2);
    assert_eq!(node.queued(), 2);
    assert_eq!(node.counters().copied_bytes, 0);
}

#[test]
fn pods_reach_each_other_unscheduled_and_the_world_scheduled() {
    let mut node = Node::with_stations(3, 64);
    let (port, mut veth_pod) = loopback::pair(64);
    let veth_place = node.bed.add(port).unwrap();
    send(&mut node.stations[0], station(1), 1);
    send(&mut node.stations[0], station(0), 2); // to itself: not back where it came from
    send(&mut node.stations[0], STRANGER, 3);
    send(&mut node.stations[0], BROADCAST, 4);
    send(&mut veth_pod, station(2), 5);
    send(&mut veth_pod, BROADCAST, 6);
    node.settle();
    let [a, b, c] = &mut node.stations[..] else {
        unreachable!()
    };
    assert_eq!(arrived(a), [6]);
    let mut at_b = arrived(b);
    at_b.sort_unstable();
    assert_eq!(at_b, [1, 4, 6]);
    let mut at_c = arrived(c);
    at_c.sort_unstable();
    assert_eq!(at_c, [4, 5, 6]);
    assert_eq!(arrived(&mut veth_pod), [0; 0], "the kernel delivers to it");
    assert_eq!((node.pod(0).to_pod, node.pod(veth_place).to_pod), (1, 1));
    // 2, 3, 4 and 6.
    assert_eq!(node.queued(), 4);
}

#[test]
fn a_frame_for_many_is_copied_in_several_passes_and_nothing_overtakes_it() {
    let mut node = Node::with_stations(30, 8);
    send(&mut node.wire, BROADCAST, 1);
    send(&mut node.wire, station(29), 2);
    send(&mut node.stations[4], station(29), 3);
    assert_eq!(
        node.bed.worker.receive(tai_now()),
        1 + PassLimits::NEAR.per_port
    );
    assert!(node.bed.worker.delivery.is_flooding());
    // One comes meanwhile whose address is behind those that have their copy, and one that is not.
    let mut behind = node.bed.add_station(MacAddress([2, 0, 0, 0, 0, 200]), 8).1;
    let mut before = node.bed.add_station(MacAddress([0, 0, 0, 0, 0, 1]), 8).1;
    assert!(node.settle() >= 26 / PassLimits::NEAR.per_port);
    for (number, station) in node.stations.iter_mut().enumerate() {
        // After the wire's flood it is the pods' turn.
        let expected: &[u8] = if number == 29 { &[1, 3, 2] } else { &[1] };
        assert_eq!(arrived(station), expected, "{number}");
    }
    assert_eq!(arrived(&mut behind), [1]);
    assert_eq!(arrived(&mut before), [0; 0]);
}

#[test]
fn the_last_frames_of_a_pod_that_goes_all_reach_the_others() {
    let mut node = Node::with_stations(12, 16);
    for number in 0..5 {
        send(&mut node.stations[3], BROADCAST, number);
    }
    node.bed.remove(3);
    node.settle();
    for (number, station) in node.stations.iter_mut().enumerate() {
        let expected: &[u8] = if number == 3 { &[] } else { &[0, 1, 2, 3, 4] };
        assert_eq!(arrived(station), expected, "{number}");
    }
    assert!(matches!(node.bed.retired.try_recv(), Ok(Retired::Pod(_))));
    // Its address is free again.
    node.bed.add_station(station(3), 8);
}

#[test]
fn an_address_belongs_to_one_pod() {
    let mut node = Node::with_stations(1, 8);
    let (port, _far) = loopback::pair(8);
    let refused = node.bed.add(port.with_station(station(0)));
    assert_eq!(refused, Err(Refusal::StationTaken(station(0))));
    assert!(matches!(node.bed.retired.try_recv(), Ok(Retired::Pod(_))));
    send(&mut node.wire, station(0), 1);
    node.settle();
    assert_eq!(arrived(&mut node.stations[0]), [1]);
}

#[test]
fn a_pass_with_nothing_else_to_do_takes_more() {
    for (pass, taken) in [(PassLimits::NEAR, 4), (PassLimits::QUIET, 16)] {
        let mut node = Node::with_stations(1, 64);
        node.bed.worker.pass = pass;
        for number in 0..50 {
            send(&mut node.wire, station(0), number);
        }
        assert_eq!(node.bed.worker.receive(tai_now()), taken);
    }
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

#[test]
fn every_frame_is_delivered_or_dropped_by_a_cause() {
    const STATIONS: u8 = 5;
    let mut node = Node::with_stations(STATIONS, 4);
    let mut taken = [0; STATIONS as usize];
    let (mut sent, mut sent_to_group, mut pods_sent_to_group) = (0, 0, 0);
    let mut state = 1;
    let mut hoarded = Vec::new();
    for round in 0..2_000 {
        let to = match random(&mut state) % 8 {
            number @ 0..=4 => station(number as u8),
            5 | 6 => BROADCAST,
            _ => STRANGER,
        };
        if random(&mut state).is_multiple_of(4) {
            let from = (random(&mut state) % u64::from(STATIONS)) as usize;
            if node.stations[from].free_buffers() > 0 {
                pods_sent_to_group += u64::from(to == BROADCAST);
                send(&mut node.stations[from], to, 0);
            }
        } else {
            sent += 1;
            sent_to_group += u64::from(to == BROADCAST);
            send(&mut node.wire, to, 0);
        }
        node.settle();
        // The stations take what they get only now and then, and for a while one has no free buffers.
        for (number, station) in node.stations.iter_mut().enumerate() {
            if random(&mut state).is_multiple_of(8) {
                taken[number] += arrived(station).len() as u64;
            }
        }
        if round == 1_000 {
            hoarded.extend(std::iter::from_fn(|| node.stations[1].allocate(60)));
        }
        // What the pods sent to the world.
        node.bed.worker.scheduler.drain(drop);
        let DeliveryCounters {
            to_pod,
            to_group,
            no_station,
            ..
        } = node.counters();
        assert_eq!(sent, to_pod + to_group + no_station);
        assert_eq!(to_group, sent_to_group);
    }
    let pods: Vec<PodDelivery> = (0..STATIONS.into()).map(|place| node.pod(place)).collect();
    let sum = |of: fn(&PodDelivery) -> u64| pods.iter().map(of).sum::<u64>();
    let wanted = node.counters().to_pod
        + sum(|pod| pod.to_pod)
        + sent_to_group * u64::from(STATIONS)
        + pods_sent_to_group * u64::from(STATIONS - 1);
    assert_eq!(
        wanted,
        sum(|pod| pod.delivered + pod.ring_full + pod.no_buffer)
    );
    assert!(sum(|pod| pod.ring_full) > 0 || sum(|pod| pod.no_buffer) > 0);
    assert!(sum(|pod| pod.no_buffer) > 0, "{pods:?}");
    for ((pod, station), taken) in pods.iter().zip(&mut node.stations).zip(taken) {
        let lost = station.counters().receive_ring_full;
        assert_eq!(pod.delivered, taken + arrived(station).len() as u64 + lost);
    }
}
