//! The thread that joins the scheduler to the ports: receives, classifies, queues, and transmits what the gates allow.
//!
//! In the steady state it takes no lock, allocates nothing, copies no payload and makes no system call but the
//! uplink's wake-up (and, in adaptive mode, its own sleep).

pub mod command;
pub mod histogram;
pub mod lead;
pub mod pod;
mod quantile;
pub mod sleep;
pub mod snapshot;
pub mod stall;
pub mod thread;

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tsn_core::{
    Departure, GateMargins, GateStates, Launch, Nanoseconds, Schedule, Scheduler,
    SchedulerParameters, TaiTime, TrafficClass,
};
use tsn_port::{Heartbeat, Port};

use crate::clock::{tai_minus_monotonic_ns, tai_now};
use crate::config::{CompiledGates, PollMode};
use command::{ClockAction, Command, GateChange, Refusal};
use lead::Lead;
use pod::{ClockRelation, Held, PodPlace, PodPort, Received, untag};
use sleep::Sleeper;
use snapshot::{GatesSnapshot, PodSnapshot, Snapshot, UplinkSnapshot};
use stall::StallLog;

/// Frames taken from the ports in one pass, between two looks at the clock. About 2 µs of work.
const RECEIVE_BURST: usize = 8;
/// Of these, frames from one pod, so that a flood does not keep the others waiting.
const RECEIVE_BURST_PER_POD: usize = 4;
/// With the next moment nearer than this, the worker does nothing but look at the clock.
const HOLD_STILL: Nanoseconds = Nanoseconds::from_nanos(3_000);
/// Sleeping for less than this costs more than it saves.
const SHORTEST_SLEEP: Nanoseconds = Nanoseconds::from_nanos(50_000);
/// How often the relation of the clocks is read anew.
const CLOCK_RELATION_AGE: Nanoseconds = Nanoseconds::from_nanos(1_000_000);
/// How often a link that is down is tried again.
const LINK_RETRY: Nanoseconds = Nanoseconds::from_nanos(1_000_000);
/// Pods that a worker serves at most.
pub const MAX_PLACES: usize = tsn_common::MAX_PODS as usize;

/// What a worker is made of.
pub struct WorkerParts<P: Port> {
    /// The port that frames leave by.
    pub uplink: P,
    /// Queues and link.
    pub scheduler: SchedulerParameters,
    /// The gates at the start.
    pub gates: CompiledGates,
    /// Frames to measure the lead with before anything else; 0 for none.
    pub lead_probes: u32,
    /// Busy or adaptive.
    pub poll_mode: PollMode,
    /// How long before a moment the worker stops to sleep.
    pub spin_before: Nanoseconds,
    /// What counts as a stall.
    pub stall_threshold: Nanoseconds,
    /// What the clock's state does to the frames, at the start.
    pub clock_action: ClockAction,
    /// The sign of life.
    pub heartbeat: Box<dyn Heartbeat>,
    /// How often it must be given.
    pub heartbeat_interval: Nanoseconds,
    /// Commands of the control plane.
    pub commands: Receiver<Command<P>>,
    /// Schedules that are no longer needed, for the control plane to free.
    pub retired: Sender<Box<Schedule>>,
    /// Woken when a command waits.
    pub waker: sleep::Waker,
}

/// The worker. Lives in its thread: frames in its queues share counters that only one thread may touch.
pub struct Worker<P: Port> {
    scheduler: Scheduler<Held<P::Frame>>,
    uplink: P,
    uplink_state: UplinkSnapshot,
    carrier: bool,
    link_tried_at: TaiTime,
    lead: Lead,
    stalls: StallLog,
    places: Vec<PodPlace<P>>,
    next_place: usize,
    clocks: ClockRelation,
    clocks_read_at: TaiTime,
    clock_action: ClockAction,
    gates_as_configured: (GateStates, bool),
    heartbeat: Box<dyn Heartbeat>,
    heartbeat_interval: Nanoseconds,
    beaten_at: TaiTime,
    commands: Receiver<Command<P>>,
    retired: Sender<Box<Schedule>>,
    sleeper: Sleeper,
    sleeps: u64,
    poll_mode: PollMode,
    spin_before: Nanoseconds,
    seen_at: TaiTime,
    draining: Option<(TaiTime, tokio::sync::oneshot::Sender<u64>)>,
}

impl<P: Port> Worker<P> {
    /// Prepares everything that allocates, and measures the lead.
    pub fn new(parts: WorkerParts<P>) -> Self {
        let mut uplink = parts.uplink;
        let lead = Lead::measure(&mut uplink, parts.lead_probes);
        let now = tai_now();
        let mut scheduler = Scheduler::new(parts.scheduler);
        scheduler.set_gate_margins(margins(lead, parts.stall_threshold));
        let on_wire = now + lead.get();
        scheduler.set_enabled(on_wire, parts.gates.enabled);
        if let Some(schedule) = parts.gates.schedule {
            drop(scheduler.configure(on_wire, schedule).superseded);
        }
        let clock_action = parts.clock_action;
        Self {
            scheduler,
            uplink,
            uplink_state: UplinkSnapshot {
                up: true,
                lead_probes: lead.observations().into(),
                ..UplinkSnapshot::default()
            },
            carrier: true,
            link_tried_at: now,
            lead,
            stalls: StallLog::new(parts.stall_threshold, lead.get()),
            places: Vec::with_capacity(MAX_PLACES),
            next_place: 0,
            clocks: ClockRelation {
                tai_minus_monotonic_ns: tai_minus_monotonic_ns(),
                tai_minus_utc_ns: clock_action.tai_minus_utc_ns,
            },
            clocks_read_at: now,
            clock_action,
            gates_as_configured: (parts.gates.admin_gate_states, parts.gates.enabled),
            heartbeat: parts.heartbeat,
            heartbeat_interval: parts.heartbeat_interval,
            beaten_at: TaiTime::from_nanos(0),
            commands: parts.commands,
            retired: parts.retired,
            sleeper: Sleeper::new(parts.waker, MAX_PLACES),
            sleeps: 0,
            poll_mode: parts.poll_mode,
            spin_before: parts.spin_before,
            seen_at: now,
            draining: None,
        }
    }

    /// Works until it has been drained or the control plane is gone.
    pub fn run(mut self) {
        self.seen_at = tai_now();
        loop {
            let now = tai_now();
            self.stalls.observe(self.seen_at, now);
            self.seen_at = now;
            if now - self.beaten_at >= self.heartbeat_interval {
                self.heartbeat.beat();
                self.beaten_at = now;
            }
            if self.transmit(now) {
                continue;
            }
            let next = self.next_moment(now);
            if next.is_some_and(|next| next <= now + HOLD_STILL) {
                std::hint::spin_loop();
                continue;
            }
            let received = self.receive(now);
            match self.commands.try_recv() {
                Ok(command) => self.obey(command, now),
                Err(crossbeam_channel::TryRecvError::Disconnected) => return,
                Err(crossbeam_channel::TryRecvError::Empty) if received == 0 => {
                    if self.is_drained(now, next) {
                        return;
                    }
                    self.rest(now, next);
                }
                Err(crossbeam_channel::TryRecvError::Empty) => {}
            }
        }
    }

    /// When a frame that is decided on now is on the wire: the scheduler's time.
    fn on_wire(&self, now: TaiTime) -> TaiTime {
        now + self.lead.get()
    }

    /// When the next decision may have to be taken.
    fn next_moment(&mut self, now: TaiTime) -> Option<TaiTime> {
        let next = self.scheduler.next_event(self.on_wire(now));
        next.map(|next| next - self.lead.get())
    }

    /// Sends the frame whose moment it is, if there is one.
    fn transmit(&mut self, now: TaiTime) -> bool {
        let Some(departure) = self.scheduler.dequeue(self.on_wire(now)) else {
            return false;
        };
        if self.clock_action.dropped_classes & 1 << departure.class.as_u8() != 0 {
            self.uplink_state.dropped_clock_lost += 1;
            return true;
        }
        if !self.carrier || !self.uplink_is_up(now) {
            self.uplink_state.dropped_link_down += 1;
            return true;
        }
        let Departure {
            frame,
            class,
            stream,
            launch,
            start,
            end,
            gate_close,
            late_by,
            ..
        } = departure;
        if self.uplink.transmit(frame.release()).is_err() {
            self.uplink_state.dropped_ring_full += 1;
            // The ring is full of frames that the device has not been told of or cannot send.
            self.uplink_state.up = self.uplink.wake().is_ok();
            return true;
        }
        self.uplink_state.up = self.uplink.wake().is_ok();
        self.link_tried_at = now;
        let left = tai_now();
        self.seen_at = left;

        let launch_time = match launch {
            Launch::At(time) => Some(time),
            Launch::By(_) | Launch::None => None,
        };
        let stalled = self.stalls.touches(launch_time, now, left);
        self.lead.observe(left - now);
        self.scheduler
            .set_gate_margins(margins(self.lead, self.stalls.threshold()));
        self.scheduler
            .departed(class, left + (end - start), gate_close);
        let (place, stream) = untag(stream);
        if let Some(pod) = self
            .places
            .get_mut(place)
            .and_then(|place| place.pod.as_mut())
        {
            let error_ns = launch_time.map(|time| left.as_nanos() as i64 - time.as_nanos() as i64);
            pod.count_sent(stream, late_by, stalled, error_ns);
        }
        true
    }

    fn uplink_is_up(&mut self, now: TaiTime) -> bool {
        if !self.uplink_state.up && now - self.link_tried_at >= LINK_RETRY {
            self.link_tried_at = now;
            self.uplink_state.up = self.uplink.wake().is_ok();
        }
        self.uplink_state.up
    }

    /// Takes frames from the pods in turn, and queues them. How many frames came.
    fn receive(&mut self, now: TaiTime) -> usize {
        if now - self.clocks_read_at >= CLOCK_RELATION_AGE {
            self.clocks.tai_minus_monotonic_ns = tai_minus_monotonic_ns();
            self.clocks_read_at = now;
        }
        let mut frames = 0;
        for _ in 0..self.places.len() {
            let index = self.next_place;
            self.next_place = if index + 1 == self.places.len() {
                0
            } else {
                index + 1
            };
            for _ in 0..RECEIVE_BURST_PER_POD {
                match self.places[index].receive(index, self.clocks, now) {
                    Received::Nothing => break,
                    Received::Dropped => frames += 1,
                    Received::Arrival(arrival) => {
                        frames += 1;
                        let (_, stream) = untag(arrival.stream);
                        if self.scheduler.enqueue(self.on_wire(now), arrival).is_err()
                            && let Some(pod) = &mut self.places[index].pod
                        {
                            pod.count_refused(stream);
                        }
                    }
                }
            }
            if frames >= RECEIVE_BURST {
                break;
            }
        }
        frames
    }

    /// Nothing to do until `next`, a command, or a frame: sleeps if that is worth it.
    fn rest(&mut self, now: TaiTime, next: Option<TaiTime>) {
        if let Some(schedule) = self.scheduler.take_retired() {
            // Freed here only if the control plane has not taken the last sixteen.
            let _ = self.retired.try_send(schedule);
        }
        // Nothing waits to be sent, so this only takes back the buffers of what has left.
        self.uplink_state.up &= self.uplink.wake().is_ok();
        if self.poll_mode == PollMode::Busy {
            std::hint::spin_loop();
            return;
        }
        let until_beat = self.beaten_at + self.heartbeat_interval;
        let until = next.map_or(until_beat, |next| until_beat.min(next - self.spin_before));
        if until <= now + SHORTEST_SLEEP {
            std::hint::spin_loop();
            return;
        }
        self.sleeps += 1;
        self.sleeper.sleep(until - now);
        // Waking up late is what `spin_before` is for; only what exceeds it is a stall.
        let woken = tai_now();
        self.seen_at = woken.min(until + self.spin_before);
    }

    fn obey(&mut self, command: Command<P>, now: TaiTime) {
        // An answer that nobody waits for any more is no concern of the worker's, except that a port must not be
        // closed here; the control plane waits for that one without a limit.
        match command {
            Command::AddPod(pod, answer) => {
                let _ = answer.send(self.add_pod(*pod));
            }
            Command::RemovePod(index, answer) => {
                let _ = answer.send(self.remove_pod(index));
            }
            Command::ChangeGates(change, answer) => {
                let _ = answer.send(self.change_gates(change, now));
            }
            Command::SetLinkSpeed(speed) => self.scheduler.set_link_speed(speed),
            Command::SetCarrier(carrier) => self.carrier = carrier,
            Command::SetClockAction(action) => self.set_clock_action(action, now),
            Command::Snapshot(mut snapshot, answer) => {
                self.fill(&mut snapshot, now);
                let _ = answer.send(snapshot);
            }
            Command::Drain(limit, answer) => {
                let limit = Nanoseconds::from_nanos(limit.as_nanos() as u64);
                self.draining = Some((now + limit, answer));
            }
        }
    }

    fn add_pod(&mut self, pod: PodPort<P>) -> Result<usize, Refusal> {
        let place = PodPlace::new(pod);
        let index = match self.places.iter().position(PodPlace::is_free) {
            Some(index) => {
                self.places[index] = place;
                index
            }
            None if self.places.len() < MAX_PLACES => {
                self.places.push(place);
                self.places.len() - 1
            }
            None => return Err(Refusal::NoPlace(MAX_PLACES)),
        };
        self.watch();
        Ok(index)
    }

    fn remove_pod(&mut self, index: usize) -> Result<P, Refusal> {
        let pod = self
            .places
            .get_mut(index)
            .and_then(|place| place.pod.take());
        self.watch();
        pod.map(PodPort::into_port).ok_or(Refusal::NoPod(index))
    }

    fn watch(&mut self) {
        let ports = self
            .places
            .iter()
            .filter_map(|place| place.pod.as_ref()?.port().readable());
        self.sleeper.watch(ports);
    }

    fn change_gates(&mut self, change: GateChange, now: TaiTime) -> Option<tsn_core::ConfigChange> {
        self.gates_as_configured = (change.admin_gate_states, change.enabled);
        self.apply_gate_states(now);
        let on_wire = self.on_wire(now);
        change
            .schedule
            .map(|schedule| self.scheduler.configure(on_wire, schedule))
    }

    fn set_clock_action(&mut self, action: ClockAction, now: TaiTime) {
        self.clocks.tai_minus_utc_ns = action.tai_minus_utc_ns;
        self.clock_action = action;
        self.apply_gate_states(now);
    }

    fn apply_gate_states(&mut self, now: TaiTime) {
        let (states, enabled) = if self.clock_action.open_gates {
            (GateStates::ALL_OPEN, false)
        } else {
            self.gates_as_configured
        };
        self.scheduler.set_admin_gate_states(states);
        if self.scheduler.gates().is_enabled() != enabled {
            self.scheduler.set_enabled(self.on_wire(now), enabled);
        }
    }

    /// Whether a drain was asked for and nothing is left, or its time is over.
    fn is_drained(&mut self, now: TaiTime, next: Option<TaiTime>) -> bool {
        if self
            .draining
            .as_ref()
            .is_none_or(|(until, _)| next.is_some() && now < *until)
        {
            return false;
        }
        if let Some((_, answer)) = self.draining.take() {
            let mut dropped = 0;
            self.scheduler.drain(|_, _, _| dropped += 1);
            let _ = answer.send(dropped);
        }
        true
    }

    fn fill(&self, snapshot: &mut Snapshot, now: TaiTime) {
        let gates = self.scheduler.gates();
        snapshot.at = now;
        snapshot.lead = self.lead.get();
        snapshot.lead_observations = self.lead.observations();
        snapshot.gates = GatesSnapshot {
            states: gates.states(now),
            config_change_time: gates.config_change_time(),
            config_change_error: gates.config_change_error(),
            config_pending: gates.config_pending(now),
        };
        snapshot.classes = TrafficClass::ALL.map(|class| *self.scheduler.counters(class));
        snapshot.uplink = UplinkSnapshot {
            port: self.uplink.counters(),
            up: self.carrier && self.uplink_state.up,
            ..self.uplink_state
        };
        snapshot.stalls = self.stalls.totals();
        snapshot.recent_stalls.clear();
        self.stalls.copy_recent(&mut snapshot.recent_stalls);
        snapshot.sleeps = self.sleeps;
        snapshot.pods.clear();
        let places = self
            .places
            .iter()
            .enumerate()
            .take(snapshot.pods.capacity());
        snapshot.pods.extend(places.filter_map(|(index, place)| {
            let (port, drops, streams) = place.pod.as_ref()?.counters();
            let mut pod = PodSnapshot {
                place: index as u32,
                port,
                drops,
                waiting: place.waiting(),
                ..PodSnapshot::default()
            };
            pod.streams
                .iter_mut()
                .zip(streams)
                .for_each(|(to, from)| *to = *from);
            Some(pod)
        }));
    }
}

/// A frame that no stall touched is on the wire between the decision and the lead plus a stall's threshold after it;
/// all of that must lie inside its gate's window.
fn margins(lead: Lead, stall_threshold: Nanoseconds) -> GateMargins {
    GateMargins {
        after_open: lead.get(),
        before_close: stall_threshold,
    }
}

/// How long a snapshot is waited for before the worker counts as hung.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(1);
