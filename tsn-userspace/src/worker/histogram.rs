//! How far from their launch times frames left.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets, in nanoseconds of departure − launch time; the last bucket has none.
pub const BOUNDS_NS: [i64; 19] = [
    -10_000, -5_000, -2_000, -1_000, -500, -200, 0, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000,
    50_000, 100_000, 500_000, 1_000_000, 10_000_000,
];

/// A histogram of departure − launch time, with fixed buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LaunchErrors {
    /// Frames by bucket; bucket i holds errors up to `BOUNDS_NS[i]`, the last one the rest.
    pub buckets: [u64; BOUNDS_NS.len() + 1],
    /// Sum of the errors, in nanoseconds.
    pub sum_ns: i64,
}

impl LaunchErrors {
    /// Counts one frame.
    pub fn record(&mut self, error_ns: i64) {
        self.buckets[BOUNDS_NS.partition_point(|bound| *bound < error_ns)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(error_ns);
    }

    /// Frames counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_falls_into_the_bucket_that_bounds_it() {
        let mut errors = LaunchErrors::default();
        for error in [i64::MIN / 2, -10_000, 0, 1, 200, 201, i64::MAX / 2] {
            errors.record(error);
        }
        assert_eq!(errors.buckets[0], 2);
        assert_eq!(errors.buckets[6], 1);
        assert_eq!(errors.buckets[7], 2);
        assert_eq!(errors.buckets[8], 1);
        assert_eq!(errors.buckets[19], 1);
        assert_eq!(errors.count(), 7);
    }
}
