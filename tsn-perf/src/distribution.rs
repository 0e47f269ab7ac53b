//! Distributions of signed nanoseconds: a frame may be early as well as late.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Where a set of signed values lies. The unit is that of the values; everywhere in this crate it is ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// The least value.
    pub min: i64,
    /// The median.
    pub p50: i64,
    /// 90 of 100 values are at most this.
    pub p90: i64,
    /// 99 of 100 values are at most this.
    pub p99: i64,
    /// 999 of 1000 values are at most this.
    pub p999: i64,
    /// The greatest value.
    pub max: i64,
}

impl Distribution {
    /// The distribution of `values`. `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = i64>) -> Option<Self> {
        let mut histogram = SignedHistogram::new();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram.distribution()
    }
}

/// Counts signed values in constant memory, with three significant digits; the ends are exact.
#[derive(Clone, Debug)]
pub struct SignedHistogram {
    below_zero: Histogram<u64>,
    from_zero: Histogram<u64>,
    min: i64,
    max: i64,
}

impl SignedHistogram {
    /// An empty histogram.
    pub fn new() -> Self {
        // Three digits are within the library's limits, so that this cannot fail.
        let empty = Histogram::new(3).expect("3 significant digits are valid");
        Self {
            below_zero: empty.clone(),
            from_zero: empty,
            min: i64::MAX,
            max: i64::MIN,
        }
    }

    /// Counts one value.
    pub fn record(&mut self, value: i64) {
        let side = if value < 0 {
            &mut self.below_zero
        } else {
            &mut self.from_zero
        };
        let magnitude = value.unsigned_abs();
        // It grows as needed; only where usize has 32 bits can that fail, and the largest bucket counts.
        if side.record(magnitude).is_err() {
            side.saturating_record(magnitude);
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.below_zero.len() + self.from_zero.len()
    }

    /// The distribution of what was counted. `None` if that is nothing.
    pub fn distribution(&self) -> Option<Distribution> {
        if self.count() == 0 {
            return None;
        }
        Some(Distribution {
            min: self.min,
            p50: self.at_rank(500),
            p90: self.at_rank(900),
            p99: self.at_rank(990),
            p999: self.at_rank(999),
            max: self.max,
        })
    }

    /// The least recorded value that at least `per_mille` of all values do not exceed.
    fn at_rank(&self, per_mille: u64) -> i64 {
        let rank = (u128::from(self.count()) * u128::from(per_mille)).div_ceil(1000) as u64;
        let rank = rank.max(1);
        let negatives = self.below_zero.len();
        let value = if rank <= negatives {
            -magnitude_at(&self.below_zero, negatives - rank + 1)
        } else {
            magnitude_at(&self.from_zero, rank - negatives)
        };
        value.clamp(self.min, self.max)
    }
}

impl Default for SignedHistogram {
    fn default() -> Self {
        Self::new()
    }
}

fn magnitude_at(histogram: &Histogram<u64>, rank: u64) -> i64 {
    let mut seen = 0;
    for step in histogram.iter_recorded() {
        seen += step.count_at_value();
        if seen >= rank {
            return i64::try_from(step.value_iterated_to()).unwrap_or(i64::MAX);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_distribution() {
        assert_eq!(Distribution::of([]), None);
    }

    #[test]
    fn small_values_on_both_sides_of_zero_are_exact() {
        let expected = Distribution {
            min: -500,
            p50: -1,
            p90: 399,
            p99: 489,
            p999: 498,
            max: 499,
        };
        assert_eq!(Distribution::of(-500..500), Some(expected));
    }

    #[test]
    fn one_value_is_all_of_its_distribution() {
        for value in [-7, 0, 123_456_789, i64::MAX, i64::MIN] {
            let Distribution {
                min,
                p50,
                p90,
                p99,
                p999,
                max,
            } = Distribution::of([value]).unwrap();
            assert_eq!([min, p50, p90, p99, p999, max], [value; 6]);
        }
    }

    #[test]
    fn large_values_keep_three_digits_and_exact_ends() {
        let values = (1..=1000).map(|step| step * -1_000_003);
        let distribution = Distribution::of(values).unwrap();
        assert_eq!(
            (distribution.min, distribution.max),
            (-1_000_003_000, -1_000_003)
        );
        let expected = -501 * 1_000_003;
        assert!(
            (distribution.p50 - expected).abs() <= -expected / 1000,
            "{distribution:?}"
        );
    }
}
