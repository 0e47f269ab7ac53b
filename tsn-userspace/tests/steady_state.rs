//! From receive to transmit the worker neither allocates nor copies a payload.

// A global allocator can only be written with `unsafe`.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tsn_core::{LinkSpeed, Nanoseconds, SchedulerParameters};
use tsn_port::loopback::{self, LoopbackPort};
use tsn_port::{Frame, Heartbeat, MacAddress, NextHopId, Port, Stamp, TimeBase};
use tsn_userspace::clock::tai_now;
use tsn_userspace::config::{Configuration, PollMode, compile_pod, compile_uplink};
use tsn_userspace::overlay::encapsulation::NextHops;
use tsn_userspace::overlay::next_hop::{LinkAddresses, NextHop, Setting, Vxlan};
use tsn_userspace::worker::capture::{CaptureFilter, CaptureRecord, capture};
use tsn_userspace::worker::command::{ClockAction, Command};
use tsn_userspace::worker::pod::PodPort;
use tsn_userspace::worker::sleep::Waker;
use tsn_userspace::worker::{Worker, WorkerParts};

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

static WORKER_CALLS: AtomicU64 = AtomicU64::new(0);

/// Counts the calls of the worker's thread and passes all on.
struct Counting;

// SAFETY: every call is passed on to `System` unchanged, which keeps the contract of `GlobalAlloc`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps the contract of `dealloc`, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that is ending knows no more what it was.
    if IS_WORKER.try_with(Cell::get).unwrap_or(false) {
        WORKER_CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

struct NoKernelPrograms;

impl Heartbeat for NoKernelPrograms {
    fn beat(&self) {}
}

const CONFIGURATION: &str = "
uplinks:
  - device: loopback
    gate-parameters:
      admin-control-list:
        - { gate-states-value: [7], time-interval-value: 100us }
        - { gate-states-value: [0], time-interval-value: 100us }
pods:
  - name: pod
    netns: /nowhere
    streams:
      - name: timed
        match: { priority: 5 }
        traffic-class: 7
        late: send
        flow-meter: { committed-information-rate: 400000000000, committed-burst-size: 1000000 }
      - { name: rest, match: {}, traffic-class: 0 }
  - name: routed
    netns: /nowhere
    mode: overlay
    streams: [ { name: all, match: {}, traffic-class: 7 } ]
";

const EVERYTHING: CaptureFilter = CaptureFilter {
    pod: None,
    stream: None,
    classes: 0xff,
};
const WARM_UP: u64 = 500;
const FRAMES: u64 = 5_000;
const BOUND: Duration = Duration::from_secs(60);

/// Probes for the lead: with a lead, frames without launch time share wake-ups.
const PROBES: u32 = 8;
/// At the other ends of two more pods' ports.
const STATIONS: [MacAddress; 2] = [
    MacAddress([2, 0, 0, 0, 0, 1]),
    MacAddress([2, 0, 0, 0, 0, 2]),
];
const BROADCAST: [u8; 6] = [0xff; 6];

/// Frames that the pod sends at once.
const GROUP: u64 = 10;

/// Sends groups of frames from the pod and waits for each frame on the wire, in its order.
fn exchange(pod: &mut LoopbackPort, wire: &mut LoopbackPort, frames: u64, timed: bool) {
    let start = Instant::now();
    for group in 0..frames / GROUP {
        let launch_time = tai_now() + Nanoseconds::from_nanos(50_000);
        let sent: [_; GROUP as usize] = std::array::from_fn(|place| {
            let number = group * GROUP + place as u64;
            let mut bytes = [0u8; 100];
            bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
            bytes[20..28].copy_from_slice(&number.to_be_bytes());
            let stamp = if timed {
                Stamp {
                    launch_time_ns: launch_time.as_nanos() + place as u64 * 2_000,
                    time_base: TimeBase::Tai,
                    priority: 5,
                }
            } else {
                Stamp::NONE
            };
            let frame = pod.frame(&bytes, stamp).expect("a free buffer");
            let address = frame.bytes().as_ptr();
            pod.transmit(frame).expect("a free slot");
            (bytes, address)
        });
        pod.wake().unwrap();
        for (bytes, address) in sent {
            let arrived = loop {
                if let Some(frame) = wire.receive() {
                    break frame;
                }
                assert!(start.elapsed() < BOUND, "a frame has not arrived");
                std::thread::yield_now();
            };
            assert_eq!(arrived.bytes(), bytes);
            assert_eq!(arrived.bytes().as_ptr(), address, "the payload has moved");
        }
    }
}

/// Sends packets from a pod in overlay mode, and waits for each on the wire, in its tunnel.
fn tunnel(pod: &mut LoopbackPort, wire: &mut LoopbackPort, packets: u64) {
    let start = Instant::now();
    let mut sent = [0; 100];
    sent[12..16].copy_from_slice(&[0x08, 0x00, 0x45, 0]);
    sent[16..18].copy_from_slice(&86u16.to_be_bytes());
    sent[22..24].copy_from_slice(&[64, 17]);
    for _ in 0..packets {
        let frame = pod.frame(&sent, Stamp::NONE).expect("a free buffer");
        let frame = frame.with_next_hop(next_hop_id());
        let end = frame.bytes().as_ptr_range().end;
        pod.transmit(frame).expect("a free slot");
        pod.wake().unwrap();
        let arrived = loop {
            if let Some(frame) = wire.receive() {
                break frame;
            }
            assert!(start.elapsed() < BOUND, "a packet has not arrived");
            std::thread::yield_now();
        };
        assert_eq!(arrived.bytes().len(), sent.len() + 50);
        assert_eq!(arrived.bytes()[50 + 26..], sent[26..]);
        let arrived_end = arrived.bytes().as_ptr_range().end;
        assert_eq!(arrived_end, end, "the payload has moved");
    }
}

fn next_hop_id() -> NextHopId {
    NextHopId(NonZeroU16::MIN)
}

/// Over IPv4, with a checksum.
fn next_hop() -> NextHop {
    let link = LinkAddresses {
        destination: STATIONS[0],
        source: STATIONS[1],
    };
    NextHop {
        link,
        vlan_id: None,
        tunnel: Some(Vxlan {
            local: [192, 0, 2, 1].into(),
            remote: [192, 0, 2, 2].into(),
            hop_limit: Setting::Fixed(64),
            ds_field: Setting::Inherit,
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

/// Sends frames to the stations from the wire and from one of them, for one and for all, and waits for each.
fn deliver(wire: &mut LoopbackPort, stations: &mut [LoopbackPort; 2], rounds: u64) {
    let start = Instant::now();
    let send = |from: &mut LoopbackPort, to: [u8; 6]| {
        let mut bytes = [0; 100];
        bytes[..6].copy_from_slice(&to);
        let frame = from.frame(&bytes, Stamp::NONE).expect("a free buffer");
        from.transmit(frame).expect("a free slot");
        from.wake().unwrap();
    };
    for _ in 0..rounds {
        send(wire, STATIONS[0].0);
        send(wire, BROADCAST);
        send(&mut stations[1], STATIONS[0].0);
        let [one, two] = stations;
        for (at, frames) in [(one, 3), (two, 1)] {
            for _ in 0..frames {
                while at.receive().is_none() {
                    assert!(start.elapsed() < BOUND, "a frame has not arrived");
                    std::thread::yield_now();
                }
            }
        }
    }
}

fn is_whole(record: &CaptureRecord) {
    assert_eq!(record.length_bytes, 100);
    assert_eq!(record.bytes.len(), 64);
    let launch_time = record.launch.time().expect("it asked for one");
    // Its departure is told; on a loopback it may be a little before its time, by the lead that is taken off.
    let distance_ns = launch_time.as_nanos().abs_diff(record.departure.as_nanos());
    assert!(distance_ns < 1_000_000_000, "{record:?}");
}

#[test]
fn the_worker_neither_allocates_nor_copies() {
    let configuration = Configuration::from_yaml(CONFIGURATION).unwrap();
    let uplink = compile_uplink("uplink", &configuration.uplinks[0]).unwrap();
    let pod = compile_pod("pod", &configuration.pods[0], &uplink.names).unwrap();
    let (uplink_port, mut wire) = loopback::pair(64);
    let (pod_port, mut sender) = loopback::pair(64);
    let (commands, command_receiver) = crossbeam_channel::bounded(4);
    let (retired, _retired_receiver) = crossbeam_channel::bounded(4);
    let parts = WorkerParts {
        uplink: uplink_port,
        scheduler: SchedulerParameters {
            link_speed: LinkSpeed::from_mbps(100_000).unwrap(),
            per_frame_overhead_bytes: 24,
            admin_gate_states: uplink.gates.admin_gate_states,
            classes: uplink.classes,
        },
        gates: uplink.gates,
        markings: uplink.markings,
        carrier: true,
        lead_probes: PROBES,
        poll_mode: PollMode::Busy,
        spin_before: Nanoseconds::from_nanos(100_000),
        stall_threshold: Nanoseconds::from_nanos(10_000),
        clock_action: ClockAction {
            open_gates: false,
            dropped_classes: 0,
            tai_minus_utc_ns: 37_000_000_000,
        },
        heartbeat: Box::new(NoKernelPrograms),
        heartbeat_interval: Nanoseconds::from_nanos(1_000_000),
        commands: command_receiver,
        retired,
        waker: Waker::new().unwrap(),
    };
    let worker = std::thread::spawn(move || {
        let worker = Worker::new(parts);
        IS_WORKER.set(true);
        worker.run();
        IS_WORKER.set(false);
    });
    let (answer, added) = tokio::sync::oneshot::channel();
    let port = PodPort::new(pod_port, &pod, configuration.pods[0].frame_quota);
    commands
        .send(Command::AddPod(Box::new(port), answer))
        .unwrap();
    assert_eq!(added.blocking_recv().unwrap(), Ok(0));
    for _ in 0..PROBES {
        assert!(wire.receive().is_some(), "a probe has not been sent");
    }

    let mut stations = STATIONS.map(|station| {
        let (port, far) = loopback::pair(64);
        let (answer, added) = tokio::sync::oneshot::channel();
        let port = PodPort::new(port.with_station(station), &pod, 64);
        commands
            .send(Command::AddPod(Box::new(port), answer))
            .unwrap();
        added.blocking_recv().unwrap().unwrap();
        far
    });

    let routed = compile_pod("pod", &configuration.pods[1], &uplink.names).unwrap();
    let (port, mut routed_sender) = loopback::pair(64);
    let (answer, added) = tokio::sync::oneshot::channel();
    let port = PodPort::new(port, &routed, 64);
    commands
        .send(Command::AddPod(Box::new(port), answer))
        .unwrap();
    added.blocking_recv().unwrap().unwrap();
    let (answer, set) = tokio::sync::oneshot::channel();
    let next_hops = NextHops::new([(next_hop_id(), next_hop())]);
    commands
        .send(Command::SetNextHops(Box::new(next_hops), answer))
        .unwrap();
    set.blocking_recv().unwrap();

    exchange(&mut sender, &mut wire, WARM_UP, true);
    exchange(&mut sender, &mut wire, WARM_UP, false);
    tunnel(&mut routed_sender, &mut wire, WARM_UP);
    deliver(&mut wire, &mut stations, WARM_UP);
    let before = WORKER_CALLS.load(Ordering::Relaxed);
    exchange(&mut sender, &mut wire, FRAMES, true);
    exchange(&mut sender, &mut wire, FRAMES, false);
    tunnel(&mut routed_sender, &mut wire, FRAMES);
    deliver(&mut wire, &mut stations, FRAMES);
    let calls = WORKER_CALLS.load(Ordering::Relaxed) - before;
    assert_eq!(calls, 0, "calls of the allocator for {} frames", 6 * FRAMES);

    let (tap, mut reader) = capture(EVERYTHING, 64);
    commands.send(Command::Capture(Some(tap))).unwrap();
    exchange(&mut sender, &mut wire, WARM_UP, true);
    let before = WORKER_CALLS.load(Ordering::Relaxed);
    let mut captured = 0;
    for _ in 0..5 {
        exchange(&mut sender, &mut wire, FRAMES / 5, true);
        while reader.read(is_whole).is_some() {
            captured += 1;
        }
    }
    let start = Instant::now();
    while captured < FRAMES {
        // The last one is on the wire before it is in the capture.
        captured += u64::from(reader.read(is_whole).is_some());
        assert!(start.elapsed() < BOUND, "{captured} of {FRAMES} captured");
    }
    let calls = WORKER_CALLS.load(Ordering::Relaxed) - before;
    assert_eq!(
        calls, 0,
        "calls of the allocator for {FRAMES} captured frames"
    );
    assert_eq!(reader.missed(), 0);

    drop(commands);
    worker.join().unwrap();
    // The worker's end frees what it had, which shows that the counter counts.
    assert!(
        WORKER_CALLS.load(Ordering::Relaxed) > before,
        "the counter is dead"
    );
}
