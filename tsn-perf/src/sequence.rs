//! Who of a numbered sequence arrived: losses, duplicates, reordering.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// What a frame's number says, seen from those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Its number is greater than all before.
    InOrder,
    /// Arrived for the first time, after a greater number.
    Reordered,
    /// Arrived before.
    Duplicate,
}

/// Tracks the sequence numbers of one stream, exactly: every number seen is remembered, as one bit.
#[derive(Clone, Debug, Default)]
pub struct SequenceTracker {
    /// Bits of the numbers seen, 64 to a word, by number / 64.
    seen: HashMap<u32, u64>,
    counts: SequenceCounts,
}

/// The figures of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceCounts {
    /// Frames, duplicates among them.
    pub received: u64,
    /// Frames that had arrived before.
    pub duplicated: u64,
    /// Frames that arrived after one with a greater number (RFC 4737), duplicates not among them.
    pub reordered: u64,
    /// Numbers between the first and the last seen that never came. What was lost before the first or
    /// after the last frame only the talker's count can tell.
    pub lost: u64,
    /// Least number seen.
    pub first: u32,
    /// Greatest number seen.
    pub last: u32,
}

impl SequenceTracker {
    /// Notes the arrival of the frame with this number.
    pub fn note(&mut self, sequence: u32) -> Arrival {
        let counts = &mut self.counts;
        let is_first = counts.received == 0;
        counts.received += 1;
        let word = self.seen.entry(sequence / 64).or_default();
        let bit = 1 << (sequence % 64);
        if *word & bit != 0 {
            counts.duplicated += 1;
            return Arrival::Duplicate;
        }
        *word |= bit;
        if is_first || sequence > counts.last {
            if is_first {
                counts.first = sequence;
            }
            counts.last = sequence;
            return Arrival::InOrder;
        }
        counts.first = counts.first.min(sequence);
        counts.reordered += 1;
        Arrival::Reordered
    }

    /// The figures up to now.
    pub fn counts(&self) -> SequenceCounts {
        let counts = self.counts;
        if counts.received == 0 {
            return counts;
        }
        let distinct = counts.received - counts.duplicated;
        let span = u64::from(counts.last - counts.first) + 1;
        SequenceCounts {
            lost: span - distinct,
            ..counts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts_of(sequences: &[u32]) -> SequenceCounts {
        let mut tracker = SequenceTracker::default();
        for &sequence in sequences {
            tracker.note(sequence);
        }
        tracker.counts()
    }

    #[test]
    fn an_empty_stream_lost_nothing() {
        assert_eq!(counts_of(&[]), SequenceCounts::default());
    }

    #[test]
    fn a_gap_is_lost_until_it_is_filled() {
        let with_gap = counts_of(&[0, 1, 4]);
        assert_eq!(
            (with_gap.received, with_gap.lost, with_gap.reordered),
            (3, 2, 0)
        );
        let filled = counts_of(&[0, 1, 4, 3, 2]);
        assert_eq!((filled.received, filled.lost, filled.reordered), (5, 0, 2));
    }

    #[test]
    fn a_duplicate_neither_fills_a_gap_nor_counts_as_reordered() {
        let counts = counts_of(&[0, 2, 0, 2, 2]);
        assert_eq!((counts.received, counts.duplicated), (5, 3));
        assert_eq!((counts.lost, counts.reordered), (1, 0));
    }

    #[test]
    fn a_stream_joined_late_counts_from_its_first_number() {
        let counts = counts_of(&[100, 99, 102]);
        assert_eq!((counts.first, counts.last), (99, 102));
        assert_eq!((counts.lost, counts.reordered), (1, 1));
    }

    #[test]
    fn the_greatest_number_costs_no_memory() {
        let counts = counts_of(&[0, u32::MAX]);
        assert_eq!(counts.lost, u64::from(u32::MAX) - 1);
    }

    #[test]
    fn each_arrival_is_named() {
        let mut tracker = SequenceTracker::default();
        let arrivals = [5, 7, 6, 7].map(|sequence| tracker.note(sequence));
        use Arrival::{Duplicate, InOrder, Reordered};
        assert_eq!(arrivals, [InOrder, InOrder, Reordered, Duplicate]);
    }
}
