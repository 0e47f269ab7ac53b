//! A gate control list with its base and cycle time, checked and compiled for lookup.

use thiserror::Error;

use crate::class::{GateStates, TrafficClass};
use crate::cycle::{Cycles, executed, nanosecond_numerator};
use crate::segments::Segments;
use crate::time::{Nanoseconds, TaiTime};

pub use crate::cycle::CycleTime;

/// The most entries that a gate control list may have.
pub const MAX_ENTRIES: usize = 65_536;

/// One entry of a gate control list (IEEE 802.1Q 8.6.8.4, `SetGateStates`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GateControlEntry {
    /// The gate states from the start of the entry.
    pub gate_states: GateStates,
    /// How long the entry runs. Zero runs for 1 ns (8.6.9.2.1).
    pub time_interval: Nanoseconds,
}

/// The administrative parameters of a schedule (IEEE 802.1Q 12.29.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScheduleParameters {
    /// AdminBaseTime: a cycle starts here, and every cycle time before and after it.
    pub base_time: TaiTime,
    /// AdminCycleTime; `None` stands for the sum of the intervals. At least 1 ns.
    pub cycle_time: Option<CycleTime>,
    /// AdminCycleTimeExtension: by how much the last cycle may be stretched when another schedule
    /// replaces this one.
    pub cycle_time_extension: Nanoseconds,
    /// The gate control list: 1 to [`MAX_ENTRIES`] entries. The last entry's states hold until the
    /// cycle starts again; entries that would begin after the cycle's end never run.
    pub entries: Vec<GateControlEntry>,
}

/// Why a schedule was refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ScheduleError {
    /// The list is empty.
    #[error(
        "entries: the gate control list is empty; give at least one entry (or disable the gates)"
    )]
    NoEntries,
    /// The list is too long.
    #[error(
        "entries: {entries} entries exceed the limit of {MAX_ENTRIES}; merge or shorten the list"
    )]
    TooManyEntries {
        /// The number of entries given.
        entries: usize,
    },
    /// The denominator of the cycle time is zero.
    #[error("cycle_time.denominator: 0 is not a denominator; give 1 for whole seconds")]
    ZeroDenominator,
    /// The cycle is shorter than a nanosecond.
    #[error(
        "cycle_time: {numerator}/{denominator} s is shorter than the limit of 1 ns; \
         give a longer cycle, or none for the sum of the intervals"
    )]
    CycleTooShort {
        /// The numerator given.
        numerator: u32,
        /// The denominator given.
        denominator: u32,
    },
    /// The intervals add up to more than 64 bits hold.
    #[error(
        "entries[{entry}].time_interval: {time_interval} makes the sum of the intervals exceed the \
         limit of {limit}; shorten it, the last entry holds until the cycle ends anyway",
        limit = Nanoseconds::MAX
    )]
    IntervalsTooLong {
        /// The index of the entry that passes the limit.
        entry: usize,
        /// Its interval.
        time_interval: Nanoseconds,
    },
}

/// The longest time for which a class can send without a break. Ordered: `Never < Longest(_) <
/// Always`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Window {
    /// The gate never opens.
    Never,
    /// The gate opens for at most this long.
    Longest(Nanoseconds),
    /// The gate never closes.
    Always,
}

/// A checked schedule, compiled so that lookups do not grow with the length of the list.
///
/// Building it allocates and takes time linear in the list: do so in the control plane.
#[derive(Clone, Debug)]
pub struct Schedule {
    parameters: ScheduleParameters,
    pub(crate) cycles: Cycles,
    pub(crate) segments: Segments,
}

impl Schedule {
    /// Checks and compiles `parameters`.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`] names the field, its value, the limit and the way out.
    pub fn new(parameters: ScheduleParameters) -> Result<Self, ScheduleError> {
        let entries = &parameters.entries;
        if entries.is_empty() {
            return Err(ScheduleError::NoEntries);
        }
        if entries.len() > MAX_ENTRIES {
            return Err(ScheduleError::TooManyEntries {
                entries: entries.len(),
            });
        }
        let sum = sum_of_intervals(entries)?;
        let (period, divisor) = match parameters.cycle_time {
            None => (sum, 1),
            Some(CycleTime { denominator: 0, .. }) => return Err(ScheduleError::ZeroDenominator),
            Some(cycle_time) => {
                let CycleTime {
                    numerator,
                    denominator,
                } = cycle_time;
                let period = nanosecond_numerator(cycle_time);
                if period < u64::from(denominator) {
                    return Err(ScheduleError::CycleTooShort {
                        numerator,
                        denominator,
                    });
                }
                (period, u64::from(denominator))
            }
        };
        let cycles = Cycles::new(parameters.base_time, period, divisor);
        let segments = Segments::new(entries, &cycles);
        Ok(Schedule {
            parameters,
            cycles,
            segments,
        })
    }

    /// The parameters that the schedule was made from.
    pub fn parameters(&self) -> &ScheduleParameters {
        &self.parameters
    }

    /// The cycle time, rounded down to the nanosecond.
    pub fn cycle_time(&self) -> Nanoseconds {
        Nanoseconds::from_nanos(self.cycles.floor())
    }

    /// The longest window of `class` while this schedule repeats, open times across the end of the
    /// cycle and across entries counted as one.
    pub fn longest_window(&self, class: TrafficClass) -> Window {
        self.segments.longest_window(class)
    }

    /// How many entries at the end of the list never run because the cycle ends before them.
    pub fn entries_never_run(&self) -> usize {
        self.segments.entries_never_run()
    }
}

fn sum_of_intervals(entries: &[GateControlEntry]) -> Result<u64, ScheduleError> {
    entries.iter().enumerate().try_fold(
        0_u64,
        |sum, (entry, &GateControlEntry { time_interval, .. })| {
            sum.checked_add(executed(time_interval))
                .ok_or(ScheduleError::IntervalsTooLong {
                    entry,
                    time_interval,
                })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(intervals: &[u64], cycle_time: Option<CycleTime>) -> ScheduleParameters {
        let entry = |&ns| GateControlEntry {
            gate_states: GateStates::ALL_OPEN,
            time_interval: Nanoseconds::from_nanos(ns),
        };
        ScheduleParameters {
            base_time: TaiTime::from_nanos(0),
            cycle_time,
            cycle_time_extension: Nanoseconds::ZERO,
            entries: intervals.iter().map(entry).collect(),
        }
    }

    #[test]
    fn faults_are_refused() {
        let refused =
            |intervals: &[u64], cycle| Schedule::new(parameters(intervals, cycle)).unwrap_err();
        let cycle = |numerator, denominator| {
            Some(CycleTime {
                numerator,
                denominator,
            })
        };
        assert_eq!(refused(&[], None), ScheduleError::NoEntries);
        assert_eq!(
            refused(&vec![1; MAX_ENTRIES + 1], None),
            ScheduleError::TooManyEntries {
                entries: MAX_ENTRIES + 1
            }
        );
        assert_eq!(refused(&[1], cycle(1, 0)), ScheduleError::ZeroDenominator);
        let short = ScheduleError::CycleTooShort {
            numerator: 0,
            denominator: 1,
        };
        assert_eq!(refused(&[1], cycle(0, 1)), short);
        let short = ScheduleError::CycleTooShort {
            numerator: 1,
            denominator: 1_000_000_001,
        };
        assert_eq!(refused(&[1], cycle(1, 1_000_000_001)), short);
        let message = refused(&[1, u64::MAX], None).to_string();
        assert!(
            message.starts_with("entries[1].time_interval: 18446744073709551615 ns"),
            "{message}"
        );
    }

    #[test]
    fn the_sum_of_the_intervals_may_exceed_32_bits_of_nanoseconds() {
        let schedule = Schedule::new(parameters(&[5_000_000_001, 5_000_000_000], None)).unwrap();
        assert_eq!(
            schedule.cycle_time(),
            Nanoseconds::from_nanos(10_000_000_001)
        );
    }
}
