//! A device's free-running clock, and CLOCK_TAI.

/// Bits of a rate behind the point.
const FRACTION_BITS: u32 = 40;

/// Both clocks at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// CLOCK_TAI in nanoseconds: the middle between a look before and one after.
    pub tai_ns: u64,
    /// The device's clock, in its own unit.
    pub ticks: u64,
    /// How far apart the two looks were, in nanoseconds: the sample is off by half of it at most.
    pub bracket_ns: u64,
}

/// What the device's clock shows at an instant of CLOCK_TAI, as far as two samples tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Relation {
    anchor: Sample,
    /// Ticks in a nanosecond, with [`FRACTION_BITS`] behind the point.
    ticks_per_ns: u64,
}

impl Relation {
    /// The straight line through two samples. `None` if one of the clocks did not run from `first` to `second`.
    pub fn through(first: Sample, second: Sample) -> Option<Self> {
        let ns = second.tai_ns.checked_sub(first.tai_ns)?;
        let ticks = second.ticks.checked_sub(first.ticks)?;
        let rate = (u128::from(ticks) << FRACTION_BITS).checked_div(u128::from(ns))?;
        Some(Self {
            anchor: second,
            ticks_per_ns: u64::try_from(rate).ok().filter(|&rate| rate > 0)?,
        })
    }

    /// The same rate, through another sample: after CLOCK_TAI was set, or the device's clock.
    pub fn moved_to(self, anchor: Sample) -> Self {
        Self { anchor, ..self }
    }

    /// What the device's clock shows at `tai_ns`; a clock that would show less than 0 shows 0.
    pub fn ticks_at(&self, tai_ns: u64) -> u64 {
        let since_ns = i128::from(tai_ns) - i128::from(self.anchor.tai_ns);
        let since = (since_ns * i128::from(self.ticks_per_ns)) >> FRACTION_BITS;
        u64::try_from(i128::from(self.anchor.ticks) + since).unwrap_or(0)
    }

    /// How far a sample is from the line, in nanoseconds of CLOCK_TAI.
    pub fn error_ns(&self, sample: Sample) -> u64 {
        let ticks = self.ticks_at(sample.tai_ns).abs_diff(sample.ticks);
        let ns = (u128::from(ticks) << FRACTION_BITS) / u128::from(self.ticks_per_ns);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;
    /// Some day of 2026.
    const NOW_NS: u64 = 1_795_000_000 * SECOND_NS;

    /// A clock of so many ticks in 1000 s that showed 10^12 at `NOW_NS`.
    fn sample(ticks_per_1000_s: u64, after_ns: u64) -> Sample {
        let ticks = u128::from(after_ns) * u128::from(ticks_per_1000_s) / 1_000_000_000_000;
        Sample {
            tai_ns: NOW_NS + after_ns,
            ticks: 1_000_000_000_000 + ticks as u64,
            bracket_ns: 0,
        }
    }

    #[test]
    fn a_second_beyond_the_samples_is_foretold_to_a_tick() {
        // 1 GHz, a NIC's 156.25 MHz that is 37 ppm fast, 2.1 GHz, 1 kHz.
        for rate in [
            1_000_000_000_000,
            156_255_781_250,
            2_100_000_000_000,
            1_000_000,
        ] {
            let relation = Relation::through(sample(rate, 0), sample(rate, SECOND_NS)).unwrap();
            for after_ns in [0, 1, SECOND_NS, SECOND_NS + 123_456_789, 2 * SECOND_NS] {
                let expected = sample(rate, after_ns);
                let found = relation.ticks_at(expected.tai_ns);
                assert!(
                    found.abs_diff(expected.ticks) <= 1,
                    "{rate} ticks in 1000 s, {after_ns} ns: {found} instead of {}",
                    expected.ticks
                );
            }
        }
    }

    #[test]
    fn a_clock_that_stood_still_or_ran_backwards_tells_nothing() {
        let (early, late) = (
            sample(1_000_000_000_000, 0),
            sample(1_000_000_000_000, SECOND_NS),
        );
        assert_eq!(Relation::through(early, early), None);
        assert_eq!(Relation::through(late, early), None);
        let stopped = Sample {
            ticks: early.ticks,
            ..late
        };
        assert_eq!(Relation::through(early, stopped), None);
    }

    #[test]
    fn a_step_is_seen_and_followed() {
        let rate = 156_250_000_000;
        let relation = Relation::through(sample(rate, 0), sample(rate, SECOND_NS)).unwrap();
        assert!(
            relation.error_ns(sample(rate, 2 * SECOND_NS)) <= 7,
            "a tick is 6.4 ns"
        );
        // CLOCK_TAI is set back by 37 s.
        let mut stepped = sample(rate, 2 * SECOND_NS);
        stepped.tai_ns -= 37 * SECOND_NS;
        assert!(relation.error_ns(stepped).abs_diff(37 * SECOND_NS) < 1_000);
        let moved = relation.moved_to(stepped);
        assert_eq!(moved.ticks_at(stepped.tai_ns), stepped.ticks);
        assert_eq!(
            moved.ticks_at(stepped.tai_ns + 64),
            stepped.ticks + 10,
            "at the same rate"
        );
    }

    #[test]
    fn before_the_clock_began_it_shows_zero() {
        let rate = 1_000_000_000_000;
        let relation = Relation::through(sample(rate, 0), sample(rate, SECOND_NS)).unwrap();
        assert_eq!(relation.ticks_at(0), 0);
    }
}
