//! One cycle of a gate control list, compiled: where each gate changes next is a table lookup.

use crate::class::{GateStates, TrafficClass};
use crate::cycle::{Cycles, executed};
use crate::schedule::{GateControlEntry, Window};
use crate::time::Nanoseconds;

/// Stands for "not in this cycle".
const NONE: u64 = u64::MAX;

#[derive(Clone, Debug)]
pub(crate) struct Segments {
    /// Offsets from the start of the cycle, ascending, the first zero. Entries with equal
    /// neighbouring states are one segment; the last segment lasts to the end of the cycle.
    offsets: Vec<u64>,
    states: Vec<GateStates>,
    /// Per segment and class: the offset at which the gate changes next within the cycle.
    changes: Vec<[u64; TrafficClass::COUNT]>,
    /// Per class: the first offset at which the gate is closed, and at which it is open.
    first: [[u64; 2]; TrafficClass::COUNT],
    windows: [Window; TrafficClass::COUNT],
    entries_never_run: usize,
}

impl Segments {
    /// Compiles a list with at least one entry, whose intervals add up to no more than `u64::MAX`.
    ///
    /// An entry runs only if at least one whole nanosecond of every cycle is left for it, so that
    /// all cycles of a fractional cycle time run the same entries.
    pub fn new(entries: &[GateControlEntry], cycles: &Cycles) -> Self {
        let mut offsets: Vec<u64> = Vec::new();
        let mut states: Vec<GateStates> = Vec::new();
        let mut offset = 0;
        let mut entries_run = 0;
        for entry in entries {
            if offset >= cycles.floor() {
                break;
            }
            if states.last() != Some(&entry.gate_states) {
                offsets.push(offset);
                states.push(entry.gate_states);
            }
            entries_run += 1;
            offset += executed(entry.time_interval);
        }
        let mut segments = Segments {
            changes: next_changes(&offsets, &states),
            first: [[NONE; 2]; TrafficClass::COUNT],
            windows: [Window::Never; TrafficClass::COUNT],
            entries_never_run: entries.len() - entries_run,
            offsets,
            states,
        };
        for class in TrafficClass::ALL {
            let open_at_start = segments.states[0].is_open(class);
            segments.first[class.index()][usize::from(open_at_start)] = 0;
            segments.first[class.index()][usize::from(!open_at_start)] =
                segments.change(0, class).unwrap_or(NONE);
            segments.windows[class.index()] = segments.find_longest_window(class, cycles.ceil());
        }
        segments
    }

    /// The index of the segment in force at `offset`; `hint` is an index worth looking at first.
    pub fn find(&self, offset: u64, hint: usize) -> usize {
        for index in [hint, hint + 1] {
            let starts = self
                .offsets
                .get(index)
                .is_some_and(|start| *start <= offset);
            if starts && self.offsets.get(index + 1).is_none_or(|end| offset < *end) {
                return index;
            }
        }
        self.offsets.partition_point(|start| *start <= offset) - 1
    }

    /// The offset at which segment `index` ends; `None` for the last one of the cycle.
    pub fn end(&self, index: usize) -> Option<u64> {
        self.offsets.get(index + 1).copied()
    }

    /// The gate states of segment `index`.
    pub fn states(&self, index: usize) -> GateStates {
        self.states[index]
    }

    /// The offset at which the gate of `class` first differs from its state in segment `index`.
    pub fn change(&self, index: usize, class: TrafficClass) -> Option<u64> {
        Some(self.changes[index][class.index()]).filter(|offset| *offset != NONE)
    }

    /// The first offset of a cycle at which the gate of `class` is open, or closed.
    pub fn first(&self, class: TrafficClass, open: bool) -> Option<u64> {
        Some(self.first[class.index()][usize::from(open)]).filter(|offset| *offset != NONE)
    }

    /// The longest window of `class` in endless repetition.
    pub fn longest_window(&self, class: TrafficClass) -> Window {
        self.windows[class.index()]
    }

    /// How many entries at the end of the list do not fit into the cycle.
    pub fn entries_never_run(&self) -> usize {
        self.entries_never_run
    }

    fn find_longest_window(&self, class: TrafficClass, cycle: u64) -> Window {
        let (Some(_), Some(first_closed)) = (self.first(class, true), self.first(class, false))
        else {
            return if self.states[0].is_open(class) {
                Window::Always
            } else {
                Window::Never
            };
        };
        let mut longest = 0;
        let mut opened = None;
        for (offset, states) in self.offsets.iter().zip(&self.states) {
            if states.is_open(class) {
                opened.get_or_insert(*offset);
            } else if let Some(start) = opened.take() {
                longest = longest.max(offset - start);
            }
        }
        if let Some(start) = opened {
            // Open at the end of the cycle: the window goes on where the next cycle starts open.
            longest = longest.max((cycle - start).saturating_add(first_closed));
        }
        Window::Longest(Nanoseconds::from_nanos(longest))
    }
}

fn next_changes(offsets: &[u64], states: &[GateStates]) -> Vec<[u64; TrafficClass::COUNT]> {
    let mut changes = vec![[NONE; TrafficClass::COUNT]; offsets.len()];
    for index in (0..offsets.len() - 1).rev() {
        for class in TrafficClass::ALL {
            let differs = states[index].is_open(class) != states[index + 1].is_open(class);
            changes[index][class.index()] = if differs {
                offsets[index + 1]
            } else {
                changes[index + 1][class.index()]
            };
        }
    }
    changes
}
