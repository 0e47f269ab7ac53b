//! The gates, slow and obvious: the state machines of 8.6.9 walked entry by entry with exact
//! fractions.

use tsn_core::{GateStates, ScheduleParameters, TrafficClass, Window};

#[derive(Clone, Debug)]
pub struct ModelGates {
    pub admin: u8,
    pub enabled: bool,
    oper: Option<Oper>,
    pending: Option<Pending>,
    pub config_change_error: u64,
    pub config_change_time: Option<u64>,
}

/// The schedule that runs.
#[derive(Clone, Debug)]
struct Oper {
    parameters: ScheduleParameters,
    windows: Windows,
    /// Its first cycle start.
    from: u64,
}

#[derive(Clone, Debug)]
struct Pending {
    parameters: ScheduleParameters,
    windows: Windows,
    config_change_time: u64,
    /// When the state machine learned of it.
    known: u64,
}

/// The longest windows, by class.
pub type Windows = [Window; TrafficClass::COUNT];

/// What is in force from an instant on, until something else comes into force.
#[derive(Debug)]
pub struct Phase {
    pub from: u64,
    /// The longest windows in it and all that follows.
    pub windows: Windows,
}

/// Gate states from an instant on.
pub type Timeline = Vec<(u64, u8)>;

impl ModelGates {
    pub fn new(admin: u8) -> Self {
        ModelGates {
            admin,
            enabled: true,
            oper: None,
            pending: None,
            config_change_error: 0,
            config_change_time: None,
        }
    }

    pub fn advance(&mut self, now: u64) {
        if !self.enabled {
            return;
        }
        if let Some(pending) = self
            .pending
            .take_if(|pending| pending.config_change_time <= now)
        {
            self.oper = Some(Oper {
                parameters: pending.parameters,
                windows: pending.windows,
                from: pending.config_change_time,
            });
        }
    }

    pub fn configure(&mut self, now: u64, parameters: ScheduleParameters) {
        self.advance(now);
        let running = self.enabled && self.oper.as_ref().is_some_and(|oper| oper.from <= now);
        if running && parameters.base_time.as_nanos() < now {
            self.config_change_error += 1;
        }
        self.make_pending(now, parameters);
    }

    pub fn set_enabled(&mut self, now: u64, enabled: bool) {
        self.advance(now);
        match (self.enabled, enabled) {
            (true, false) => self.pending = None,
            (false, true) => {
                if let Some(oper) = &mut self.oper {
                    let numbers = first_number_near(&oper.parameters, now)..;
                    oper.from = numbers
                        .map(|n| cycle_start(&oper.parameters, n))
                        .find(|start| *start >= now)
                        .unwrap();
                }
                if let Some(pending) = self.pending.take() {
                    self.make_pending(now, pending.parameters);
                }
            }
            _ => {}
        }
        self.enabled = enabled;
    }

    /// Time is `now` again: a schedule that had begun later begins with the cycle that `now` is in.
    pub fn set_back(&mut self, now: u64) {
        if let Some(oper) = &mut self.oper {
            let now = now.max(oper.parameters.base_time.as_nanos());
            let numbers = first_number_near(&oper.parameters, now)..;
            let cycle = numbers
                .map(|n| cycle_start(&oper.parameters, n))
                .take_while(|start| *start <= now)
                .last();
            oper.from = oper.from.min(cycle.unwrap());
        }
    }

    fn make_pending(&mut self, now: u64, parameters: ScheduleParameters) {
        let base = parameters.base_time.as_nanos();
        let config_change_time = if base >= now {
            base
        } else {
            let (period, divisor) = cycle(&parameters);
            let reaches_now = |n: &u128| n * period >= u128::from(now - base) * divisor;
            let n = (first_number_near(&parameters, now)..)
                .find(reaches_now)
                .unwrap();
            cycle_start(&parameters, n)
        };
        self.config_change_time = Some(config_change_time);
        self.pending = Some(Pending {
            windows: TrafficClass::ALL.map(|class| longest_window(&parameters, class)),
            parameters,
            config_change_time,
            known: now,
        });
    }

    /// All gate states from `now` to `horizon`, as far as is known at `now`.
    pub fn timeline(&self, now: u64, horizon: u64) -> Timeline {
        let mut timeline = vec![(now, self.admin)];
        if !self.enabled {
            return timeline;
        }
        let change = self
            .pending
            .as_ref()
            .map(|pending| pending.config_change_time);
        if let Some(Oper {
            parameters, from, ..
        }) = &self.oper
        {
            for n in first_number_near(parameters, now.max(*from)).. {
                let start = cycle_start(parameters, n);
                let next_start = cycle_start(parameters, n + 1);
                if start > horizon || change.is_some_and(|change| start >= change) {
                    break;
                }
                if start < *from {
                    continue;
                }
                run_entries(parameters, start, &mut timeline);
                let extension = parameters.cycle_time_extension.as_nanos();
                let held = self.pending.as_ref().is_some_and(|pending| {
                    pending.known <= start && pending.config_change_time <= next_start + extension
                });
                if held {
                    break;
                }
            }
        }
        if let Some(Pending {
            parameters,
            config_change_time,
            ..
        }) = &self.pending
        {
            timeline.retain(|(t, _)| t < config_change_time || *t == now);
            for n in first_number_near(parameters, *config_change_time).. {
                let start = cycle_start(parameters, n);
                if start > horizon {
                    break;
                }
                if start >= *config_change_time {
                    run_entries(parameters, start, &mut timeline);
                }
            }
        }
        timeline
    }

    /// What is in force from `now` on, one after the other, as far as is known at `now`.
    pub fn phases(&self, now: u64) -> Vec<Phase> {
        let change = self
            .pending
            .as_ref()
            .map(|pending| pending.config_change_time);
        let begin = self.oper.as_ref().map(|oper| oper.from);
        let before_change = begin.filter(|begin| change.is_none_or(|change| *begin < change));
        let starts = before_change.into_iter().chain(change);
        let later = starts.filter(|start| self.enabled && *start > now);
        let mut then = self.clone();
        [now]
            .into_iter()
            .chain(later)
            .map(|from| {
                then.advance(from);
                let windows = TrafficClass::ALL.map(|class| then.longest_window(class, from));
                Phase { from, windows }
            })
            .collect()
    }

    /// What the longest window of a class is while what is in force, or comes, repeats.
    pub fn longest_window(&self, class: TrafficClass, now: u64) -> Window {
        let admin_open = GateStates(self.admin).is_open(class);
        let admin = if admin_open {
            Window::Always
        } else {
            Window::Never
        };
        if !self.enabled {
            return admin;
        }
        let pending = self
            .pending
            .as_ref()
            .map(|pending| pending.windows[class.index()]);
        let oper = self.oper.as_ref().map(|oper| oper.windows[class.index()]);
        let runs = self.oper.as_ref().is_some_and(|oper| oper.from <= now);
        let in_force = if runs { None } else { Some(admin) };
        [pending, oper, in_force]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or(Window::Never)
    }
}

/// The states at `t`: the last of the timeline that began at or before it.
pub fn states_at(timeline: &Timeline, t: u64) -> GateStates {
    GateStates(timeline[first_after(timeline, t) - 1].1)
}

/// The first instant after `t` at which the class's gate is in another state.
pub fn next_change(timeline: &Timeline, class: TrafficClass, t: u64) -> Option<u64> {
    let open = states_at(timeline, t).is_open(class);
    let mut later = timeline[first_after(timeline, t)..].iter();
    later
        .find(|(_, states)| GateStates(*states).is_open(class) != open)
        .map(|(start, _)| *start)
}

/// The index of the first change after `t`.
pub fn first_after(timeline: &Timeline, t: u64) -> usize {
    timeline.partition_point(|(start, _)| *start <= t)
}

/// The cycle time in nanoseconds as a fraction.
fn cycle(parameters: &ScheduleParameters) -> (u128, u128) {
    match parameters.cycle_time {
        Some(cycle) => (
            u128::from(cycle.numerator) * 1_000_000_000,
            u128::from(cycle.denominator),
        ),
        None => {
            let executed = |ns: u64| u128::from(ns.max(1));
            (
                parameters
                    .entries
                    .iter()
                    .map(|entry| executed(entry.time_interval.as_nanos()))
                    .sum(),
                1,
            )
        }
    }
}

fn cycle_start(parameters: &ScheduleParameters, n: u128) -> u64 {
    let (period, divisor) = cycle(parameters);
    let start = u128::from(parameters.base_time.as_nanos()) + (n * period).div_ceil(divisor);
    u64::try_from(start).unwrap_or(u64::MAX)
}

/// A cycle some way before `t`, to begin a walk with.
fn first_number_near(parameters: &ScheduleParameters, t: u64) -> u128 {
    let (period, divisor) = cycle(parameters);
    let elapsed = u128::from(t.saturating_sub(parameters.base_time.as_nanos()));
    (elapsed * divisor / period).saturating_sub(3)
}

/// Runs the entries that begin with a whole nanosecond to go before every cycle's end.
fn run_entries(parameters: &ScheduleParameters, start: u64, timeline: &mut Timeline) {
    let (period, divisor) = cycle(parameters);
    let mut offset = 0_u64;
    for entry in &parameters.entries {
        if u128::from(offset + 1) * divisor > period {
            break;
        }
        let begins = start.saturating_add(offset);
        // The walk begins before the first instant of the timeline.
        match timeline.last_mut() {
            Some(last) if begins <= last.0 => last.1 = entry.gate_states.0,
            _ => timeline.push((begins, entry.gate_states.0)),
        }
        offset += entry.time_interval.as_nanos().max(1);
    }
}

fn longest_window(parameters: &ScheduleParameters, class: TrafficClass) -> Window {
    let (_, divisor) = cycle(parameters);
    let parameters = &ScheduleParameters {
        base_time: tsn_core::TaiTime::from_nanos(0),
        ..parameters.clone()
    };
    // After `divisor` cycles the fractions of a nanosecond repeat.
    let mut timeline = Vec::new();
    let reduced = if divisor == 1 {
        1
    } else {
        divisor / 1_000_000_000
    };
    for n in 0..2 * reduced + 2 {
        run_entries(parameters, cycle_start(parameters, n), &mut timeline);
    }
    let (mut longest, mut opened) = (None, None);
    for (t, states) in &timeline {
        match (GateStates(*states).is_open(class), opened) {
            (true, None) => opened = Some(*t),
            (false, Some(since)) => {
                longest = longest.max(Some(t - since));
                opened = None;
            }
            _ => {}
        }
    }
    match (longest, opened) {
        (None, None) => Window::Never,
        (None, Some(_)) => Window::Always,
        (Some(ns), _) => Window::Longest(tsn_core::Nanoseconds::from_nanos(ns)),
    }
}
