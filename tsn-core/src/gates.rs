//! The gates of one port: which classes may send when (IEEE 802.1Q 8.6.8.4, state machines of
//! 8.6.9).

mod lookup;
mod phase;
mod present;

use crate::class::{GateStates, TrafficClass};
use crate::schedule::{Schedule, Window};
use crate::time::{Nanoseconds, TaiTime};
use phase::Cursor;
use present::Present;

/// When a gate closes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Close {
    /// At this instant, the first at which the gate is closed.
    At(TaiTime),
    /// Never, as far as is known now.
    Never,
}

/// The outcome of [`Gates::configure`].
#[derive(Debug)]
#[must_use = "dropping a superseded schedule frees memory; do it outside the hot path"]
pub struct ConfigChange {
    /// When the new schedule takes force (ConfigChangeTime, 8.6.9.3.1). While the gates are
    /// disabled this is provisional: it is computed anew when they are enabled.
    pub config_change_time: TaiTime,
    /// A schedule that is no longer needed: the pending one that was replaced, or a retired one
    /// that nobody had taken.
    pub superseded: Option<Box<Schedule>>,
}

/// The gate state machines of a port.
///
/// Three things can be in force, one after the other: the admin gate states, the oper schedule, and
/// the pending schedule from its ConfigChangeTime on. All queries take an instant and are right for
/// any instant at or after the last call of [`Gates::advance`], [`Gates::configure`] or
/// [`Gates::set_enabled`], however far ahead, as things are known now. They are also right for
/// earlier instants, back to the last change of what is in force. From the last `advance` to the
/// next event in the list they cost a load, elsewhere a few table lookups.
#[derive(Debug)]
pub struct Gates {
    admin_gate_states: GateStates,
    enabled: bool,
    oper: Option<Oper>,
    pending: Option<Pending>,
    retired: Option<Box<Schedule>>,
    config_change_time: Option<TaiTime>,
    config_change_error: u64,
    present: Present,
}

#[derive(Debug)]
struct Oper {
    schedule: Box<Schedule>,
    /// The first instant at which the schedule runs: its ConfigChangeTime, or the first cycle start
    /// after the gates were enabled again.
    runs_from: u64,
    cursor: Cursor,
}

#[derive(Debug)]
struct Pending {
    schedule: Box<Schedule>,
    config_change_time: u64,
    /// The start of the cycle of the oper schedule that is held until the ConfigChangeTime.
    held_cycle: Option<u64>,
}

impl Gates {
    /// Gates that are enabled, without a schedule: the admin gate states are in force.
    pub fn new(admin_gate_states: GateStates) -> Self {
        Gates {
            admin_gate_states,
            enabled: true,
            oper: None,
            pending: None,
            retired: None,
            config_change_time: None,
            config_change_error: 0,
            present: Present::UNKNOWN,
        }
    }

    /// Makes `schedule` the pending one, in place of another that may be pending.
    ///
    /// It takes force at its ConfigChangeTime (8.6.9.3.1): the base time, if that is not past;
    /// otherwise `base + N·cycle` with the smallest N that gives at least `now`, and, if a schedule
    /// runs, ConfigChangeError counts one up. Up to then the oper schedule runs on, its last cycle
    /// cut, or held if the cycle time extension allows (8.6.9.1.1). If a replaced change had the
    /// oper schedule held already, its cycles are resumed at once where they would be without it.
    pub fn configure(&mut self, now: TaiTime, schedule: Box<Schedule>) -> ConfigChange {
        self.advance(now);
        let now = now.as_nanos();
        let oper_runs =
            self.enabled && self.oper.as_ref().is_some_and(|oper| oper.runs_from <= now);
        if oper_runs && schedule.parameters().base_time.as_nanos() < now {
            self.config_change_error += 1;
        }
        // A schedule is only ever retired by a pending one, so at most one of the two is there.
        let superseded = self
            .retired
            .take()
            .or(self.pending.take().map(|pending| pending.schedule));
        self.make_pending(now, schedule);
        self.present = Present::UNKNOWN;
        ConfigChange {
            config_change_time: self.config_change_time.unwrap_or(TaiTime::MAX),
            superseded,
        }
    }

    /// Enables or disables the gates (GateEnabled, 8.6.9.4).
    ///
    /// Disabled, the admin gate states are in force at once and a pending change is cancelled (its
    /// schedule is then found by [`Gates::take_retired`]). Enabled again, the oper schedule runs on
    /// from its next cycle start; a schedule that was configured meanwhile is pending from now on.
    pub fn set_enabled(&mut self, now: TaiTime, enabled: bool) {
        self.advance(now);
        if enabled == self.enabled {
            return;
        }
        self.enabled = enabled;
        self.present = Present::UNKNOWN;
        let now = now.as_nanos();
        if !enabled {
            if let Some(pending) = self.pending.take() {
                self.retired = Some(pending.schedule);
            }
            return;
        }
        if let Some(oper) = &mut self.oper {
            oper.runs_from = oper
                .schedule
                .cycles
                .first_start_from(now)
                .unwrap_or(u64::MAX);
        }
        if let Some(pending) = self.pending.take() {
            self.make_pending(now, pending.schedule);
        }
    }

    /// Sets the gate states that are in force while no schedule is (AdminGateStates).
    pub fn set_admin_gate_states(&mut self, states: GateStates) {
        self.admin_gate_states = states;
        self.present = Present::UNKNOWN;
    }

    /// Moves on to `now`: puts a pending schedule into force whose time has come, and makes lookups
    /// near `now` fast. The schedule that it retires is parked for [`Gates::take_retired`]; nothing
    /// is freed.
    #[inline]
    pub fn advance(&mut self, now: TaiTime) {
        if !self.present.contains(now.as_nanos()) {
            self.move_on(now.as_nanos());
        }
    }

    /// Tells that time was set back to `now`: the oper schedule goes on in its cycles as they are
    /// there, also before its ConfigChangeTime, but not before its base time. A pending schedule
    /// keeps its ConfigChangeTime.
    pub fn set_back(&mut self, now: TaiTime) {
        if let Some(oper) = &mut self.oper {
            let base_time = oper.schedule.parameters().base_time;
            oper.runs_from = oper.runs_from.min(now.max(base_time).as_nanos());
        }
        self.present = Present::UNKNOWN;
    }

    /// The schedule that an `advance` retired or a `set_enabled` cancelled, for the caller to free.
    pub fn take_retired(&mut self) -> Option<Box<Schedule>> {
        self.retired.take()
    }

    /// The gate states at `t` (OperGateStates).
    #[inline]
    pub fn states(&self, t: TaiTime) -> GateStates {
        if self.present.contains(t.as_nanos()) {
            return self.present.states;
        }
        self.find_states(t)
    }

    /// The first instant at or after `t` at which the gate of `class` is open; `None` if it never
    /// is.
    #[inline]
    pub fn next_open(&self, class: TrafficClass, t: TaiTime) -> Option<TaiTime> {
        match self.gate(class, t) {
            (true, _) => Some(t),
            (false, change) => change,
        }
    }

    /// When the gate of `class` closes, seen from `t`: across entries, the end of the cycle and a
    /// change of schedule. `At(t)` if it is closed at `t`.
    #[inline]
    pub fn close_time(&self, class: TrafficClass, t: TaiTime) -> Close {
        match self.gate(class, t) {
            (false, _) => Close::At(t),
            (true, change) => change.map_or(Close::Never, Close::At),
        }
    }

    /// The first instant after `t` at which the gate of `class` is in another state than at `t`.
    pub fn next_change(&self, class: TrafficClass, t: TaiTime) -> Option<TaiTime> {
        self.gate(class, t).1
    }

    /// Whether the gate of `class` is open at `t`, and when that changes.
    #[inline]
    fn gate(&self, class: TrafficClass, t: TaiTime) -> (bool, Option<TaiTime>) {
        if self.present.contains(t.as_nanos()) {
            return self.present.gate(class);
        }
        let (open, change) = self.find_gate(class, t.as_nanos());
        (open, change.map(TaiTime::from_nanos))
    }

    /// The longest window of `class` in what is in force at `now` or comes after it. The one window
    /// in which two schedules meet is not taken into account.
    #[inline]
    pub fn longest_window(&self, class: TrafficClass, now: TaiTime) -> Window {
        if self.present.contains(now.as_nanos()) {
            return self.present.window(class);
        }
        self.find_longest_window(class, now.as_nanos())
    }

    /// When something else comes into force than what is at `now`: the start of a schedule.
    #[inline]
    pub fn next_phase(&self, now: TaiTime) -> Option<TaiTime> {
        if self.present.contains(now.as_nanos()) {
            return self.present.next_phase();
        }
        self.phase(now.as_nanos()).until().map(TaiTime::from_nanos)
    }

    /// The start of the cycle that `t` lies in; `None` where the admin gate states are in force. A
    /// cycle that is cut or held by a change of schedule ends where the new schedule's first begins.
    pub fn cycle_start(&self, t: TaiTime) -> Option<TaiTime> {
        let start = self.phase(t.as_nanos()).cycle_start(t.as_nanos());
        start.map(TaiTime::from_nanos)
    }

    /// Whether the gates are enabled (GateEnabled).
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The gate states that are in force while no schedule is (AdminGateStates).
    pub fn admin_gate_states(&self) -> GateStates {
        self.admin_gate_states
    }

    /// The ConfigChangeTime of the last schedule that was configured.
    pub fn config_change_time(&self) -> Option<TaiTime> {
        self.config_change_time
    }

    /// How often a schedule with a past base time was configured while another ran
    /// (ConfigChangeError).
    pub fn config_change_error(&self) -> u64 {
        self.config_change_error
    }

    /// Whether a schedule waits at `t` for its ConfigChangeTime, or for the gates to be enabled
    /// (ConfigPending).
    pub fn config_pending(&self, t: TaiTime) -> bool {
        let waits = |pending: &Pending| !self.enabled || t.as_nanos() < pending.config_change_time;
        self.pending.as_ref().is_some_and(waits)
    }

    fn move_on(&mut self, now: u64) {
        if let Some(pending) = self
            .pending
            .take_if(|pending| self.enabled && pending.config_change_time <= now)
        {
            let cursor = Cursor {
                cycle: pending.schedule.cycles.containing(now),
                segment: 0,
            };
            let runs_from = pending.config_change_time;
            let oper = Oper {
                schedule: pending.schedule,
                runs_from,
                cursor,
            };
            self.retired = self.oper.replace(oper).map(|old| old.schedule);
        }
        let held_cycle = self.pending.as_ref().and_then(|pending| pending.held_cycle);
        let running = self
            .oper
            .as_mut()
            .filter(|oper| self.enabled && oper.runs_from <= now);
        let position = running.map(|oper| oper.cursor.move_to(now, &oper.schedule, held_cycle));

        let mut present = std::mem::replace(&mut self.present, Present::UNKNOWN);
        let until = self.phase(now).until();
        if !present.is_phase_of(now) {
            let windows = TrafficClass::ALL.map(|class| self.find_longest_window(class, now));
            present.set_phase(now, until, windows);
        }
        match (&self.oper, position) {
            (Some(oper), Some(position)) => {
                let segments = &oper.schedule.segments;
                let states = segments.states(position.segment);
                present.set_states(now, position.end(segments), states);
                present.set_changes(|class| position.next_change(segments, class));
            }
            _ => {
                present.set_states(now, u64::MAX, self.admin_gate_states);
                present.set_changes(|_| u64::MAX);
            }
        }
        if until.is_some() {
            // A change that lies beyond the phase is not one of it.
            present.set_changes(|class| self.find_gate(class, now).1.unwrap_or(u64::MAX));
        }
        self.present = present;
    }

    fn make_pending(&mut self, now: u64, schedule: Box<Schedule>) {
        let config_change_time = schedule.cycles.config_change_time(now);
        let held_cycle = self
            .oper
            .as_ref()
            .and_then(|oper| oper.held_cycle(now, config_change_time));
        self.config_change_time = Some(TaiTime::from_nanos(config_change_time));
        self.pending = Some(Pending {
            schedule,
            config_change_time,
            held_cycle,
        });
    }
}

impl Oper {
    /// The start of the cycle that is held until `config_change_time`, by the rule of 8.6.9.1.1: at
    /// each cycle start from `now` on, if the new schedule starts no later than the next cycle plus
    /// the extension, the next cycle does not start. `None` if no cycle starts before that.
    fn held_cycle(&self, now: u64, config_change_time: u64) -> Option<u64> {
        let cycles = &self.schedule.cycles;
        let extension = self.schedule.parameters().cycle_time_extension.as_nanos();
        let known = cycles.first_start_from(now.max(self.runs_from))?;
        let near =
            cycles.last_start_before_first_from(config_change_time.saturating_sub(extension))?;
        Some(known.max(near)).filter(|start| *start < config_change_time)
    }
}

/// `duration` fits between `start` and `close`; ending exactly at the close is allowed.
pub(crate) fn fits(start: TaiTime, duration: Nanoseconds, close: Close) -> bool {
    match close {
        Close::Never => true,
        Close::At(close) => start <= close && duration <= close - start,
    }
}
