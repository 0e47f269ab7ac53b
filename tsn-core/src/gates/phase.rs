//! What is in force for a while, and where in its cycle an instant lies.

use crate::class::TrafficClass;
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
    pub cycle_start: u64,
    /// `u64::MAX` in a cycle that is held until the schedule ends.
    pub next_start: u64,
    pub segment: usize,
}

impl Cursor {
    /// Moves on to `now`, and gives its place in the schedule.
    pub fn move_to(&mut self, now: u64, schedule: &Schedule, held_cycle: Option<u64>) -> Position {
        let position = Position::at(now, schedule, Some(self), held_cycle);
        if position.cycle_start != self.cycle.start {
            let following = schedule.cycles.following(&self.cycle);
            self.cycle = if following.start == position.cycle_start {
                following
            } else {
                schedule.cycles.containing(position.cycle_start)
            };
        }
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
        let (cycle_start, next_start) = match held_cycle {
            Some(held) if held <= t => (held, u64::MAX),
            _ => {
                let cycle = cycle_at(t, schedule, cursor);
                (cycle.start, cycle.next_start)
            }
        };
        let segment = schedule.segments.find(t.saturating_sub(cycle_start), hint);
        Position {
            cycle_start,
            next_start,
            segment,
        }
    }

    /// The end of the segment; `u64::MAX` for the last one of a cycle that is held.
    pub fn end(&self, segments: &Segments) -> u64 {
        match segments.end(self.segment) {
            Some(offset) => self.cycle_start.saturating_add(offset),
            None => self.next_start,
        }
    }

    /// The first change of the gate of `class` after this place, as if the schedule never ended;
    /// `u64::MAX` for none.
    pub fn next_change(&self, segments: &Segments, class: TrafficClass) -> u64 {
        let changes = segments.changes(self.segment);
        changes.instant(class, self.cycle_start, self.next_start)
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
            Phase::Admin { until } | Phase::Running { until, .. } => *until,
        }
    }

    /// The first change of the gate of `class` after `t`, as if the phase never ended.
    pub fn next_change(&self, class: TrafficClass, t: u64) -> Option<u64> {
        let Phase::Running {
            schedule,
            cursor,
            held_cycle,
            ..
        } = self
        else {
            return None;
        };
        let position = Position::at(t, schedule, *cursor, *held_cycle);
        Some(position.next_change(&schedule.segments, class)).filter(|change| *change != u64::MAX)
    }
}
