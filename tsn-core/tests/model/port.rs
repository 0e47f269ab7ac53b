//! The scheduler, slow and obvious: lists that are scanned, at every instant at which anything
//! could change.

use tsn_core::{ClassCounters, DropCause, LateAction, Launch, TrafficClass, Window};

use crate::gates::{ModelGates, Timeline, first_after, next_change, states_at};
use crate::generate::{Action, Frame, Run, arrival};

/// Frame number and the instant at which it starts.
pub type Departures = Vec<(usize, u64)>;

pub struct ModelPort<'a> {
    run: &'a Run,
    gates: ModelGates,
    timeline: Timeline,
    queued: Vec<(usize, Frame)>,
    busy_until: u64,
    pub departures: Departures,
    /// Frame number and cause.
    pub drops: Vec<(usize, DropCause)>,
}

/// Runs all actions and tries at every candidate instant up to the horizon.
pub fn simulate(run: &Run) -> ModelPort<'_> {
    let mut port = ModelPort {
        run,
        gates: ModelGates::new(run.admin),
        timeline: vec![(run.start, run.admin)],
        queued: Vec::new(),
        busy_until: 0,
        departures: Vec::new(),
        drops: Vec::new(),
    };
    let mut actions = run.actions.iter().enumerate().peekable();
    let mut now = run.start;
    loop {
        while let Some((number, (_, action))) = actions.next_if(|(_, (t, _))| *t <= now) {
            port.act(now, number, action);
        }
        port.gates.advance(now);
        if port.busy_until <= now {
            port.dequeue(now);
        }
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
    fn act(&mut self, now: u64, number: usize, action: &Action) {
        match action {
            Action::Configure(parameters) => self.gates.configure(now, parameters.clone()),
            Action::SetEnabled(enabled) => self.gates.set_enabled(now, *enabled),
            Action::SetAdmin(states) => {
                self.gates.advance(now);
                self.gates.admin = *states;
            }
            Action::Arrive(frame) => {
                self.gates.advance(now);
                return self.arrive(now, number, *frame);
            }
        }
        self.timeline = self.gates.timeline(now, self.run.query_horizon);
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
            .is_some_and(|limit| frame.length > limit + 14)
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
        for class in TrafficClass::ALL.into_iter().rev() {
            if self.gates.longest_window(class, now) == Window::Never {
                self.drop_where(now, |frame| frame.class == class);
            }
            if !states_at(&self.timeline, now).is_open(class) {
                continue;
            }
            let close = next_change(&self.timeline, class, now);
            for kind in 0..3 {
                while let Some((number, frame)) = self.head(class, kind, now) {
                    if self.is_late(&frame, now) || self.never_sent(&frame, now).is_some() {
                        let queued = self.queued.len();
                        self.drop_where(now, |other| *other == frame);
                        assert!(self.queued.len() < queued);
                    } else if close.is_none_or(|close| now + self.wire_time(&frame) <= close) {
                        self.queued.retain(|(other, _)| *other != number);
                        self.departures.push((number, now));
                        self.busy_until = now + self.wire_time(&frame);
                        return;
                    } else {
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
        match self.gates.longest_window(frame.class, now) {
            Window::Never => Some(DropCause::GateNeverOpens),
            Window::Longest(window) if self.wire_time(frame) > window.as_nanos() => {
                Some(DropCause::NeverFits)
            }
            _ => None,
        }
    }

    fn wire_time(&self, frame: &Frame) -> u64 {
        let bits = u64::from(frame.length.max(60) + self.run.overhead) * 8;
        (bits * 1_000).div_ceil(u64::from(self.run.mbps))
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
            .get(first_after(&self.timeline, now))
            .map(|(t, _)| *t);
        let candidates = launches
            .chain(expiries)
            .chain(change)
            .chain([self.busy_until]);
        candidates.filter(|t| *t > now).min()
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
