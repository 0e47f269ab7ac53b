//! The gates of an uplink as masks and numbers, as the formats of others write them.

use tsn_core::MAX_ENTRIES;

use super::FormatError;
use super::config::{self, CycleTimeSetting, Interval, Uplink};

const NS_PER_SECOND: u64 = 1_000_000_000;

/// The gates of an uplink without class names.
pub(super) struct Gates {
    pub admin_gate_states: u8,
    /// Gate states, bit i for class i, and interval in nanoseconds.
    pub entries: Vec<(u8, u64)>,
}

impl Gates {
    pub(super) fn of(uplink: &Uplink) -> Result<Self, FormatError> {
        let gates = config::compile_uplink("uplinks[0]", uplink)?.gates;
        let entries = gates.schedule.iter().flat_map(|schedule| {
            let entries = schedule.parameters().entries.iter();
            entries.map(|entry| (entry.gate_states.0, entry.time_interval.as_nanos()))
        });
        Ok(Self {
            admin_gate_states: gates.admin_gate_states.0,
            entries: entries.collect(),
        })
    }

    /// The sum of the intervals in nanoseconds. An interval of 0 runs for 1 ns (8.6.9.2.1).
    pub(super) fn sum_ns(&self) -> u64 {
        // Cannot overflow: the schedule was checked.
        self.entries.iter().map(|(_, ns)| ns.max(&1)).sum()
    }
}

/// The same states, in as many entries as it takes for each interval to fit into 32 bits. The parts of an interval are
/// equal but for 1 ns, since what reads them may have a shortest interval.
pub(super) fn split_to_32_bits(entries: &[(u8, u64)]) -> Result<Vec<(u8, u32)>, FormatError> {
    const LONGEST: u64 = u32::MAX as u64;
    let mut split = Vec::with_capacity(entries.len());
    for &(states, ns) in entries {
        let parts = ns.div_ceil(LONGEST).max(1);
        if parts > (MAX_ENTRIES - split.len()) as u64 {
            return Err(FormatError::value(
                "uplinks[0].gate-parameters.admin-control-list",
                format!(
                    "takes more than {MAX_ENTRIES} entries of at most {LONGEST} ns each; shorten its intervals"
                ),
            ));
        }
        let (length, longer) = (ns / parts, ns % parts);
        // Fits: the longest part is the interval divided by `parts`, rounded up.
        split.extend((0..parts).map(|part| (states, (length + u64::from(part < longer)) as u32)));
    }
    Ok(split)
}

/// A cycle time in whole nanoseconds and whether that is exact.
pub(super) fn whole_ns(cycle: CycleTimeSetting) -> (u64, bool) {
    let scaled = u64::from(cycle.numerator) * NS_PER_SECOND;
    let denominator = u64::from(cycle.denominator.max(1));
    (scaled / denominator, scaled.is_multiple_of(denominator))
}

/// A cycle of so many nanoseconds as a fraction of a second.
pub(super) fn fraction(place: &str, ns: u64) -> Result<CycleTimeSetting, FormatError> {
    CycleTimeSetting::from_interval(Interval::from_ns(ns)).map_err(|_| {
        FormatError::value(
            place,
            format!(
                "a cycle of {ns} ns is no fraction of 32-bit numbers; beyond 4.29 s, round it to whole microseconds"
            ),
        )
    })
}
