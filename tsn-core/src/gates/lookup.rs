//! The gates at any instant, found by a search where nothing has been noted of it.

use super::Gates;
use super::phase::Phase;
use crate::class::{GateStates, TrafficClass};
use crate::schedule::Window;
use crate::time::TaiTime;

impl Gates {
    /// The gate states at `t`.
    pub(super) fn find_states(&self, t: TaiTime) -> GateStates {
        self.phase(t.as_nanos()).states(t.as_nanos())
    }

    /// Whether the gate of `class` is open at `t`, and when that changes.
    pub(super) fn find_gate(&self, class: TrafficClass, t: u64) -> (bool, Option<u64>) {
        let mut phase = self.phase(t);
        let (open, mut change) = phase.gate(class, t);
        loop {
            let Some(until) = phase.until().filter(|until| change >= *until) else {
                return (open, Some(change).filter(|change| *change != u64::MAX));
            };
            phase = self.phase(until);
            let (then_open, next) = phase.gate(class, until);
            if then_open != open {
                return (open, Some(until));
            }
            change = next;
        }
    }

    /// The longest window of `class` in what is in force at `now` or comes after it.
    pub(super) fn find_longest_window(&self, class: TrafficClass, now: u64) -> Window {
        let mut longest = Window::Never;
        if matches!(self.phase(now), Phase::Admin { .. }) && self.admin_gate_states.is_open(class) {
            longest = Window::Always;
        }
        if !self.enabled {
            return longest;
        }
        let pending = self.pending.as_ref();
        if let Some(pending) = pending {
            longest = longest.max(pending.schedule.longest_window(class));
        }
        let oper_over = pending.is_some_and(|pending| pending.config_change_time <= now);
        if let Some(oper) = self.oper.as_ref().filter(|_| !oper_over) {
            longest = longest.max(oper.schedule.longest_window(class));
        }
        longest
    }

    /// What is in force at `t`, and until when.
    pub(super) fn phase(&self, t: u64) -> Phase<'_> {
        if !self.enabled {
            return self.admin(None);
        }
        let change = self
            .pending
            .as_ref()
            .map(|pending| pending.config_change_time);
        if let Some(pending) = self
            .pending
            .as_ref()
            .filter(|pending| pending.config_change_time <= t)
        {
            return Phase::Running {
                schedule: &pending.schedule,
                cursor: None,
                until: None,
                held_cycle: None,
            };
        }
        match &self.oper {
            Some(oper) if oper.runs_from <= t => Phase::Running {
                schedule: &oper.schedule,
                cursor: Some(&oper.cursor),
                until: change,
                held_cycle: self.pending.as_ref().and_then(|pending| pending.held_cycle),
            },
            Some(oper) => self.admin(Some(
                change.map_or(oper.runs_from, |change| change.min(oper.runs_from)),
            )),
            None => self.admin(change),
        }
    }

    fn admin(&self, until: Option<u64>) -> Phase<'_> {
        Phase::Admin {
            states: self.admin_gate_states,
            until,
        }
    }
}
