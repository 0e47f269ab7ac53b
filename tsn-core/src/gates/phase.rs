//! What is in force for a while, and where in its cycle an instant lies.

use crate::class::{GateStates, TrafficClass};
use crate::cycle::Cycle;
use crate::schedule::Schedule;
use crate::segments::Segments;

/// Where the last `advance` was, so that the next lookup need not search.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    pub cycle: Cycle,
    pub segment: usize,
}

/// What is in force for a while, and until when (`None`: for good).
pub enum Phase<'a> {
    Admin {
        states: GateStates,
        until: Option<u64>,
    },
    Running {
        schedule: &'a Schedule,
        cursor: Option<&'a Cursor>,
        until: Option<u64>,
        held_cycle: Option<u64>,
    },
}

/// A place in a running schedule.
pub struct Position {
    cycle: Cycle,
    /// `u64::MAX` in a cycle that is held until the schedule ends.
    next_start: u64,
    pub segment: usize,
}

impl Cursor {
    /// Moves on to `now`, and gives its place in the schedule.
    pub fn move_to(&mut self, now: u64, schedule: &Schedule, held_cycle: Option<u64>) -> Position {
        let position = Position::at(now, schedule, Some(self), held_cycle);
        self.cycle = position.cycle;
        self.segment = position.segment;
        position
    }
}

impl Position {
    pub fn at(
        t: u64,
        schedule: &Schedule,
        cursor: Option<&Cursor>,
        held_cycle: Option<u64>,
    ) -> Position {
        let hint = cursor.map_or(0, |cursor| cursor.segment);
        let held = held_cycle.filter(|held| *held <= t);
        let cycle = cycle_at(held.unwrap_or(t), schedule, cursor);
        Position {
            cycle,
            next_start: held.map_or(cycle.next_start, |_| u64::MAX),
            segment: schedule.segments.find(t.saturating_sub(cycle.start), hint),
        }
    }

    /// The end of the segment; `u64::MAX` for the last one of a cycle that is held.
    pub fn end(&self, segments: &Segments) -> u64 {
        match segments.end(self.segment) {
            Some(offset) => self.cycle.start.saturating_add(offset),
            None => self.next_start,
        }
    }

    /// The first change of the gate of `class` after this place, as if the schedule never ended;
    /// `u64::MAX` for none.
    pub fn next_change(&self, segments: &Segments, class: TrafficClass) -> u64 {
        let changes = segments.changes(self.segment);
        changes.instant(class, self.cycle.start, self.next_start)
    }
}

fn cycle_at(t: u64, schedule: &Schedule, cursor: Option<&Cursor>) -> Cycle {
    if let Some(Cursor { cycle, .. }) = cursor {
        if cycle.contains(t) {
            return *cycle;
        }
        let following = schedule.cycles.following(cycle);
        if following.contains(t) {
            return following;
        }
    }
    schedule.cycles.containing(t)
}

impl Phase<'_> {
    pub fn until(&self) -> Option<u64> {
        match self {
            Phase::Admin { until, .. } | Phase::Running { until, .. } => *until,
        }
    }

    /// The gate states at `t`.
    pub fn states(&self, t: u64) -> GateStates {
        match self {
            Phase::Admin { states, .. } => *states,
            Phase::Running {
                schedule,
                cursor,
                held_cycle,
                ..
            } => {
                let position = Position::at(t, schedule, *cursor, *held_cycle);
                schedule.segments.states(position.segment)
            }
        }
    }

    /// Whether the gate of `class` is open at `t`, and when that changes (`u64::MAX`: never), as if
    /// the phase never ended.
    pub fn gate(&self, class: TrafficClass, t: u64) -> (bool, u64) {
        match self {
            Phase::Admin { states, .. } => (states.is_open(class), u64::MAX),
            Phase::Running {
                schedule,
                cursor,
                held_cycle,
                ..
            } => {
                let segments = &schedule.segments;
                let position = Position::at(t, schedule, *cursor, *held_cycle);
                let states = segments.states(position.segment);
                (states.is_open(class), position.next_change(segments, class))
            }
        }
    }

    /// The start of the cycle that `t` lies in; `None` where no schedule runs.
    pub fn cycle_start(&self, t: u64) -> Option<u64> {
        match self {
            Phase::Admin { .. } => None,
            Phase::Running {
                schedule,
                cursor,
                held_cycle,
                ..
            } => Some(Position::at(t, schedule, *cursor, *held_cycle).cycle.start),
        }
    }
}
