//! How much earlier the worker must act so that the frame is on the wire in time.

use tsn_core::Nanoseconds;

use super::median::RunningMedian;

/// Largest lead that is believed; a device that takes longer is not one to launch frames with.
const MAX_LEAD_NS: u64 = 100_000;

/// The time from the worker's decision to the frame being on the wire, as the median of what was measured.
///
/// The probes at the start measure it undisturbed. While running, a wake-up of a virtual device may also contain the
/// work of whoever receives the frame on this machine, which says nothing of the way to the wire; so only wake-ups that
/// take at most a quarter longer than the probes are believed.
#[derive(Debug, Clone, Copy)]
pub struct Lead {
    median: RunningMedian,
    believed_up_to_ns: u64,
}

impl Lead {
    /// From the durations of the start's probes.
    pub fn from_probes(durations_ns: &mut [u64]) -> Self {
        let median = RunningMedian::from_durations_ns(durations_ns);
        let believed_up_to_ns = match median.ns() {
            0 => MAX_LEAD_NS,
            ns => MAX_LEAD_NS.min(ns + ns / 4),
        };
        Self { median, believed_up_to_ns }
    }

    /// The lead in force.
    pub fn get(self) -> Nanoseconds {
        Nanoseconds::from_nanos(self.median.ns().min(MAX_LEAD_NS))
    }

    /// How many wake-ups it rests on.
    pub fn observations(self) -> u32 {
        self.median.observations()
    }

    /// One wake-up took this long from the decision to its end.
    pub fn observe(&mut self, duration: Nanoseconds) {
        if duration.as_nanos() <= self.believed_up_to_ns {
            self.median.observe(duration.as_nanos());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_ups_that_contain_the_receivers_work_do_not_move_it() {
        let mut lead = Lead::from_probes(&mut [2_500; 64]);
        for _ in 0..1_000 {
            lead.observe(Nanoseconds::from_nanos(30_000));
        }
        assert_eq!(lead.get().as_nanos(), 2_500);
        for _ in 0..1_000 {
            lead.observe(Nanoseconds::from_nanos(3_000));
        }
        assert_eq!(lead.get().as_nanos(), 3_000);
    }
}
