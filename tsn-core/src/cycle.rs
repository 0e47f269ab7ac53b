//! The exact arithmetic of cycle starts.
//!
//! A cycle time is a rational number of seconds, so cycle starts are rational too. Cycle `n` of a
//! schedule begins at `base + n·cycle`, rounded up to the nanosecond; nothing is ever accumulated
//! from rounded values, so 1/3000 s does not drift.

use crate::time::{Nanoseconds, TaiTime};

/// A cycle time as an exact fraction of a second (IEEE 802.1Q 12.29, `AdminCycleTime`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CycleTime {
    /// Numerator, in seconds; not zero.
    pub numerator: u32,
    /// Denominator; not zero.
    pub denominator: u32,
}

/// The sequence of cycle starts: base time and a cycle of `period / divisor` nanoseconds, at least
/// 1 ns.
#[derive(Clone, Debug)]
pub(crate) struct Cycles {
    base: u64,
    /// Numerator of the cycle time in nanoseconds.
    period: u64,
    /// Denominator of the cycle time in nanoseconds.
    divisor: u64,
    /// `period / divisor` and the remainder.
    whole: u64,
    remainder: u64,
}

/// One cycle: `[start, next_start)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cycle {
    pub start: u64,
    /// `u64::MAX` stands for "beyond all time".
    pub next_start: u64,
    /// Numerator of what `next_start` was rounded up by, as a fraction of the divisor.
    excess: u64,
}

impl Cycle {
    pub fn contains(&self, t: u64) -> bool {
        self.start <= t && t < self.next_start
    }
}

impl Cycles {
    /// `period / divisor` nanoseconds must be at least 1.
    pub fn new(base: TaiTime, period: u64, divisor: u64) -> Self {
        let common = greatest_common_divisor(period, divisor);
        let (period, divisor) = (period / common, divisor / common);
        debug_assert!(period >= divisor);
        Cycles {
            base: base.as_nanos(),
            period,
            divisor,
            whole: period / divisor,
            remainder: period % divisor,
        }
    }

    /// The cycle time, rounded down to the nanosecond.
    pub fn floor(&self) -> u64 {
        self.whole
    }

    /// The cycle time, rounded up to the nanosecond.
    pub fn ceil(&self) -> u64 {
        self.whole + u64::from(self.remainder != 0)
    }

    /// The cycle that contains `t`; cycle 0 for a `t` before the base time.
    pub fn containing(&self, t: u64) -> Cycle {
        let elapsed = t.saturating_sub(self.base);
        let number = if self.divisor == 1 {
            u128::from(elapsed / self.period)
        } else {
            u128::from(elapsed) * u128::from(self.divisor) / u128::from(self.period)
        };
        let next_start = self.start_exceeding(number + 1);
        Cycle {
            start: self.start_exceeding(number).0,
            next_start: next_start.0,
            excess: next_start.1,
        }
    }

    /// The cycle after `cycle`, without a division.
    pub fn following(&self, cycle: &Cycle) -> Cycle {
        // The exact start is `next_start − excess/divisor`; the next one lies `whole +
        // remainder/divisor` later.
        let (carry, excess) = if cycle.excess >= self.remainder {
            (0, cycle.excess - self.remainder)
        } else {
            (1, cycle.excess + self.divisor - self.remainder)
        };
        Cycle {
            start: cycle.next_start,
            next_start: cycle
                .next_start
                .saturating_add(self.whole)
                .saturating_add(carry),
            excess,
        }
    }

    /// The start of the first cycle that begins (rounded up) at or after `t`; `None` beyond all
    /// time.
    pub fn first_start_from(&self, t: u64) -> Option<u64> {
        self.representable(self.first_number_from(t))
    }

    /// The start of the last cycle that begins before the first start at or after `t`; cycle 0 if
    /// none.
    pub fn last_start_before_first_from(&self, t: u64) -> Option<u64> {
        self.representable(self.first_number_from(t).saturating_sub(1))
    }

    /// `base + n·cycle` with the smallest `n` that gives at least `now`, rounded up afterwards
    /// (ConfigChangeTime, 8.6.9.3.1). Saturates at `u64::MAX`.
    pub fn config_change_time(&self, now: u64) -> u64 {
        let elapsed = u128::from(now.saturating_sub(self.base));
        self.start_exceeding((elapsed * u128::from(self.divisor)).div_ceil(u128::from(self.period)))
            .0
    }

    /// The number of the first cycle whose rounded start is at least `t`.
    fn first_number_from(&self, t: u64) -> u128 {
        if t <= self.base {
            return 0;
        }
        // Rounded up, a start is at least t exactly if it exceeds t − 1.
        u128::from(t - 1 - self.base) * u128::from(self.divisor) / u128::from(self.period) + 1
    }

    fn representable(&self, number: u128) -> Option<u64> {
        Some(self.start_exceeding(number).0).filter(|start| *start != u64::MAX)
    }

    /// The rounded start of cycle `number`, saturating, and the numerator of the excess.
    fn start_exceeding(&self, number: u128) -> (u64, u64) {
        let exact = number * u128::from(self.period);
        let (offset, excess) = if self.divisor == 1 {
            (exact, 0)
        } else {
            let divisor = u128::from(self.divisor);
            let offset = exact.div_ceil(divisor);
            (offset, (offset * divisor - exact) as u64)
        };
        let start = u64::try_from(offset)
            .unwrap_or(u64::MAX)
            .saturating_add(self.base);
        (start, excess)
    }
}

/// The numerator, over `denominator`, of `cycle_time` in nanoseconds.
pub(crate) fn nanosecond_numerator(cycle_time: CycleTime) -> u64 {
    u64::from(cycle_time.numerator) * 1_000_000_000
}

/// The longest time that `interval` runs: an interval of zero runs for one nanosecond (8.6.9.2.1).
pub(crate) fn executed(interval: Nanoseconds) -> u64 {
    interval.as_nanos().max(1)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
