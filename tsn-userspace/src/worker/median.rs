//! A running median without memory.

/// The smallest step, in nanoseconds.
const SHORTEST_STEP_NS: i64 = 10;
/// A step is this fraction of the median, so that it follows a slow device as quickly as a fast one.
const STEPS_TO_DOUBLE: i64 = 64;

/// Follows the median of durations by steps towards each observation (a "frugal" quantile): a single outlier moves it
/// by one step, whatever its size, and it costs neither memory nor sorting.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunningMedian {
    ns: i64,
    observations: u32,
}

impl RunningMedian {
    /// Sets out from the median of these durations; from 0 if there are none.
    pub fn from_durations_ns(durations_ns: &mut [u64]) -> Self {
        durations_ns.sort_unstable();
        let median_ns = durations_ns.get(durations_ns.len() / 2).copied().unwrap_or_default();
        Self { ns: median_ns as i64, observations: durations_ns.len() as u32 }
    }

    /// The median so far, in nanoseconds.
    pub fn ns(self) -> u64 {
        self.ns as u64
    }

    /// How many observations it rests on.
    pub fn observations(self) -> u32 {
        self.observations
    }

    /// One duration more.
    pub fn observe(&mut self, duration_ns: u64) {
        let step = (self.ns / STEPS_TO_DOUBLE).max(SHORTEST_STEP_NS);
        self.observations = self.observations.saturating_add(1);
        let duration_ns = i64::try_from(duration_ns).unwrap_or(i64::MAX);
        self.ns += (duration_ns - self.ns).clamp(-step, step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_settles_at_the_median_whatever_the_outliers() {
        let mut median = RunningMedian::default();
        for i in 0..4_000u64 {
            median.observe(if i % 10 == 0 { 5_000_000 } else { 2_700 + i % 200 });
        }
        assert!((2_650..=2_950).contains(&median.ns()), "{}", median.ns());
    }

    #[test]
    fn it_starts_from_the_median_of_what_is_known() {
        let mut durations = [9_000_000, 2_000, 2_500, 3_000, 2_400];
        assert_eq!(RunningMedian::from_durations_ns(&mut durations).ns(), 2_500);
        assert_eq!(RunningMedian::from_durations_ns(&mut []).ns(), 0);
    }
}
