//! Times at which the worker's core was taken away.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tsn_core::{Nanoseconds, TaiTime, TrafficClass};

use super::quantile::{Quantile, RunningQuantile};

/// Stalls that are kept for reports; older ones are forgotten, but stay counted.
const KEPT: usize = 16_384;

/// Upper bounds of the buckets of [`StallTotals::lengths`], in nanoseconds; the last bucket has none. What is no
/// longer than `stall-threshold` (10 µs by default) is no stall.
pub const LENGTH_BOUNDS_NS: [u64; 13] = [
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    1_000_000_000,
];

/// A time in which the worker did not run though it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Stall {
    /// The last sign of the worker before it, TAI nanoseconds.
    pub begin_ns: u64,
    /// The first sign after it, or the end of the wake-up that sent the last frame it delayed; TAI nanoseconds.
    pub end_ns: u64,
    /// Frames that it touched.
    pub frames: u32,
}

/// Finds stalls by reading the clock around everything, and remembers them.
#[derive(Debug)]
pub struct StallLog {
    threshold: Nanoseconds,
    /// What a wake-up takes when nothing is wrong, by class: on a virtual device it includes the receiver's work, and
    /// receivers differ.
    usual_wake_up: [RunningQuantile; TrafficClass::COUNT],
    recent: VecDeque<Stall>,
    totals: StallTotals,
}

/// Sums over all stalls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StallTotals {
    /// How many.
    pub count: u64,
    /// Their lengths together, in nanoseconds.
    pub total_ns: u64,
    /// The longest, in nanoseconds.
    pub longest_ns: u64,
    /// Frames that they touched.
    pub frames: u64,
    /// Stalls by length: bucket i holds those of up to `LENGTH_BOUNDS_NS[i]`, the last one the rest.
    #[serde(default)]
    pub lengths: [u64; LENGTH_BOUNDS_NS.len() + 1],
}

impl StallLog {
    /// Gaps beyond `threshold` are stalls, and wake-ups that take so much longer than usual.
    /// Until some have been seen, `usual_wake_up` is what they are taken to be.
    pub fn new(threshold: Nanoseconds, usual_wake_up: Nanoseconds) -> Self {
        let usual_wake_up =
            RunningQuantile::from_durations_ns(Quantile::Median, &mut [usual_wake_up.as_nanos()]);
        Self {
            threshold,
            usual_wake_up: [usual_wake_up; TrafficClass::COUNT],
            recent: VecDeque::with_capacity(KEPT),
            totals: StallTotals::default(),
        }
    }

    /// What counts as a stall.
    pub fn threshold(&self) -> Nanoseconds {
        self.threshold
    }

    /// The worker was seen at `begin` and next at `end`. Whether that was a stall.
    pub fn observe(&mut self, begin: TaiTime, end: TaiTime) -> bool {
        self.observe_beyond(self.threshold, begin, end)
    }

    fn observe_beyond(&mut self, threshold: Nanoseconds, begin: TaiTime, end: TaiTime) -> bool {
        let gap = end - begin;
        if gap <= threshold {
            return false;
        }
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(Stall {
            begin_ns: begin.as_nanos(),
            end_ns: end.as_nanos(),
            frames: 0,
        });
        self.totals.count += 1;
        let length = LENGTH_BOUNDS_NS.partition_point(|bound| *bound < gap.as_nanos());
        self.totals.lengths[length] += 1;
        self.totals.total_ns += gap.as_nanos();
        self.totals.longest_ns = self.totals.longest_ns.max(gap.as_nanos());
        true
    }

    /// A frame that should have left at `due` left in a wake-up from `decision` to `left`, alone or as the first of
    /// `frames`, of which the others usually make the wake-up longer by `further`. Whether a stall touched them: the
    /// wake-up itself stalled, or the frame came due while the worker was away.
    pub fn touches(
        &mut self,
        class: TrafficClass,
        due: Option<TaiTime>,
        decision: TaiTime,
        left: TaiTime,
        frames: u32,
        further: Nanoseconds,
    ) -> bool {
        let usual = &mut self.usual_wake_up[class.index()];
        let threshold = self.threshold + Nanoseconds::from_nanos(usual.ns()) + further;
        if frames == 1 {
            usual.observe((left - decision).as_nanos());
        }
        let was_away = due.is_some_and(|due| self.was_away_at(due, left));
        let in_wake = self.observe_beyond(threshold, decision, left);
        if in_wake && let Some(stall) = self.recent.back_mut() {
            stall.frames += frames;
        }
        let touched = in_wake || was_away;
        self.totals.frames += if touched { u64::from(frames) } else { 0 };
        touched
    }

    /// The latest stall came between the decision on so many frames and the wake-up that sent them, up to `left`.
    pub fn delayed(&mut self, frames: u32, left: TaiTime) {
        if let Some(stall) = self.recent.back_mut() {
            stall.end_ns = stall.end_ns.max(left.as_nanos());
            stall.frames += frames;
        }
        self.totals.frames += u64::from(frames);
    }

    /// A frame that should have left at `due` was dropped at `now`. Whether a stall was to blame.
    pub fn blamed_for(&mut self, due: TaiTime, now: TaiTime) -> bool {
        let was_away = self.was_away_at(due, now);
        self.totals.frames += u64::from(was_away);
        was_away
    }

    /// Whether the worker was away at `due`; if so, the stall lasts until `until` for the frame, and has one more.
    fn was_away_at(&mut self, due: TaiTime, until: TaiTime) -> bool {
        let due_ns = due.as_nanos();
        let mut not_over = self
            .recent
            .iter_mut()
            .rev()
            .take_while(|stall| stall.end_ns >= due_ns);
        let Some(stall) = not_over.find(|stall| stall.begin_ns <= due_ns) else {
            return false;
        };
        stall.end_ns = stall.end_ns.max(until.as_nanos());
        stall.frames += 1;
        true
    }

    /// The sums so far.
    pub fn totals(&self) -> StallTotals {
        self.totals
    }

    /// The stalls that are remembered, oldest first, appended to `into` as far as its capacity reaches.
    pub fn copy_recent(&self, into: &mut Vec<Stall>) {
        let room = into.capacity() - into.len();
        into.extend(
            self.recent
                .iter()
                .skip(self.recent.len().saturating_sub(room)),
        );
    }

    /// How many stalls are kept at most.
    pub const fn capacity() -> usize {
        KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASS: TrafficClass = TrafficClass::ALL[5];

    fn at(ns: u64) -> TaiTime {
        TaiTime::from_nanos(ns)
    }

    #[test]
    fn a_frame_due_while_the_worker_was_away_is_touched() {
        let mut log = StallLog::new(Nanoseconds::from_nanos(10_000), Nanoseconds::ZERO);
        assert!(!log.observe(at(0), at(10_000)));
        assert!(log.observe(at(10_000), at(60_000)));
        assert!(log.touches(
            CLASS,
            Some(at(20_000)),
            at(60_100),
            at(63_000),
            1,
            Nanoseconds::ZERO
        ));
        assert!(!log.touches(
            CLASS,
            Some(at(70_000)),
            at(70_000),
            at(73_000),
            1,
            Nanoseconds::ZERO
        ));
        assert!(!log.touches(CLASS, None, at(80_000), at(83_000), 1, Nanoseconds::ZERO));
        assert_eq!(
            log.totals(),
            StallTotals {
                count: 1,
                total_ns: 50_000,
                longest_ns: 50_000,
                frames: 1,
                lengths: [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            }
        );
    }

    #[test]
    fn all_frames_that_came_due_in_a_stall_are_touched_also_dropped_ones() {
        let mut log = StallLog::new(Nanoseconds::from_nanos(10_000), Nanoseconds::ZERO);
        assert!(log.observe(at(0), at(1_000_000)));
        // The first one's wake-up is a stall of its own.
        assert!(log.touches(
            CLASS,
            Some(at(100_000)),
            at(1_000_000),
            at(1_100_000),
            1,
            Nanoseconds::ZERO
        ));
        assert!(log.touches(
            CLASS,
            Some(at(200_000)),
            at(1_100_000),
            at(1_103_000),
            1,
            Nanoseconds::ZERO
        ));
        assert!(log.blamed_for(at(300_000), at(1_103_000)));
        assert!(!log.blamed_for(at(2_000_000), at(2_100_000)));
        assert_eq!(log.totals().frames, 3);
    }

    #[test]
    fn a_stall_between_decision_and_wake_up_lasts_until_the_frames_have_left() {
        let mut log = StallLog::new(Nanoseconds::from_nanos(10_000), Nanoseconds::ZERO);
        assert!(log.observe(at(0), at(50_000)));
        log.delayed(3, at(54_000));
        let mut stalls = Vec::with_capacity(1);
        log.copy_recent(&mut stalls);
        assert_eq!((stalls[0].end_ns, stalls[0].frames), (54_000, 3));
        assert_eq!(log.totals().frames, 3);
    }

    #[test]
    fn a_wake_up_that_takes_too_long_touches_its_frame() {
        let mut log = StallLog::new(Nanoseconds::from_nanos(10_000), Nanoseconds::ZERO);
        assert!(log.touches(CLASS, None, at(0), at(2_000_000), 1, Nanoseconds::ZERO));
        let mut stalls = Vec::with_capacity(4);
        log.copy_recent(&mut stalls);
        assert_eq!(
            stalls,
            [Stall {
                begin_ns: 0,
                end_ns: 2_000_000,
                frames: 1
            }]
        );
    }
}
