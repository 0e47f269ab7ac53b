//! The gates before and after a command that changes their list.

use tsn_core::{Gates, TaiTime, TrafficClass};

use super::gates::{TaiWindow, join, next_cycle, windows};
use super::model::{Span, SpanKind};
use crate::config::CompiledGates;
use crate::durations::duration;

/// How the gates go through a change.
pub struct Course {
    before: Gates,
    after: Gates,
    /// As they would run on without the command.
    undisturbed: Gates,
    now: u64,
    /// Cycle times of the old and the new list.
    cycles_ns: [u64; 2],
    /// Whether the new list runs.
    starts_list: bool,
    /// The ConfigChangeTime; without a new list the time of the command.
    pub change: u64,
}

/// The cycle of the old list that the change ends.
#[derive(Debug, Clone, Copy)]
pub struct LastCycle {
    /// Its start.
    pub start: u64,
    /// Its end: the change.
    pub end: u64,
    /// Where it would have ended.
    pub due: u64,
}

impl LastCycle {
    fn kind(self) -> SpanKind {
        match self.end.cmp(&self.due) {
            std::cmp::Ordering::Less => SpanKind::CutCycle,
            std::cmp::Ordering::Equal => SpanKind::Cycle,
            std::cmp::Ordering::Greater => SpanKind::ExtendedCycle,
        }
    }
}

impl Course {
    /// The old list has run for some cycles at `now`, as far as its base time allows, when the command comes.
    pub fn new(
        old: &CompiledGates,
        new: &CompiledGates,
        now: TaiTime,
        cycles_ns: [u64; 2],
        cycles: u32,
    ) -> Self {
        let run_up_ns = cycles_ns[0].saturating_mul(u64::from(cycles) + 4);
        let long_ago = TaiTime::from_nanos(now.as_nanos().saturating_sub(run_up_ns));
        let started = || {
            let mut gates = Gates::new(old.admin_gate_states);
            make(&mut gates, old, long_ago);
            gates
        };
        let mut after = started();
        make(&mut after, new, now);
        let change = after.config_change_time().filter(|_| new.enabled);
        Self {
            before: started(),
            undisturbed: started(),
            change: change.unwrap_or(now).as_nanos(),
            after,
            now: now.as_nanos(),
            cycles_ns,
            starts_list: new.enabled,
        }
    }

    /// How often the command counted ConfigChangeError up.
    pub fn config_change_errors(&self) -> u64 {
        self.after.config_change_error()
    }

    /// The cycle of the old list that the change ends, if the list runs by then.
    pub fn last_cycle(&self) -> Option<LastCycle> {
        let start = self.cycle_start(self.change.checked_sub(1)?)?;
        Some(LastCycle {
            start,
            end: self.change,
            due: next_cycle(&self.undisturbed, start, self.cycles_ns[0])?,
        })
    }

    /// The windows of `class` that begin in `[from, to)`, or are open at `from`.
    pub fn windows(&self, class: TrafficClass, from: u64, to: u64) -> Vec<TaiWindow> {
        if self.now <= from {
            return windows(&self.after, class, from, to);
        }
        let boundary = self.now.min(to);
        let before = windows(&self.before, class, from, boundary);
        join(before, boundary, windows(&self.after, class, boundary, to))
    }

    /// The last whole cycles before the change, the one that it cuts or extends, and the first ones after it: `cycles` whole
    /// ones on either side. Times are from the change.
    pub fn spans(&self, cycles: u32) -> Vec<Span> {
        let mut spans = self.spans_before(cycles);
        spans.reverse();
        if !self.starts_list {
            let end = self.change.saturating_add(self.cycles_ns[0]);
            spans.push(self.span(self.change, end, SpanKind::AdminGateStates));
        }
        let mut start = self.change;
        for _ in 0..if self.starts_list { cycles } else { 0 } {
            let Some(end) = next_cycle(&self.after, start, self.cycles_ns[1]) else {
                break;
            };
            spans.push(self.span(start, end, SpanKind::Cycle));
            start = end;
        }
        // Where time ends, so does a cycle that has just begun.
        spans.retain(|span| span.start_ns < span.end_ns);
        spans
    }

    /// The latest first.
    fn spans_before(&self, mut cycles: u32) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut end = self.change;
        if let Some(last) = self
            .last_cycle()
            .filter(|last| last.kind() != SpanKind::Cycle)
        {
            spans.push(self.span(last.start, end, last.kind()));
            end = last.start;
        }
        while cycles > 0 && end > 0 {
            cycles -= 1;
            match self.cycle_start(end - 1) {
                Some(start) => {
                    spans.push(self.span(start, end, SpanKind::Cycle));
                    end = start;
                }
                None => {
                    let start = end.saturating_sub(self.cycles_ns[0]);
                    spans.push(self.span(start, end, SpanKind::AdminGateStates));
                    break;
                }
            }
        }
        spans
    }

    fn span(&self, start: u64, end: u64, kind: SpanKind) -> Span {
        let list = if start < self.change { "old" } else { "new" };
        let from_change = |t: u64| (i128::from(t) - i128::from(self.change)) as i64;
        Span {
            start_ns: from_change(start),
            end_ns: from_change(end),
            kind,
            label: match kind {
                SpanKind::Cycle => list.to_owned(),
                SpanKind::CutCycle => format!("{list}, cut after {}", duration(end - start)),
                SpanKind::ExtendedCycle => format!("{list}, extended to {}", duration(end - start)),
                SpanKind::AdminGateStates => "no list".to_owned(),
            },
        }
    }

    fn cycle_start(&self, t: u64) -> Option<u64> {
        let gates = if t < self.now {
            &self.before
        } else {
            &self.after
        };
        gates
            .cycle_start(TaiTime::from_nanos(t))
            .map(TaiTime::as_nanos)
    }
}

/// What the worker does with new gates.
fn make(gates: &mut Gates, new: &CompiledGates, now: TaiTime) {
    gates.set_admin_gate_states(new.admin_gate_states);
    gates.set_enabled(now, new.enabled);
    if let Some(schedule) = &new.schedule {
        drop(gates.configure(now, schedule.clone()));
    }
}
