//! How much earlier the worker must act so that the frame is on the wire in time.

use tsn_core::Nanoseconds;

/// Largest lead that is believed; a device that takes longer is not one to launch frames with.
const MAX_LEAD_NS: i64 = 100_000;
/// Observations after which the step is fine.
const COARSE_OBSERVATIONS: u32 = 32;

/// Follows the median time from the worker's decision to the end of the wake-up that put the frame on the wire.
///
/// A median, not a mean: a single stall must not move it. It is tracked by steps towards each observation (a
/// "frugal" quantile), which costs no memory and no sorting in the hot path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lead {
    ns: i64,
    observations: u32,
}

impl Lead {
    /// The lead in force.
    pub fn get(self) -> Nanoseconds {
        Nanoseconds::from_nanos(self.ns as u64)
    }

    /// How many wake-ups were measured so far.
    pub fn observations(self) -> u32 {
        self.observations
    }

    /// Sets out from the median of the start's probes.
    pub fn from_probes(durations_ns: &mut [u64]) -> Self {
        if durations_ns.is_empty() {
            return Self::default();
        }
        durations_ns.sort_unstable();
        let median = durations_ns[durations_ns.len() / 2].min(MAX_LEAD_NS as u64);
        Self { ns: median as i64, observations: durations_ns.len() as u32 }
    }

    /// One wake-up took this long from the decision to its end.
    pub fn observe(&mut self, duration: Nanoseconds) {
        let duration_ns = duration.as_nanos().min(MAX_LEAD_NS as u64) as i64;
        let step = if self.observations < COARSE_OBSERVATIONS { 100 } else { 10 };
        self.observations = self.observations.saturating_add(1);
        self.ns += (duration_ns - self.ns).clamp(-step, step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_settles_at_the_median_whatever_the_outliers() {
        let mut lead = Lead::default();
        for i in 0..4_000u64 {
            let duration = if i % 10 == 0 { 5_000_000 } else { 2_700 + i % 200 };
            lead.observe(Nanoseconds::from_nanos(duration));
        }
        let ns = lead.get().as_nanos();
        assert!((2_650..=2_950).contains(&ns), "{ns}");
    }

    #[test]
    fn probes_give_their_median() {
        let mut durations = [9_000_000, 2_000, 2_500, 3_000, 2_400];
        assert_eq!(Lead::from_probes(&mut durations).get().as_nanos(), 2_500);
        assert_eq!(Lead::from_probes(&mut []).get().as_nanos(), 0);
    }
}
