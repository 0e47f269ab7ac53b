//! How far off a stream's frames have been lately.

use tsn_core::TaiTime;

/// The minute is kept in so many slots; what is older leaves one slot at a time.
const SLOTS: usize = 12;
const SLOT_NS: u64 = 60_000_000_000 / SLOTS as u64;

/// The error of largest magnitude in the last minute (55 to 60 s), in bounded memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorstLastMinute {
    slots: [Slot; SLOTS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Time since the epoch in slots; one that is not of the last minute holds nothing.
    number: u64,
    worst_ns: i64,
}

impl WorstLastMinute {
    /// Takes note of an error at an instant.
    pub fn record(&mut self, at: TaiTime, error_ns: i64) {
        let number = at.as_nanos() / SLOT_NS;
        let slot = &mut self.slots[(number % SLOTS as u64) as usize];
        if slot.number != number {
            *slot = Slot {
                number,
                worst_ns: error_ns,
            };
        } else if error_ns.unsigned_abs() > slot.worst_ns.unsigned_abs() {
            slot.worst_ns = error_ns;
        }
    }

    /// The worst of the minute before `now`; `None` if there was no error.
    pub fn get(&self, now: TaiTime) -> Option<i64> {
        let last = now.as_nanos() / SLOT_NS;
        let first = (last + 1).saturating_sub(SLOTS as u64).max(1);
        self.slots
            .iter()
            .filter(|slot| (first..=last).contains(&slot.number))
            .map(|slot| slot.worst_ns)
            .max_by_key(|worst_ns| worst_ns.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_s(seconds: u64) -> TaiTime {
        TaiTime::from_nanos(1_000_000_000_000 + seconds * 1_000_000_000)
    }

    #[test]
    fn the_worst_by_magnitude_keeps_its_sign_and_is_forgotten_after_a_minute() {
        let mut worst = WorstLastMinute::default();
        assert_eq!(worst.get(at_s(0)), None);
        worst.record(at_s(0), -900);
        worst.record(at_s(1), 700);
        worst.record(at_s(30), 800);
        assert_eq!(worst.get(at_s(54)), Some(-900));
        assert_eq!(worst.get(at_s(60)), Some(800));
        assert_eq!(worst.get(at_s(91)), None);
    }

    #[test]
    fn a_slot_is_begun_anew_each_minute() {
        let mut worst = WorstLastMinute::default();
        worst.record(at_s(2), 5_000);
        worst.record(at_s(62), 10);
        assert_eq!(worst.get(at_s(62)), Some(10));
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nothing_behind() {
        let mut worst = WorstLastMinute::default();
        worst.record(at_s(1_000), i64::MIN);
        assert_eq!(worst.get(at_s(10)), None);
        worst.record(at_s(10), -3);
        assert_eq!(worst.get(at_s(10)), Some(-3));
    }
}
