//! A device that holds frames until their launch times, and a clock that the test moves: what leaves when.
//!
//! The test's clock is ahead of the real one, so that the worker's own looks at the clock find that no time has passed.

use std::sync::{Arc, Mutex};

use tsn_core::{Nanoseconds, TaiTime, TrafficClass};
use tsn_port::loopback::{self, LoopbackFrame, LoopbackPort};
use tsn_port::{
    Capabilities, Frame, HardwareLaunch, MacAddress, Port, PortCounters, PortLevels, Stamp,
    TimeBase,
};

use super::bed::Bed;
use super::command::{Command, GateChange};
use super::stall::StallLog;
use crate::clock::tai_now;
use crate::config::{CompiledUplink, Configuration, compile_uplink};

/// What the device needs.
const LEAD_NS: u64 = 40_000;
/// A stall's threshold in the bed, and so how much the worker may need for the way to the device, and once more for the
/// way to the decision.
const SLACK_NS: u64 = 10_000;
/// A frame of 100 bytes at 1 Gb/s with 24 bytes around it.
const WIRE_NS: u64 = (100 + 24) * 8;
/// A cycle of two windows of this length.
const WINDOW_NS: u64 = 50_000;
const GATES: &str = "    gate-parameters:
      admin-base-time: 0
      admin-control-list:
        - { gate-states-value: [7], time-interval-value: 50us }
        - { gate-states-value: [0], time-interval-value: 50us }
";
/// The same cycle, the other way round.
const SWAPPED: &str = "    gate-parameters:
      admin-base-time: 0
      admin-control-list:
        - { gate-states-value: [0], time-interval-value: 50us }
        - { gate-states-value: [7], time-interval-value: 50us }
";

/// A frame in the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HeldFrame {
    launch_ns: u64,
    /// The first byte of its payload.
    number: u8,
}

/// Takes frames with the instant at which they are to leave, which is when they leave.
struct HoldingPort {
    inner: LoopbackPort,
    held: Arc<Mutex<Vec<HeldFrame>>>,
}

impl Port for HoldingPort {
    type Frame = LoopbackFrame;
    type Error = std::convert::Infallible;

    fn receive(&mut self) -> Option<LoopbackFrame> {
        self.inner.receive()
    }

    fn transmit(&mut self, frame: LoopbackFrame) -> Result<(), LoopbackFrame> {
        panic!("a frame without a launch time: {:?}", frame.bytes());
    }

    fn transmit_at(&mut self, frame: LoopbackFrame, launch_ns: u64) -> Result<(), LoopbackFrame> {
        self.held.lock().unwrap().push(HeldFrame {
            launch_ns,
            number: frame.bytes()[14],
        });
        self.inner.transmit(frame)
    }

    fn wake(&mut self) -> Result<(), Self::Error> {
        self.inner.wake()
    }

    fn allocate(&mut self, length_bytes: usize) -> Option<LoopbackFrame> {
        self.inner.allocate(length_bytes)
    }

    fn readable(&self) -> Option<std::os::fd::RawFd> {
        self.inner.readable()
    }

    fn counters(&self) -> PortCounters {
        self.inner.counters()
    }

    fn levels(&mut self) -> PortLevels {
        self.inner.levels()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            hardware_launch: Some(HardwareLaunch { lead_ns: LEAD_NS }),
            ..self.inner.capabilities()
        }
    }

    fn station(&self) -> Option<MacAddress> {
        None
    }
}

struct Lab {
    bed: Bed<HoldingPort>,
    pod: LoopbackPort,
    wire: LoopbackPort,
    held: Arc<Mutex<Vec<HeldFrame>>>,
    now: TaiTime,
    random: u64,
}

impl Lab {
    fn with_gates(gates: &str) -> Self {
        let held = Arc::default();
        let port = |inner| HoldingPort {
            inner,
            held: Arc::clone(&held),
        };
        let (uplink, wire) = loopback::pair(256);
        let mut bed = Bed::new(port(uplink), gates);
        let (near, pod) = loopback::pair(256);
        bed.add(port(near)).unwrap();
        // At the beginning of a cycle.
        let cycle_ns = 2 * WINDOW_NS;
        let start_ns = (tai_now().as_nanos() + 3_600_000_000_000) / cycle_ns * cycle_ns;
        Self {
            bed,
            pod,
            wire,
            held,
            now: TaiTime::from_nanos(start_ns),
            random: 7,
        }
    }

    /// A frame of the timed stream, or of the other without a launch time.
    fn send(&mut self, number: u8, launch: Option<TaiTime>) {
        let mut bytes = [number; 100];
        bytes[..6].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
        let stamp = launch.map_or(Stamp::NONE, |launch| Stamp {
            launch_time_ns: launch.as_nanos(),
            time_base: TimeBase::Tai,
            priority: 5,
        });
        let frame = self.pod.frame(&bytes, stamp).unwrap();
        self.pod.transmit(frame).unwrap();
        self.pod.wake().unwrap();
    }

    /// One pass of the worker, and what it gave to the device, none of it too late.
    fn turn(&mut self) -> Vec<HeldFrame> {
        let worker = &mut self.bed.worker;
        while worker.transmit(self.now) {}
        worker.receive(self.now);
        while worker.transmit(self.now) {}
        while self.wire.receive().is_some() {}
        let given = std::mem::take(&mut *self.held.lock().unwrap());
        for frame in &given {
            let least_ns = self.now.as_nanos() + LEAD_NS + SLACK_NS;
            assert!(frame.launch_ns >= least_ns, "{frame:?} at {}", self.now);
        }
        given
    }

    /// Turns until so much later, a few microseconds apart.
    fn turn_for(&mut self, length_ns: u64) -> Vec<HeldFrame> {
        let end = self.now + Nanoseconds::from_nanos(length_ns);
        let mut given = Vec::new();
        while self.now < end {
            given.extend(self.turn());
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            self.now += Nanoseconds::from_nanos(1_000 + (self.random >> 40) % 7_000);
        }
        given
    }

    fn after(&self, ns: u64) -> TaiTime {
        self.now + Nanoseconds::from_nanos(ns)
    }

    fn sent(&self, class: usize) -> u64 {
        self.bed
            .worker
            .scheduler
            .counters(TrafficClass::ALL[class])
            .sent
    }
}

fn assert_in_order(given: &[HeldFrame]) {
    for pair in given.windows(2) {
        assert!(pair[0].launch_ns + WIRE_NS <= pair[1].launch_ns, "{pair:?}");
    }
}

/// Whether a frame is as a whole inside a window; of the first half of each cycle, or of the second.
fn is_inside(frame: HeldFrame, half: u64) -> bool {
    let phase_ns = frame.launch_ns % (2 * WINDOW_NS);
    (half * WINDOW_NS..=(half + 1) * WINDOW_NS - WIRE_NS).contains(&phase_ns)
}

#[test]
fn frames_leave_exactly_at_their_launch_times() {
    let mut lab = Lab::with_gates("");
    let due: Vec<TaiTime> = (0..100)
        .map(|number| lab.after(200_000 + number * 7_777))
        .collect();
    // Not in their order.
    for number in (0..100).rev() {
        lab.send(number, Some(due[usize::from(number)]));
    }
    let given = lab.turn_for(1_200_000);
    let expected: Vec<HeldFrame> = (0..100)
        .map(|number| HeldFrame {
            launch_ns: due[usize::from(number)].as_nanos(),
            number,
        })
        .collect();
    assert_eq!(given, expected);
    let (.., streams) = lab.bed.worker.places[0].pod.as_ref().unwrap().counters();
    assert_eq!(
        (streams[0].sent, streams[0].sent_late, streams[0].stalled),
        (100, 0, 0)
    );
    assert_eq!(streams[0].launch_errors.sum_ns, 0);
}

#[test]
fn no_frame_is_outside_of_its_gate_and_none_waits_for_the_worker() {
    let mut lab = Lab::with_gates(GATES);
    let mut given = Vec::new();
    for round in 0..200_u64 {
        // Across the windows, some in a gap.
        let launch = lab.after(60_000 + round * 7_919 % 90_000);
        lab.send(1, Some(launch));
        lab.send(0, None);
        lab.send(0, None);
        given.extend(lab.turn_for(20_000));
    }
    given.extend(lab.turn_for(300_000));
    assert_eq!(given.len(), 600);
    assert_in_order(&given);
    for frame in &given {
        assert!(is_inside(*frame, 1 - u64::from(frame.number)), "{frame:?}");
    }
    // Those that waited for their gate start with it, to the nanosecond.
    let at_opening = given
        .iter()
        .filter(|frame| frame.launch_ns % WINDOW_NS == 0);
    assert!(at_opening.count() > 50);
    let counters = lab.bed.worker.scheduler.counters(TrafficClass::ALL[7]);
    assert_eq!(counters.transmission_overruns, 0);
}

#[test]
fn a_change_of_schedule_meanwhile_splits_frames_at_its_instant() {
    let mut lab = Lab::with_gates(GATES);
    let change_ns = lab.now.as_nanos() + 20 * 2 * WINDOW_NS;
    let swapped = compiled(&SWAPPED.replace("base-time: 0", &format!("base-time: {change_ns}")));
    let (answer, changed) = tokio::sync::oneshot::channel();
    let change = GateChange {
        enabled: swapped.gates.enabled,
        admin_gate_states: swapped.gates.admin_gate_states,
        schedule: swapped.gates.schedule,
    };
    let mut given = lab.turn_for(500_000);
    lab.bed
        .worker
        .obey(Command::ChangeGates(change, answer), lab.now);
    let told = changed.blocking_recv().unwrap().unwrap();
    assert_eq!(told.config_change_time.as_nanos(), change_ns);
    for _ in 0..200 {
        lab.send(1, Some(lab.after(70_000)));
        lab.send(0, None);
        given.extend(lab.turn_for(15_000));
    }
    given.extend(lab.turn_for(300_000));
    assert_eq!(given.len(), 400);
    assert_in_order(&given);
    let (before, after): (Vec<_>, Vec<_>) = given
        .into_iter()
        .partition(|frame| frame.launch_ns < change_ns);
    assert!(before.len() > 100 && after.len() > 100);
    for frame in before {
        assert!(is_inside(frame, 1 - u64::from(frame.number)), "{frame:?}");
    }
    for frame in after {
        assert!(is_inside(frame, u64::from(frame.number)), "{frame:?}");
    }
}

fn compiled(gates: &str) -> CompiledUplink {
    let text = format!("uplinks:\n  - device: none\n{gates}");
    let configuration = Configuration::from_yaml(&text).unwrap();
    compile_uplink("uplink", &configuration.uplinks[0]).unwrap()
}

#[test]
fn what_keeps_the_worker_for_less_than_the_slack_does_no_harm_and_more_is_told() {
    let mut lab = Lab::with_gates("");
    let due = lab.after(200_000);
    for (kept_ns, late_ns) in [(SLACK_NS, 0), (SLACK_NS + 25_000, 25_000)] {
        let due = due + Nanoseconds::from_nanos(kept_ns * 1_000);
        lab.send(1, Some(due));
        assert_eq!(lab.turn(), []);
        // The first moment at which the worker would decide on it, and then it is away.
        lab.now = due - Nanoseconds::from_nanos(LEAD_NS + 2 * SLACK_NS);
        let away_from = lab.now;
        lab.now = lab.after(kept_ns);
        lab.bed.worker.stalls.observe(away_from, lab.now);
        let launch_ns = due.as_nanos() + late_ns;
        assert_eq!(
            lab.turn(),
            [HeldFrame {
                launch_ns,
                number: 1
            }]
        );
    }
    let (.., streams) = lab.bed.worker.places[0].pod.as_ref().unwrap().counters();
    assert_eq!((streams[0].sent, streams[0].stalled), (2, 1));
    assert_eq!(lab.bed.worker.stalls.totals().frames, 1);
    assert_eq!(lab.sent(7), 2);
}

#[test]
fn what_may_leave_at_once_is_not_too_late_for_the_time_that_the_way_to_the_device_takes() {
    const FRAMES: u64 = 50;
    let mut lab = Lab::with_gates("");
    // Long enough for the machine of a test.
    lab.bed.worker.stalls = StallLog::new(Nanoseconds::from_nanos(1_000_000), Nanoseconds::ZERO);
    for _ in 0..FRAMES {
        lab.send(0, None);
        lab.bed.worker.receive(tai_now());
        // From here on the clock goes on by itself.
        while !lab.bed.worker.transmit(tai_now()) {}
        while lab.wire.receive().is_some() {}
    }
    let (.., streams) = lab.bed.worker.places[0].pod.as_ref().unwrap().counters();
    assert_eq!(streams[1].sent, FRAMES);
    assert!(streams[1].stalled < FRAMES / 2, "{}", streams[1].stalled);
}

#[test]
fn a_device_that_holds_frames_gets_no_probes() {
    let lab = Lab::with_gates("");
    assert_eq!(lab.bed.worker.lead.get().as_nanos(), LEAD_NS);
    assert!(lab.bed.worker.uplink_state.hardware_launch);
    assert_eq!(lab.bed.worker.uplink_state.lead_probes, 0);
    assert_eq!(lab.held.lock().unwrap().len(), 0);
}
