//! The thread that joins the scheduler to the ports: receives, classifies, queues, and transmits what the gates allow.
//!
//! In the steady state it takes no lock, allocates nothing, copies no payload and makes no system call but the
//! uplink's wake-up (and, in adaptive mode, its own sleep).

mod ahead;
#[cfg(test)]
mod ahead_tests;
#[cfg(test)]
mod bed;
mod burst;
pub mod capture;
pub mod command;
pub mod deliver;
#[cfg(test)]
mod deliver_tests;
pub mod forward;
pub mod histogram;
pub mod lead;
#[cfg(test)]
mod liveness_tests;
mod obey;
pub mod pod;
mod quantile;
mod receive;
pub mod sleep;
pub mod snapshot;
pub mod stall;
mod stations;
pub mod thread;
mod transmit;
pub mod worst;

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use tsn_core::{GateMargins, GateStates, Nanoseconds, Scheduler, SchedulerParameters, TaiTime};
use tsn_port::{Heartbeat, Port};

use crate::clock::{tai_minus_monotonic_ns, tai_now};
use crate::config::{CompiledGates, Marking, PollMode};
use burst::Burst;
use capture::CaptureTap;
use command::{ClockAction, Command, Retired};
use deliver::Delivery;
use forward::Forwarder;
use lead::Lead;
use pod::{ClockRelation, Held, PodPlace};
use receive::PassLimits;
use sleep::Sleeper;
use snapshot::UplinkSnapshot;
use stall::StallLog;

/// With the next moment nearer than this, the worker prepares what is to leave at a launch time then, and else does
/// nothing but look at the clock. A pass over 128 silent ports and the way through 100,000 queued frames take less
/// together.
const HOLD_STILL: Nanoseconds = Nanoseconds::from_nanos(6_000);
/// With the next moment nearer than this, commands wait, since some take their time, and few frames are taken in a pass.
const QUIET_DISTANCE: Nanoseconds = Nanoseconds::from_nanos(100_000);
/// But no longer than this.
const LONGEST_COMMAND_WAIT: Nanoseconds = Nanoseconds::from_nanos(5_000_000);
/// How long frames may leave one after the other without a look at the ports.
const LONGEST_BACKLOG: Nanoseconds = Nanoseconds::from_nanos(20_000);
/// Sleeping for less than this costs more than it saves.
const SHORTEST_SLEEP: Nanoseconds = Nanoseconds::from_nanos(50_000);
/// The longest sleep with a port that cannot end it and has to be looked at. The frame that comes meanwhile waits for
/// half of it in the mean, as long as a descriptor takes to wake the worker; a sleep that is shorter hardly saves
/// anything.
const POLL_INTERVAL: Nanoseconds = Nanoseconds::from_nanos(100_000);
/// How often the relation of the clocks is read anew.
const CLOCK_RELATION_AGE: Nanoseconds = Nanoseconds::from_nanos(1_000_000);
const LONG_AGO: TaiTime = TaiTime::from_nanos(0);
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
    /// What the classes write into the headers around frames of overlay pods.
    pub markings: [Marking; 8],
    /// Whether the link has its carrier.
    pub carrier: bool,
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
    /// What is no longer needed, for the control plane to free.
    pub retired: Sender<Retired<P>>,
    /// Woken when a command waits.
    pub waker: sleep::Waker,
}

/// The worker. Lives in its thread: frames in its queues share counters that only one thread may touch.
pub struct Worker<P: Port> {
    scheduler: Scheduler<Held<P::Frame>>,
    uplink: P,
    /// See `Capabilities::waits_for_wake`.
    waits_for_wake: bool,
    /// Whether the uplink's device holds frames until their launch times.
    device_holds: bool,
    uplink_state: UplinkSnapshot,
    /// Why the last wake-up of the uplink failed, if it did.
    uplink_failure: Option<P::Error>,
    carrier: bool,
    lead_probes: u32,
    link_tried_at: TaiTime,
    lead: Lead,
    burst: Burst<P::Frame>,
    decided_up_to: TaiTime,
    stalls: StallLog,
    capture: Option<CaptureTap>,
    places: Vec<PodPlace<P>>,
    delivery: Delivery<P::Frame>,
    forwarder: Forwarder,
    next_place: usize,
    clocks: ClockRelation,
    clocks_read_at: TaiTime,
    clock_action: ClockAction,
    clock_steps: u64,
    gates_as_configured: (GateStates, bool),
    heartbeat: Box<dyn Heartbeat>,
    heartbeat_interval: Nanoseconds,
    beaten_at: TaiTime,
    received_at: TaiTime,
    obeyed_at: TaiTime,
    commands: Receiver<Command<P>>,
    retired: Sender<Retired<P>>,
    sleeper: Sleeper,
    /// What the next pass may take.
    pass: PassLimits,
    /// Whether frames may arrive at a port that has no descriptor to tell of it.
    has_polled_ports: bool,
    sleeps: u64,
    poll_mode: PollMode,
    spin_before: Nanoseconds,
    seen_at: TaiTime,
    draining: Option<(Instant, tokio::sync::oneshot::Sender<u64>)>,
}

impl<P: Port> Worker<P> {
    /// Prepares everything that allocates, and measures the lead.
    pub fn new(parts: WorkerParts<P>) -> Self {
        let mut uplink = parts.uplink;
        let hardware = uplink.capabilities().hardware_launch;
        // What a device needs to know beforehand is not to be measured.
        let lead_probes = if hardware.is_some() {
            0
        } else {
            parts.lead_probes
        };
        let lead = match hardware {
            Some(device) => Lead::of_device(device),
            None => Lead::measure(&mut uplink, if parts.carrier { lead_probes } else { 0 }),
        };
        let receives = uplink.levels().receive_slots > 0;
        let now = tai_now();
        let mut scheduler = Scheduler::new(parts.scheduler);
        if hardware.is_none() {
            scheduler.set_gate_margins(margins(lead, parts.stall_threshold));
        }
        let on_wire = now + lead.get();
        scheduler.set_enabled(on_wire, parts.gates.enabled);
        if let Some(schedule) = parts.gates.schedule {
            drop(scheduler.configure(on_wire, schedule).superseded);
        }
        let clock_action = parts.clock_action;
        let mut worker = Self {
            scheduler,
            waits_for_wake: uplink.capabilities().waits_for_wake,
            uplink,
            uplink_state: UplinkSnapshot {
                up: true,
                lead_probes: if hardware.is_none() {
                    lead.observations().into()
                } else {
                    0
                },
                hardware_launch: hardware.is_some(),
                ..UplinkSnapshot::default()
            },
            uplink_failure: None,
            carrier: parts.carrier,
            device_holds: hardware.is_some(),
            lead_probes,
            link_tried_at: now,
            lead,
            burst: Burst::new(lead.get()),
            decided_up_to: LONG_AGO,
            stalls: StallLog::new(parts.stall_threshold, lead.get()),
            capture: None,
            places: Vec::with_capacity(MAX_PLACES),
            delivery: Delivery::new(receives, MAX_PLACES),
            forwarder: Forwarder::new(parts.markings),
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
            clock_steps: 0,
            beaten_at: LONG_AGO,
            received_at: LONG_AGO,
            obeyed_at: LONG_AGO,
            commands: parts.commands,
            retired: parts.retired,
            sleeper: Sleeper::new(parts.waker, MAX_PLACES + 1),
            pass: PassLimits::NEAR,
            has_polled_ports: false,
            sleeps: 0,
            poll_mode: parts.poll_mode,
            spin_before: parts.spin_before,
            seen_at: now,
            draining: None,
        };
        worker.watch();
        worker
    }

    /// Works until it has been drained or the control plane is gone.
    pub fn run(mut self) {
        self.seen_at = tai_now();
        loop {
            let now = tai_now();
            if now < self.seen_at || now - self.seen_at > self.stalls.threshold() {
                self.look_into_gap(now);
            }
            self.seen_at = now;
            if now - self.beaten_at >= self.heartbeat_interval {
                self.heartbeat.beat();
                self.beaten_at = now;
            }
            // While a backlog leaves, the ports are still looked at now and then.
            let may_wait = now - self.received_at < LONGEST_BACKLOG;
            if self.transmit(now) && may_wait {
                continue;
            }
            let next = self.next_moment(now);
            if let Some(next) = next
                && may_wait
                && !self.device_holds
                && next <= now + HOLD_STILL
            {
                self.hold_still(next);
                continue;
            }
            let is_quiet = next.is_none_or(|next| next > now + QUIET_DISTANCE);
            self.pass = if is_quiet {
                PassLimits::QUIET
            } else {
                PassLimits::NEAR
            };
            let received = self.receive(now);
            self.received_at = now;
            if self.is_drained(received, next) {
                return;
            }
            if is_quiet || now - self.obeyed_at > LONGEST_COMMAND_WAIT {
                match self.commands.try_recv() {
                    Ok(command) => {
                        self.obey(command, now);
                        self.obeyed_at = tai_now();
                        // Commands take their time while nothing is due. Past that it was lost to frames as in any stall.
                        if next.is_some_and(|next| self.obeyed_at > next + self.stalls.threshold())
                        {
                            self.stalls.observe(now, self.obeyed_at);
                        }
                        // Never back: a clock that was set back is seen in the next turn.
                        self.seen_at = self.obeyed_at.max(now);
                        continue;
                    }
                    Err(TryRecvError::Disconnected) => return,
                    Err(TryRecvError::Empty) => self.obeyed_at = now,
                }
            }
            if received == 0 {
                self.rest(now, next);
            }
        }
    }

    /// The next moment is so near that nothing else is begun. What leaves at a launch time is prepared; all else is
    /// decided on when its moment has come, since it is the gates that it must not miss.
    fn hold_still(&mut self, next: TaiTime) {
        let on_wire = self.on_wire(next);
        if self
            .scheduler
            .next_launch()
            .is_some_and(|time| time <= on_wire)
        {
            self.transmit_at(next);
        } else {
            std::hint::spin_loop();
        }
    }

    /// Looks at the clock until `moment` has come. The time then, and whether a stall came first. When the clock is set
    /// back, the moment has lost its meaning, and counts as come.
    fn spin_until(&mut self, moment: TaiTime) -> (TaiTime, bool) {
        let stalls_before = self.stalls.totals().count;
        loop {
            let (before, now) = (self.seen_at, tai_now());
            if now < before || now - before > self.stalls.threshold() {
                self.look_into_gap(now);
            }
            self.seen_at = now;
            if now >= moment || now < before {
                return (now, self.stalls.totals().count > stalls_before);
            }
            std::hint::spin_loop();
        }
    }

    /// The clock is not where it was expected to be: somebody has set it, or the worker did not run.
    fn look_into_gap(&mut self, now: TaiTime) {
        let offset_ns = tai_minus_monotonic_ns();
        let moved_ns = offset_ns.abs_diff(self.clocks.tai_minus_monotonic_ns);
        let gap_ns = now.as_nanos().abs_diff(self.seen_at.as_nanos());
        self.clocks.tai_minus_monotonic_ns = offset_ns;
        if now >= self.seen_at && moved_ns < gap_ns / 2 {
            self.stalls.observe(self.seen_at, now);
            return;
        }
        self.clock_steps += 1;
        if now < self.seen_at {
            self.decided_up_to = LONG_AGO;
            self.scheduler.set_back(self.on_wire(now));
            // What was to happen some time after an instant that is in the future again happens now.
            self.beaten_at = LONG_AGO;
            self.received_at = LONG_AGO;
            self.obeyed_at = LONG_AGO;
            self.clocks_read_at = LONG_AGO;
            self.link_tried_at = LONG_AGO;
        }
    }

    /// When a frame that is decided on now is on the wire: the scheduler's time, which does not run backwards though
    /// the last frames of a burst may leave sooner than they were thought to.
    fn on_wire(&self, now: TaiTime) -> TaiTime {
        self.decided_up_to.max(now + self.lead.get() + self.slack())
    }

    /// When the next decision may have to be taken.
    fn next_moment(&mut self, now: TaiTime) -> Option<TaiTime> {
        let next = self.scheduler.next_event(self.on_wire(now));
        next.map(|next| next - self.lead.get() - self.slack() - self.slack())
    }

    /// Nothing to do until `next`, a command, or a frame: sleeps if that is worth it.
    fn rest(&mut self, now: TaiTime, next: Option<TaiTime>) {
        if let Some(schedule) = self.scheduler.take_retired() {
            self.retire(Retired::Schedule(schedule));
        }
        // Takes back the buffers of what has left, and tries what a link that was down still holds.
        self.wake_uplink();
        self.wake_idle_pod();
        if self.poll_mode == PollMode::Busy {
            std::hint::spin_loop();
            return;
        }
        let until_beat = self.beaten_at + self.heartbeat_interval;
        let mut until = next.map_or(until_beat, |next| until_beat.min(next - self.spin_before));
        if self.has_polled_ports {
            until = until.min(now + POLL_INTERVAL);
        }
        if let Some((end, _)) = &self.draining {
            let left_ns = end.saturating_duration_since(Instant::now()).as_nanos() as u64;
            until = until.min(now + Nanoseconds::from_nanos(left_ns));
        }
        if until <= now + SHORTEST_SLEEP {
            std::hint::spin_loop();
            return;
        }
        self.sleeps += 1;
        self.sleeper.sleep(until - now);
        // Waking up late is what `spin_before` is for; only what exceeds it is a stall. And never back: a clock that was
        // set back is seen in the next turn.
        let woken = tai_now();
        self.seen_at = woken.min(until + self.spin_before).max(now);
    }

    /// Whether a drain was asked for and nothing is left, or its time is over.
    fn is_drained(&mut self, received: usize, next: Option<TaiTime>) -> bool {
        let Some((until, _)) = &self.draining else {
            return false;
        };
        if (received > 0 || next.is_some()) && Instant::now() < *until {
            return false;
        }
        let mut dropped = 0;
        self.scheduler.drain(|_| dropped += 1);
        if let Some((_, answer)) = self.draining.take() {
            let _ = answer.send(dropped);
        }
        true
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
