//! What a frame costs in each step of its way through the worker: receive, classify, encapsulate (in overlay mode), queue,
//! select, transmit.
//!
//! The worker's own functions, over loopback ports and in simulated time. Prints one JSON object: for each step the
//! nanoseconds of a frame, the median of batches. Under callgrind with `--toggle-collect='*step_receive*'` (or another
//! step) the instructions of that step are counted, for batches × batch-frames frames.

use std::hint::black_box;
use std::num::NonZeroU16;
use std::time::Instant;

use clap::Parser;
use tsn_core::{
    Arrival, Departure, LinkSpeed, Scheduler, SchedulerParameters, TaiTime, TrafficClass,
};
use tsn_port::loopback::{self, LoopbackFrame, LoopbackPort};
use tsn_port::{MacAddress, NextHopId, Port, Stamp, TimeBase};
use tsn_userspace::config::{Configuration, compile_pod, compile_uplink};
use tsn_userspace::overlay::encapsulation::NextHops;
use tsn_userspace::overlay::next_hop::{LinkAddresses, NextHop, Setting, Vxlan};
use tsn_userspace::worker::forward::Forwarder;
use tsn_userspace::worker::pod::{ClockRelation, Held, PodPlace, PodPort, Received};

/// What a frame costs in each step of its way through the worker.
#[derive(Parser)]
struct Options {
    /// Pods that the frames come from, in turn.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=BATCH_FRAMES as i64))]
    pods: u32,
    /// Batches that are measured.
    #[arg(long, default_value_t = 1_001)]
    batches: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

const BATCH_FRAMES: u32 = 128;
const START: TaiTime = TaiTime::from_nanos(1_795_290_000_000_000_000);
/// From its receipt to the launch time of the first frame of a batch.
const NOTICE_NS: u64 = 10_000;
/// Passes over all ports in one measurement, against the cost of reading the clock.
const IDLE_PASSES: u32 = 16;
const FRAME_BYTES: usize = 64;
const NEXT_HOP: NextHopId = NextHopId(NonZeroU16::MIN);

const CONFIGURATION: &str = "
uplinks:
  - device: loopback
    gate-parameters:
      admin-control-list:
        - { gate-states-value: [7, 6], time-interval-value: 300us }
        - { gate-states-value: [0], time-interval-value: 700us }
pods:
  - name: pod
    netns: /nowhere
    frame-quota: 256
    streams:
      - { name: loop, match: { udp-destination-port: 5001 }, traffic-class: 7, late: send }
      - { name: video, match: { udp-destination-port: 5002 }, traffic-class: 6 }
      - { name: rest, match: {}, traffic-class: 0 }
";

type HeldFrame = Held<LoopbackFrame>;

/// A worker's parts, and what is on its way between two steps.
struct Bed {
    senders: Vec<LoopbackPort>,
    places: Vec<PodPlace<LoopbackPort>>,
    forwarder: Forwarder,
    scheduler: Scheduler<HeldFrame>,
    uplink: LoopbackPort,
    wire: LoopbackPort,
    now: TaiTime,
    frames: Vec<LoopbackFrame>,
    /// Those of a pod in overlay mode.
    routed: Vec<LoopbackFrame>,
    arrivals: Vec<Arrival<HeldFrame>>,
    departures: Vec<Departure<HeldFrame>>,
}

impl Bed {
    fn new(pods: u32) -> Self {
        let configuration = Configuration::from_yaml(CONFIGURATION).expect("a good configuration");
        let settings = compile_uplink("uplink", &configuration.uplinks[0]).expect("a good uplink");
        let pod = compile_pod("pod", &configuration.pods[0], &settings.names).expect("a good pod");
        let quota = configuration.pods[0].frame_quota;
        let slots = BATCH_FRAMES.div_ceil(pods) as usize;
        let (senders, places) = (0..pods)
            .map(|_| {
                let (sender, port) = loopback::pair(slots);
                (sender, PodPlace::new(PodPort::new(port, &pod, quota)))
            })
            .unzip();
        let mut scheduler = Scheduler::new(SchedulerParameters {
            link_speed: LinkSpeed::from_mbps(10_000).expect("not zero"),
            per_frame_overhead_bytes: tsn_core::ETHERNET_OVERHEAD_BYTES,
            admin_gate_states: settings.gates.admin_gate_states,
            classes: settings.classes,
        });
        if let Some(schedule) = settings.gates.schedule {
            drop(scheduler.configure(START, schedule));
        }
        let mut forwarder = Forwarder::new(settings.markings);
        forwarder.replace(Box::new(NextHops::new([(NEXT_HOP, next_hop())])));
        let (uplink, wire) = loopback::pair(BATCH_FRAMES as usize);
        Bed {
            senders,
            places,
            forwarder,
            scheduler,
            uplink,
            wire,
            now: START,
            frames: Vec::with_capacity(BATCH_FRAMES as usize),
            routed: Vec::with_capacity(BATCH_FRAMES as usize),
            arrivals: Vec::with_capacity(BATCH_FRAMES as usize),
            departures: Vec::with_capacity(BATCH_FRAMES as usize),
        }
    }

    /// The pods send: every other frame has a launch time, in a scattered order.
    fn send(&mut self) {
        let (timed, untimed) = (udp_frame(5001), udp_frame(5003));
        self.routed.clear();
        for _ in 0..BATCH_FRAMES {
            let frame = self.wire.frame(&timed, Stamp::NONE).expect("a free buffer");
            self.routed.push(frame.with_next_hop(NEXT_HOP));
        }
        for number in 0..BATCH_FRAMES {
            let slot = u64::from(number * 37 % BATCH_FRAMES);
            let launch = Stamp {
                launch_time_ns: self.now.as_nanos() + NOTICE_NS + slot * 100,
                time_base: TimeBase::Tai,
                priority: 5,
            };
            let (bytes, stamp) = if number.is_multiple_of(2) {
                (timed, launch)
            } else {
                (untimed, Stamp::NONE)
            };
            let pods = self.senders.len();
            let sender = &mut self.senders[number as usize % pods];
            let frame = sender.frame(&bytes, stamp).expect("a free buffer");
            assert!(sender.transmit(frame).is_ok(), "the ring has room");
            sender.wake().expect("a loopback port is never down");
        }
    }

    /// What has left comes out of the wire, and its buffers go back.
    fn drain_wire(&mut self) {
        for _ in 0..BATCH_FRAMES {
            assert!(self.wire.receive().is_some(), "every frame has left");
        }
    }
}

/// Flannel's, with a checksum.
fn next_hop() -> NextHop {
    let link = LinkAddresses {
        destination: MacAddress([2, 0, 0, 0, 0, 1]),
        source: MacAddress([2, 0, 0, 0, 0, 2]),
    };
    NextHop {
        link,
        vlan_id: None,
        tunnel: Some(Vxlan {
            local: [192, 0, 2, 1].into(),
            remote: [192, 0, 2, 2].into(),
            hop_limit: Setting::Fixed(64),
            ds_field: Setting::Fixed(0),
            dont_fragment: Setting::Fixed(false),
            flow_label: 0,
            vni: 1,
            destination_port: 8472,
            source_ports: 32_768..=60_999,
            has_checksum: true,
            inner: link,
        }),
    }
}

fn udp_frame(destination_port: u16) -> [u8; FRAME_BYTES] {
    let mut bytes = [0; FRAME_BYTES];
    bytes[12..14].copy_from_slice(&[0x08, 0x00]); // IPv4
    bytes[14] = 0x45;
    bytes[16..18].copy_from_slice(&(FRAME_BYTES as u16 - 14).to_be_bytes());
    bytes[22] = 64;
    bytes[23] = 17; // UDP
    bytes[36..38].copy_from_slice(&destination_port.to_be_bytes());
    bytes
}

/// From the pods' ports.
#[inline(never)]
fn step_receive(bed: &mut Bed) {
    let pods = bed.places.len();
    for number in 0..BATCH_FRAMES as usize {
        let frame = bed.places[number % pods].take();
        bed.frames.push(frame.expect("a frame waits"));
    }
}

/// Which stream it is, its launch time, its pod's quota.
#[inline(never)]
fn step_classify(bed: &mut Bed) {
    let clocks = ClockRelation {
        tai_minus_monotonic_ns: START.as_nanos(),
        tai_minus_utc_ns: 37_000_000_000,
    };
    for (number, frame) in bed.frames.drain(..).enumerate() {
        let index = number % bed.places.len();
        match bed.places[index].admit(frame, index, clocks, &mut bed.forwarder, bed.now) {
            Received::Arrival(arrival) => bed.arrivals.push(arrival),
            other => panic!("a frame was not admitted: {other:?}"),
        }
    }
}

/// From the pod's router to the next hop, through a tunnel with a checksum; of frames that then go no further.
#[inline(never)]
fn step_encapsulate(bed: &mut Bed) {
    for frame in &mut bed.routed {
        let header_bytes = bed.forwarder.forward(frame, TrafficClass::ALL[7]);
        assert!(header_bytes.is_some(), "there is a next hop");
    }
}

/// Into the queue of its class.
#[inline(never)]
fn step_queue(bed: &mut Bed) {
    for arrival in bed.arrivals.drain(..) {
        assert!(bed.scheduler.enqueue(bed.now, arrival).is_ok());
    }
}

/// When something may leave, and what: on to the next event until all have left.
#[inline(never)]
fn step_select(bed: &mut Bed) {
    while let Some(next) = bed.scheduler.next_event(bed.now) {
        bed.now = next;
        if let Some(departure) = bed.scheduler.dequeue(next) {
            bed.departures.push(departure);
        }
    }
}

/// To the uplink: one frame, one wake-up.
#[inline(never)]
fn step_transmit(bed: &mut Bed) {
    for departure in bed.departures.drain(..) {
        assert!(bed.uplink.transmit(departure.frame.release()).is_ok());
        bed.uplink.wake().expect("a loopback port is never down");
    }
}

/// A look at every pod's port where nothing waits; per pass, not per frame.
#[inline(never)]
fn step_idle(bed: &mut Bed) {
    for _ in 0..IDLE_PASSES {
        for place in &mut bed.places {
            assert!(black_box(place.take()).is_none());
        }
    }
}

/// A step's name and function, and into how many its time is divided.
type Step = (&'static str, fn(&mut Bed), u32);

const STEPS: [Step; 7] = [
    ("receive", step_receive, BATCH_FRAMES),
    ("classify", step_classify, BATCH_FRAMES),
    ("encapsulate", step_encapsulate, BATCH_FRAMES),
    ("queue", step_queue, BATCH_FRAMES),
    ("select", step_select, BATCH_FRAMES),
    ("transmit", step_transmit, BATCH_FRAMES),
    ("idle", step_idle, IDLE_PASSES),
];

fn main() {
    let options = Options::parse();
    let mut bed = Bed::new(options.pods);
    let mut samples = STEPS.map(|_| Vec::with_capacity(options.batches));
    for _ in 0..options.batches {
        bed.send();
        for ((_, step, _), samples) in STEPS.iter().zip(&mut samples) {
            let start = Instant::now();
            step(&mut bed);
            samples.push(start.elapsed().as_nanos() as u64);
        }
        bed.drain_wire();
    }
    let steps: serde_json::Map<_, _> = STEPS
        .iter()
        .zip(&mut samples)
        .map(|((name, _, parts), samples)| (name.to_string(), median(samples, *parts).into()))
        .collect();
    println!(
        "{}",
        serde_json::json!({ "batches": options.batches, "batch-frames": BATCH_FRAMES, "ns": steps })
    );
}

fn median(samples: &mut [u64], parts: u32) -> f64 {
    samples.sort_unstable();
    samples[samples.len() / 2] as f64 / f64::from(parts)
}
