//! What holds at the last `advance` and until a gate may change, so that most looks at the gates
//! cost a load.

use crate::class::{GateStates, TrafficClass};
use crate::schedule::Window;
use crate::time::TaiTime;

/// Stands for "never".
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub struct Present {
    /// Everything here holds in `[from, until)`.
    from: u64,
    until: u64,
    /// `next_phase` and `windows` also hold after that, in `[phase_from, phase_until)`.
    phase_from: u64,
    phase_until: u64,
    pub states: GateStates,
    changes: [u64; TrafficClass::COUNT],
    windows: [Window; TrafficClass::COUNT],
}

impl Present {
    /// Holds at no instant.
    pub const UNKNOWN: Present = Present {
        from: NEVER,
        until: 0,
        phase_from: NEVER,
        phase_until: 0,
        states: GateStates::ALL_CLOSED,
        changes: [NEVER; TrafficClass::COUNT],
        windows: [Window::Never; TrafficClass::COUNT],
    };

    #[inline]
    pub fn contains(&self, t: u64) -> bool {
        self.from <= t && t < self.until
    }

    /// Whether phase and windows are those of `t`.
    pub fn is_phase_of(&self, t: u64) -> bool {
        self.phase_from <= t && t < self.phase_until
    }

    /// Notes the phase that is in force at `now` and ends at `until`.
    pub fn set_phase(
        &mut self,
        now: u64,
        until: Option<u64>,
        windows: [Window; TrafficClass::COUNT],
    ) {
        (self.phase_from, self.phase_until) = (now, until.unwrap_or(NEVER));
        self.windows = windows;
    }

    /// Notes the gate states at `now`, which hold up to `until` or the end of the phase.
    pub fn set_states(&mut self, now: u64, until: u64, states: GateStates) {
        (self.from, self.until) = (now, until.min(self.phase_until));
        self.states = states;
    }

    /// Notes when each gate changes next; `u64::MAX` for never.
    pub fn set_changes(&mut self, next_change: impl Fn(TrafficClass) -> u64) {
        for class in TrafficClass::ALL {
            self.changes[class.index()] = next_change(class);
        }
    }

    #[inline]
    pub fn next_phase(&self) -> Option<TaiTime> {
        instant(self.phase_until)
    }

    #[inline]
    pub fn window(&self, class: TrafficClass) -> Window {
        self.windows[class.index()]
    }

    /// Whether the gate of `class` is open, and when that changes.
    #[inline]
    pub fn gate(&self, class: TrafficClass) -> (bool, Option<TaiTime>) {
        (
            self.states.is_open(class),
            instant(self.changes[class.index()]),
        )
    }
}

#[inline]
fn instant(t: u64) -> Option<TaiTime> {
    (t != NEVER).then_some(TaiTime::from_nanos(t))
}
