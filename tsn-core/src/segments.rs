//! One cycle of a gate control list, compiled: where each gate changes next is a table lookup.

use crate::class::{GateStates, TrafficClass};
use crate::cycle::{Cycles, executed};
use crate::schedule::{GateControlEntry, Window};
use crate::time::Nanoseconds;

/// Stands for "never".
const NEVER: u64 = u64::MAX;

#[derive(Clone, Debug)]
pub(crate) struct Segments {
    /// Offsets from the start of the cycle, ascending, the first zero. Entries with equal
    /// neighbouring states are one segment; the last segment lasts to the end of the cycle.
    offsets: Vec<u64>,
    states: Vec<GateStates>,
    /// Per segment: when each gate changes next.
    changes: Vec<Changes>,
    windows: [Window; TrafficClass::COUNT],
    entries_never_run: usize,
}

/// When each gate first differs from its state in a segment, by class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changes {
    /// Offsets from the start of a cycle; [`NEVER`] for a gate that never changes.
    offsets: [u64; TrafficClass::COUNT],
    /// A set bit: the offset is one of the next cycle.
    wraps: u8,
}

impl Changes {
    const NONE: Changes = Changes {
        offsets: [NEVER; TrafficClass::COUNT],
        wraps: 0,
    };

    /// The instant of the change of `class`, in a cycle that starts at `start` and is followed by
    /// one that starts at `next_start`; `u64::MAX` for none.
    #[inline]
    pub fn instant(&self, class: TrafficClass, start: u64, next_start: u64) -> u64 {
        let wraps = self.wraps & (1 << class.as_u8()) != 0;
        let cycle_start = if wraps { next_start } else { start };
        cycle_start.saturating_add(self.offsets[class.index()])
    }
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
            windows: [Window::Never; TrafficClass::COUNT],
            entries_never_run: entries.len() - entries_run,
            offsets,
            states,
        };
        for class in TrafficClass::ALL {
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

    /// When the gates change that are as they are in segment `index`.
    pub fn changes(&self, index: usize) -> &Changes {
        &self.changes[index]
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
        let open_at_start = self.states[0].is_open(class);
        let first_change = self.changes[0].offsets[class.index()];
        if first_change == NEVER {
            return if open_at_start {
                Window::Always
            } else {
                Window::Never
            };
        }
        let first_closed = if open_at_start { first_change } else { 0 };
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

fn next_changes(offsets: &[u64], states: &[GateStates]) -> Vec<Changes> {
    let mut changes = vec![Changes::NONE; offsets.len()];
    for class in TrafficClass::ALL {
        let is_open = |index: usize| states[index].is_open(class);
        // What the gate of a segment at the end of the cycle changes to, in the next cycle.
        let first_with = |open: bool| {
            let index = (0..offsets.len()).find(|index| is_open(*index) == open);
            index.map_or(NEVER, |index| offsets[index])
        };
        let first = [first_with(false), first_with(true)];
        let (mut offset, mut wraps) = (NEVER, true);
        for index in (0..offsets.len()).rev() {
            if index + 1 == offsets.len() {
                offset = first[usize::from(!is_open(index))];
            } else if is_open(index) != is_open(index + 1) {
                (offset, wraps) = (offsets[index + 1], false);
            }
            changes[index].offsets[class.index()] = offset;
            changes[index].wraps |= u8::from(wraps) << class.as_u8();
        }
    }
    changes
}
