//! A running quantile without memory.

/// The smallest step, in nanoseconds.
const SHORTEST_STEP_NS: i64 = 10;
/// A step is this fraction of the value, so that it follows a slow device as quickly as a fast one.
const STEPS_TO_DOUBLE: i64 = 32;

/// Which quantile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantile {
    /// A tenth of the observations is below it.
    LowerDecile,
    /// Half of them are.
    Median,
}

impl Quantile {
    const fn tenths(self) -> i64 {
        match self {
            Self::LowerDecile => 1,
            Self::Median => 5,
        }
    }
}

/// Follows a quantile of durations by steps towards each observation (a "frugal" quantile): a single outlier moves it
/// by one step, whatever its size, and it costs neither memory nor sorting.
#[derive(Debug, Clone, Copy)]
pub struct RunningQuantile {
    quantile: Quantile,
    ns: i64,
    observations: u32,
}

impl RunningQuantile {
    /// Sets out from these durations; from 0 if there are none.
    pub fn from_durations_ns(quantile: Quantile, durations_ns: &mut [u64]) -> Self {
        durations_ns.sort_unstable();
        let index = durations_ns.len() * quantile.tenths() as usize / 10;
        let ns = durations_ns.get(index).copied().unwrap_or_default() as i64;
        Self {
            quantile,
            ns,
            observations: durations_ns.len() as u32,
        }
    }

    /// Its value so far, in nanoseconds.
    pub fn ns(self) -> u64 {
        self.ns as u64
    }

    /// How many observations it rests on.
    pub fn observations(self) -> u32 {
        self.observations
    }

    /// One duration more.
    pub fn observe(&mut self, duration_ns: u64) {
        let step = (self.ns / STEPS_TO_DOUBLE).max(SHORTEST_STEP_NS) / 5;
        // In balance, the steps up and down add up to nothing where the wanted share lies below.
        let up = step * self.quantile.tenths();
        let down = step * (10 - self.quantile.tenths());
        self.observations = self.observations.saturating_add(1);
        let duration_ns = i64::try_from(duration_ns).unwrap_or(i64::MAX);
        self.ns += (duration_ns - self.ns).clamp(-down, up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_settles_at_its_quantile_whatever_the_outliers() {
        for (quantile, around) in [(Quantile::LowerDecile, 2_720), (Quantile::Median, 2_810)] {
            let mut running = RunningQuantile::from_durations_ns(quantile, &mut []);
            for i in 0..8_000u64 {
                running.observe(if i % 10 == 0 {
                    5_000_000
                } else {
                    2_700 + i * 37 % 200
                });
            }
            assert!(
                running.ns().abs_diff(around) < 200,
                "{quantile:?}: {}",
                running.ns()
            );
        }
    }

    #[test]
    fn it_starts_from_what_is_known() {
        for (quantile, expected) in [(Quantile::Median, 2_500), (Quantile::LowerDecile, 2_000)] {
            let mut durations = [9_000_000, 2_000, 2_500, 3_000, 2_400];
            let running = RunningQuantile::from_durations_ns(quantile, &mut durations);
            assert_eq!((running.ns(), running.observations()), (expected, 5));
        }
        assert_eq!(
            RunningQuantile::from_durations_ns(Quantile::Median, &mut []).ns(),
            0
        );
    }
}
