//! The scheduler, slow and obvious: lists that are scanned, at every instant at which anything
//! could change.

use tsn_core::{ClassCounters, DropCause, GateMargins, LateAction, Launch, TrafficClass, Window};

use crate::gates::{ModelGates, Timeline, first_after, next_change, states_at};
use crate::generate::{Action, Frame, Run, arrival};

/// Frame number and the instant at which it starts.
pub type Departures = Vec<(usize, u64)>;

/// The guard bands of a class.
#[derive(Clone, Copy, Default, Debug)]
pub struct GuardBands {
    pub holds: u64,
    pub ns: u64,
    /// The end of the last one.
    until: u64,
}

pub struct ModelPort<'a> {
    run: &'a Run,
    gates: ModelGates,
    timeline: Timeline,
    queued: Vec<(usize, Frame)>,
    busy_until: u64,
    mbps: u32,
    margins: GateMargins,
    guard_bands: [GuardBands; TrafficClass::COUNT],
    /// When the port was looked at, and how many actions had been done then.
    pub looks: Vec<(u64, usize)>,
    pub departures: Departures,
    /// Frame number and cause.
    pub drops: Vec<(usize, DropCause)>,
}

impl GuardBands {
    fn hold_back(&mut self, now: u64, close: Option<u64>) {
        let Some(close) = close.filter(|close| *close > now.max(self.until)) else {
            return;
        };
        if self.until <= now {
            self.holds += 1;
            self.until = now;
        }
        self.ns += close - self.until;
        self.until = close;
    }
}

/// Runs all actions and tries at every candidate instant up to the horizon.
pub fn simulate(run: &Run) -> ModelPort<'_> {
    let mut port = ModelPort {
        run,
        gates: ModelGates::new(run.admin),
        timeline: vec![(run.start, run.admin)],
        queued: Vec::new(),
        busy_until: 0,
        mbps: run.mbps,
        margins: GateMargins::default(),
        guard_bands: [GuardBands::default(); TrafficClass::COUNT],
        looks: Vec::new(),
        departures: Vec::new(),
        drops: Vec::new(),
    };
    let mut actions = run.actions.iter().enumerate().peekable();
    let mut now = run.start;
    let mut done = 0;
    loop {
        while let Some((number, (_, action))) = actions.next_if(|(_, (t, _))| *t <= now) {
            if matches!(action, Action::SetBack(_)) {
                port.look(now, number);
            }
            now = port.act(now, number, action);
            done = number + 1;
        }
        port.look(now, done);
        let next_action = actions.peek().map(|(_, (t, _))| *t);
        match port
            .next_candidate(now)
            .into_iter()
            .chain(next_action)
            .min()
        {
            Some(next) if next <= run.horizon => now = next,
            _ => return port,
        }
    }
}

impl ModelPort<'_> {
    /// Does `action`, and tells what time it is then.
    fn act(&mut self, mut now: u64, number: usize, action: &Action) -> u64 {
        let gate_now = self.gate_now(now);
        match action {
            Action::Configure(parameters) => self.gates.configure(gate_now, parameters.clone()),
            Action::SetEnabled(enabled) => self.gates.set_enabled(gate_now, *enabled),
            Action::SetAdmin(states) => self.gates.admin = *states,
            Action::SetBack(to) => {
                now = *to;
                self.busy_until = self.busy_until.min(now);
                self.gates.set_back(self.gate_now(now));
                for bands in &mut self.guard_bands {
                    bands.until = bands.until.min(now);
                }
            }
            Action::Occupy(ns) => self.busy_until = self.busy_until.max(now + ns),
            Action::SetLinkSpeed(mbps) => self.mbps = *mbps,
            Action::SetMargins(margins) => self.margins = *margins,
            Action::Arrive(frame) => {
                self.gates.advance(gate_now);
                self.arrive(now, number, *frame);
                return now;
            }
        }
        self.gates.advance(self.gate_now(now));
        self.timeline = self
            .gates
            .timeline(self.gate_now(now), self.run.query_horizon);
        now
    }

    /// Sends what is to be sent at `now`, after `done` actions.
    fn look(&mut self, now: u64, done: usize) {
        self.looks.push((now, done));
        self.gates.advance(self.gate_now(now));
        if self.busy_until <= now {
            self.dequeue(now);
        }
    }

    /// The instant at which a frame's gate must be open if it is to start at `now`.
    fn gate_now(&self, now: u64) -> u64 {
        now.saturating_sub(self.margins.after_open.as_nanos())
    }

    fn arrive(&mut self, now: u64, number: usize, frame: Frame) {
        let in_class = self
            .queued
            .iter()
            .filter(|(_, other)| other.class == frame.class)
            .count();
        let parameters = self.run.classes[frame.class.index()];
        let cause = if parameters
            .queue_max_sdu_bytes
            .is_some_and(|limit| frame.length > limit + frame.header)
        {
            Some(DropCause::SduTooLarge)
        } else if parameters.launch_time_required && frame.launch == Launch::None {
            Some(DropCause::MissingLaunchTime)
        } else if self.is_late(&frame, now) {
            Some(match frame.launch {
                Launch::By(_) => DropCause::DeadlineMissed,
                _ => DropCause::LaunchTimePast,
            })
        } else {
            let full = in_class == parameters.capacity as usize;
            self.never_sent(&frame, now)
                .or(full.then_some(DropCause::QueueFull))
        };
        match cause {
            Some(cause) => self.drops.push((number, cause)),
            None => self.queued.push((number, frame)),
        }
    }

    fn dequeue(&mut self, now: u64) {
        let gate_now = self.gate_now(now);
        for class in TrafficClass::ALL.into_iter().rev() {
            if self.gates.longest_window(class, gate_now) == Window::Never {
                self.drop_where(now, |frame| frame.class == class);
            }
            if !states_at(&self.timeline, gate_now).is_open(class) {
                continue;
            }
            let close = next_change(&self.timeline, class, gate_now);
            for kind in 0..3 {
                while let Some((number, frame)) = self.head(class, kind, now) {
                    if self.is_late(&frame, now) || self.never_sent(&frame, now).is_some() {
                        let queued = self.queued.len();
                        self.drop_where(now, |other| *other == frame);
                        assert!(self.queued.len() < queued);
                    } else if close.is_none_or(|close| self.end(now, &frame) <= close) {
                        self.queued.retain(|(other, _)| *other != number);
                        self.departures.push((number, now));
                        self.busy_until = now + self.wire_time(&frame);
                        return;
                    } else {
                        self.guard_bands[class.index()].hold_back(now, close);
                        break;
                    }
                }
            }
        }
    }

    /// The head of a class's launch (0), deadline (1) or plain (2) queue, if its time has come.
    fn head(&self, class: TrafficClass, kind: usize, now: u64) -> Option<(usize, Frame)> {
        let key = |frame: &Frame| match frame.launch {
            Launch::At(time) => (0, time.as_nanos()),
            Launch::By(time) => (1, time.as_nanos()),
            Launch::None => (2, 0),
        };
        let candidates = self
            .queued
            .iter()
            .filter(|(_, frame)| frame.class == class && key(frame).0 == kind);
        let (number, frame) = candidates.min_by_key(|(number, frame)| (key(frame), *number))?;
        let due = kind != 0 || key(frame).1 <= now;
        due.then_some((*number, *frame))
    }

    fn drop_where(&mut self, now: u64, gone: impl Fn(&Frame) -> bool) {
        let (dropped, kept) = self.queued.iter().partition(|(_, frame)| gone(frame));
        self.queued = kept;
        let dropped: Vec<(usize, Frame)> = dropped;
        for (number, frame) in dropped {
            let late = match frame.launch {
                Launch::By(_) => DropCause::DeadlineMissed,
                _ => DropCause::Late,
            };
            let never_sent = self.never_sent(&frame, now);
            let cause = if self.is_late(&frame, now) {
                Some(late)
            } else {
                never_sent
            };
            self.drops.push((number, cause.unwrap()));
        }
    }

    fn is_late(&self, frame: &Frame, now: u64) -> bool {
        let latest = frame.launch.time().map(|time| time + frame.tolerance);
        frame.action == LateAction::Drop && latest.is_some_and(|latest| latest.as_nanos() < now)
    }

    fn never_sent(&self, frame: &Frame, now: u64) -> Option<DropCause> {
        let margins = self.margins.after_open + self.margins.before_close;
        match self.gates.longest_window(frame.class, self.gate_now(now)) {
            Window::Never => Some(DropCause::GateNeverOpens),
            Window::Longest(window) if self.wire_time(frame) > (window - margins).as_nanos() => {
                Some(DropCause::NeverFits)
            }
            _ => None,
        }
    }

    /// What must not lie after the close of the gate.
    fn end(&self, now: u64, frame: &Frame) -> u64 {
        now + self.wire_time(frame) + self.margins.before_close.as_nanos()
    }

    fn wire_time(&self, frame: &Frame) -> u64 {
        let bits = u64::from(frame.length.max(60) + self.run.overhead) * 8;
        (bits * 1_000).div_ceil(u64::from(self.mbps))
    }

    fn next_candidate(&self, now: u64) -> Option<u64> {
        let launches = self
            .queued
            .iter()
            .filter_map(|(_, frame)| frame.launch.time())
            .map(|t| t.as_nanos());
        let expiries = self.queued.iter().filter_map(|(_, frame)| {
            Some(
                (frame.launch.time()? + frame.tolerance)
                    .as_nanos()
                    .saturating_add(1),
            )
        });
        let change = self
            .timeline
            .get(first_after(&self.timeline, self.gate_now(now)))
            .map(|(t, _)| *t + self.margins.after_open.as_nanos());
        let candidates = launches
            .chain(expiries)
            .chain(change)
            .chain([self.busy_until]);
        candidates.filter(|t| *t > now).min()
    }

    pub fn guard_bands(&self, class: TrafficClass) -> GuardBands {
        self.guard_bands[class.index()]
    }

    /// What the counters of a class must tell in the end.
    pub fn agrees_with(&self, class: TrafficClass, counters: &ClassCounters) -> bool {
        let frame = |number: usize| match &self.run.actions[number].1 {
            Action::Arrive(frame) => *frame,
            other => unreachable!("{other:?} is no arrival"),
        };
        let of_class = |number: usize| frame(number).class == class;
        let drops = |cause| {
            self.drops
                .iter()
                .filter(|(number, why)| of_class(*number) && *why == cause)
                .count()
        };
        let sent: Vec<_> = self
            .departures
            .iter()
            .filter(|(number, _)| of_class(*number))
            .collect();
        let late = |(number, start): (usize, u64)| {
            let frame = frame(number);
            frame
                .launch
                .time()
                .is_some_and(|time| (time + frame.tolerance).as_nanos() < start)
        };
        counters.is_conserved()
            && DropCause::ALL
                .into_iter()
                .all(|cause| counters.drops(cause) == drops(cause) as u64)
            && counters.sent == sent.len() as u64
            && counters.sent_late == sent.iter().filter(|sent| late(***sent)).count() as u64
            && counters.sent_bytes
                == sent
                    .iter()
                    .map(|(number, _)| u64::from(arrival(0, &frame(*number)).length_bytes))
                    .sum()
    }
}
