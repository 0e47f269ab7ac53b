//! The scheduler of one port: what leaves when.

mod classes;
mod next_event;
mod selection;

use crate::class::{GateStates, TrafficClass};
use crate::counters::{ClassCounters, DropCause};
use crate::frame::{Arrival, Dropped, Launch, Refused};
use crate::gates::{Close, ConfigChange, Gates, fits};
use crate::link::LinkSpeed;
use crate::queue::{ClassQueue, QueueKind, Queued, Terms};
use crate::schedule::{Schedule, Window};
use crate::time::{Nanoseconds, TaiTime};
use classes::ClassSet;

/// Destination, source and EtherType: what a frame without a tag has beside its SDU, in octets.
const HEADER_BYTES: u32 = 14;

/// Earlier than all that is asked for.
const UNKNOWN: TaiTime = TaiTime::from_nanos(0);

/// What a scheduler is made from.
#[derive(Clone, Debug)]
pub struct SchedulerParameters {
    /// The speed of the link.
    pub link_speed: LinkSpeed,
    /// Octets that a frame occupies on the wire beside its own, FCS included
    /// ([`ETHERNET_OVERHEAD_BYTES`](crate::ETHERNET_OVERHEAD_BYTES)).
    pub per_frame_overhead_bytes: u32,
    /// The gate states without a schedule (AdminGateStates).
    pub admin_gate_states: GateStates,
    /// The traffic classes, indexed by class.
    pub classes: [ClassParameters; TrafficClass::COUNT],
}

/// The parameters of one traffic class.
#[derive(Clone, Copy, Debug)]
pub struct ClassParameters {
    /// The most frames that the class queues.
    pub capacity: u32,
    /// The longest SDU ([`Arrival::sdu_bytes`]) in octets; `None` for no limit (queueMaxSDU, 8.6.8.4).
    pub queue_max_sdu_bytes: Option<u32>,
    /// Whether a frame without launch time or deadline is refused.
    pub launch_time_required: bool,
}

/// How far inside its gate's window a frame is kept, for a caller who cannot hit an instant
/// exactly. Without margins (the default) the scheduler is exact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GateMargins {
    /// A frame starts no sooner than this after its gate has opened. A caller who acts earlier by a
    /// lead, so that frames are on the wire in time, gives that lead: then no frame can be on the
    /// wire before its gate opens.
    pub after_open: Nanoseconds,
    /// A frame ends no later than this before its gate closes.
    pub before_close: Nanoseconds,
}

/// A Time-Aware Shaper for one port, generic over the caller's frame handle `F`, whose `Drop` gives
/// the frame's buffer back.
///
/// It never reads a clock. Every call that takes `now` expects it not to run backwards. After
/// construction nothing allocates or frees, except the schedules that the caller makes and takes
/// back.
#[derive(Debug)]
pub struct Scheduler<F> {
    gates: Gates,
    link_speed: LinkSpeed,
    per_frame_overhead_bytes: u32,
    margins: GateMargins,
    /// The link is occupied up to this instant.
    busy_until: TaiTime,
    /// Before this instant nothing happens unless something arrives or is configured; zero if that
    /// is not known.
    quiet_until: TaiTime,
    /// The classes that have frames queued.
    occupied: ClassSet,
    classes: [Class<F>; TrafficClass::COUNT],
}

#[derive(Debug)]
struct Class<F> {
    queue: ClassQueue<F>,
    counters: ClassCounters,
    queue_max_sdu_bytes: Option<u32>,
    launch_time_required: bool,
    /// The close of the window whose guard band was counted last.
    guard_band_until: TaiTime,
}

impl<F> Scheduler<F> {
    /// A scheduler with empty queues, an idle link and enabled gates without a schedule. Allocates
    /// all that the queues will ever need.
    pub fn new(parameters: SchedulerParameters) -> Self {
        Scheduler {
            gates: Gates::new(parameters.admin_gate_states),
            link_speed: parameters.link_speed,
            per_frame_overhead_bytes: parameters.per_frame_overhead_bytes,
            margins: GateMargins::default(),
            busy_until: TaiTime::from_nanos(0),
            quiet_until: UNKNOWN,
            occupied: ClassSet::EMPTY,
            classes: parameters.classes.map(|class| Class {
                queue: ClassQueue::new(class.capacity),
                counters: ClassCounters::default(),
                queue_max_sdu_bytes: class.queue_max_sdu_bytes,
                launch_time_required: class.launch_time_required,
                guard_band_until: TaiTime::from_nanos(0),
            }),
        }
    }

    /// Takes a frame in, or refuses it and gives it back with the cause, which is counted.
    ///
    /// # Errors
    ///
    /// Causes, in the order in which they are looked for: [`DropCause::SduTooLarge`],
    /// [`DropCause::MissingLaunchTime`], [`DropCause::LaunchTimePast`] or
    /// [`DropCause::DeadlineMissed`] (with [`LateAction::Drop`](crate::LateAction::Drop)),
    /// [`DropCause::GateNeverOpens`], [`DropCause::NeverFits`], [`DropCause::QueueFull`].
    pub fn enqueue(&mut self, now: TaiTime, arrival: Arrival<F>) -> Result<(), Refused<F>> {
        let gate_now = self.advance_gates(now);
        let window = self.usable_window(arrival.class, gate_now);
        let wire_time = self
            .link_speed
            .frame_time(arrival.length_bytes, self.per_frame_overhead_bytes);
        let class = &mut self.classes[arrival.class.index()];
        class.counters.received += 1;
        class.counters.received_bytes += u64::from(arrival.length_bytes);

        let terms = Terms {
            wire_time,
            launch: arrival.launch,
            late: arrival.late,
        };
        if let Some(cause) = class.refusal(arrival.sdu_bytes, &terms, now, window) {
            class.counters.count_drop(cause);
            return Err(Refused {
                frame: arrival.frame,
                cause,
            });
        }
        class.counters.queued += 1;
        class.queue.push(Queued {
            frame: arrival.frame,
            stream: arrival.stream,
            length_bytes: arrival.length_bytes,
            terms,
        });
        self.occupied.insert(arrival.class);
        self.quiet_until = UNKNOWN;
        Ok(())
    }

    /// Tells that the link is occupied longer than by what has departed: up to `until`.
    pub fn occupy(&mut self, until: TaiTime) {
        self.busy_until = self.busy_until.max(until);
        self.quiet_until = UNKNOWN;
    }

    /// Tells when a departure was measured to end on the wire. An end after the gate's close is
    /// counted as a transmission overrun (TransmissionOverrun, 8.6.8.4).
    pub fn departed(&mut self, class: TrafficClass, end_on_wire: TaiTime, gate_close: Close) {
        if Close::At(end_on_wire) > gate_close {
            self.classes[class.index()].counters.transmission_overruns += 1;
        }
    }

    /// Makes `schedule` the pending one: see [`Gates::configure`].
    pub fn configure(&mut self, now: TaiTime, schedule: Box<Schedule>) -> ConfigChange {
        self.quiet_until = UNKNOWN;
        self.gates
            .configure(now - self.margins.after_open, schedule)
    }

    /// Enables or disables the gates: see [`Gates::set_enabled`].
    pub fn set_enabled(&mut self, now: TaiTime, enabled: bool) {
        self.quiet_until = UNKNOWN;
        self.gates
            .set_enabled(now - self.margins.after_open, enabled);
    }

    /// Sets the gate states that are in force while no schedule is (AdminGateStates).
    pub fn set_admin_gate_states(&mut self, states: GateStates) {
        self.quiet_until = UNKNOWN;
        self.gates.set_admin_gate_states(states);
    }

    /// Tells that time was set back to `now`, which no other call expects: the link is idle, and the
    /// oper schedule goes on (see [`Gates::set_back`]).
    pub fn set_back(&mut self, now: TaiTime) {
        self.busy_until = self.busy_until.min(now);
        self.quiet_until = UNKNOWN;
        for class in &mut self.classes {
            class.guard_band_until = class.guard_band_until.min(now);
        }
        self.gates.set_back(now - self.margins.after_open);
    }

    /// Takes the schedule that was replaced or cancelled, to be freed outside the hot path.
    pub fn take_retired(&mut self) -> Option<Box<Schedule>> {
        self.gates.take_retired()
    }

    /// Sets the speed of the link for all frames that have not started yet. Takes time linear in
    /// the capacity of the queues.
    pub fn set_link_speed(&mut self, speed: LinkSpeed) {
        self.link_speed = speed;
        self.quiet_until = UNKNOWN;
        let overhead = self.per_frame_overhead_bytes;
        for queued in self
            .classes
            .iter_mut()
            .flat_map(|class| class.queue.iter_mut())
        {
            queued.terms.wire_time = speed.frame_time(queued.length_bytes, overhead);
        }
    }

    /// Keeps frames so far inside their gates' windows from now on. A frame that does not fit
    /// between the margins of its class's longest window is one that never fits.
    pub fn set_gate_margins(&mut self, margins: GateMargins) {
        if self.margins != margins {
            self.margins = margins;
            self.quiet_until = UNKNOWN;
        }
    }

    /// Moves the gates on to the instant at which a frame's gate must be open if it is to start at
    /// `now`, and gives that instant.
    #[inline]
    fn advance_gates(&mut self, now: TaiTime) -> TaiTime {
        let gate_now = now - self.margins.after_open;
        self.gates.advance(gate_now);
        gate_now
    }

    /// The longest window of `class` between its margins.
    #[inline]
    fn usable_window(&self, class: TrafficClass, gate_now: TaiTime) -> Window {
        match self.gates.longest_window(class, gate_now) {
            Window::Longest(window) => {
                let margins = self.margins.after_open + self.margins.before_close;
                Window::Longest(window - margins)
            }
            unlimited => unlimited,
        }
    }

    /// Whether a frame that starts at `start` ends in time before its gate's `close`.
    fn fits(&self, start: TaiTime, wire_time: Nanoseconds, close: Close) -> bool {
        fits(start, wire_time + self.margins.before_close, close)
    }

    /// Sets the longest SDU of `class` in octets, for frames that arrive from now on.
    pub fn set_queue_max_sdu(&mut self, class: TrafficClass, queue_max_sdu_bytes: Option<u32>) {
        self.classes[class.index()].queue_max_sdu_bytes = queue_max_sdu_bytes;
    }

    /// Empties all queues, counts every frame as [`DropCause::Flushed`] and hands it out.
    pub fn drain(&mut self, mut dropped: impl FnMut(Dropped<F>)) {
        for class in TrafficClass::ALL {
            for kind in QueueKind::ALL {
                while self.discard(class, kind, DropCause::Flushed, &mut dropped) {}
            }
        }
    }

    /// The gates.
    pub fn gates(&self) -> &Gates {
        &self.gates
    }

    /// The counters of `class`.
    pub fn counters(&self, class: TrafficClass) -> &ClassCounters {
        &self.classes[class.index()].counters
    }

    /// The number of frames that `class` queues now.
    pub fn queued(&self, class: TrafficClass) -> usize {
        self.counters(class).queued as usize
    }

    /// The longest SDU in octets, of a frame without a tag, that `class` accepts at `now`: what its longest window holds at
    /// the speed of the link, and no more than its queueMaxSDU. `None` where neither limits it;
    /// `Some(0)` where nothing fits.
    pub fn dynamic_max_sdu(&self, class: TrafficClass, now: TaiTime) -> Option<u32> {
        let by_window = match self.usable_window(class, now) {
            Window::Always => None,
            Window::Never => Some(0),
            Window::Longest(window) => Some(self.longest_sdu_in(window)),
        };
        let by_parameter = self.classes[class.index()].queue_max_sdu_bytes;
        by_window.into_iter().chain(by_parameter).min()
    }

    fn longest_sdu_in(&self, window: Nanoseconds) -> u32 {
        self.link_speed
            .longest_frame_in(window, self.per_frame_overhead_bytes)
            .map_or(0, |frame| frame - HEADER_BYTES)
    }

    fn discard(
        &mut self,
        class: TrafficClass,
        kind: QueueKind,
        cause: DropCause,
        dropped: &mut impl FnMut(Dropped<F>),
    ) -> bool {
        let Class {
            queue, counters, ..
        } = &mut self.classes[class.index()];
        let Some(queued) = queue.pop(kind) else {
            return false;
        };
        counters.queued -= 1;
        counters.count_drop(cause);
        self.left(class);
        dropped(Dropped {
            frame: queued.frame,
            class,
            stream: queued.stream,
            launch: queued.terms.launch,
            cause,
        });
        true
    }

    /// Notes that a frame has left the queue of `class`.
    fn left(&mut self, class: TrafficClass) {
        if self.classes[class.index()].queue.is_empty() {
            self.occupied.remove(class);
        }
        self.quiet_until = UNKNOWN;
    }
}

impl<F> Class<F> {
    /// A frame that could start at `now` does not end before `close`: counts the window's guard
    /// band once, also where a change of schedule moves the close later.
    fn hold_back(&mut self, now: TaiTime, close: Close) {
        let from = now.max(self.guard_band_until);
        if let Close::At(close) = close
            && close > from
        {
            self.counters.guard_band_holds += u64::from(from == now);
            self.counters.guard_band_ns += (close - from).as_nanos();
            self.guard_band_until = close;
        }
    }

    fn refusal(
        &self,
        sdu_bytes: u32,
        terms: &Terms,
        now: TaiTime,
        window: Window,
    ) -> Option<DropCause> {
        if self
            .queue_max_sdu_bytes
            .is_some_and(|limit| sdu_bytes > limit)
        {
            return Some(DropCause::SduTooLarge);
        }
        if self.launch_time_required && terms.launch == Launch::None {
            return Some(DropCause::MissingLaunchTime);
        }
        match terms.drop_cause(now, window) {
            Some(DropCause::Late) => Some(DropCause::LaunchTimePast),
            None if self.queue.is_full() => Some(DropCause::QueueFull),
            cause => cause,
        }
    }
}
