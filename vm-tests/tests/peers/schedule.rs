//! One schedule for all: as the gates of `tsnd`, as the words of `tc`, and as the windows that the standard gives it.

use std::fmt::Write;

use serde_json::{Value, json};

/// Nanoseconds of a microsecond.
pub const US: u64 = 1_000;
/// Nanoseconds of a millisecond.
pub const MS: u64 = 1_000_000;

/// The traffic class of frames with launch times.
pub const CONTROL: u8 = 2;
/// The traffic class of untimed frames that wait for their gate.
pub const VIDEO: u8 = 1;
/// The traffic class of everything else.
pub const BULK: u8 = 0;

/// A gate control list with its times.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// One open class and how long, in ns.
    pub entries: Vec<(u8, u64)>,
    /// CLOCK_TAI, ns.
    pub base_ns: u64,
    /// The cycle, where it is not the sum of the entries, in ns.
    pub cycle_ns: Option<u64>,
    /// How much the last cycle before a change may be stretched, in ns.
    pub extension_ns: u64,
}

impl Schedule {
    /// A list that repeats from a base time on.
    pub fn new(entries: &[(u8, u64)], base_ns: u64) -> Self {
        Self {
            entries: entries.to_vec(),
            base_ns,
            cycle_ns: None,
            extension_ns: 0,
        }
    }

    /// The cycle's length in ns.
    pub fn cycle_ns(&self) -> u64 {
        let sum = self.entries.iter().map(|(_, length_ns)| length_ns).sum();
        self.cycle_ns.unwrap_or(sum)
    }

    /// As `gate-parameters` of `tsnd`: JSON, which is YAML too.
    pub fn tsnd(&self) -> Value {
        let list: Vec<Value> = self
            .entries
            .iter()
            .map(|(class, length_ns)| {
                json!({ "gate-states-value": [class], "time-interval-value": format!("{length_ns}ns") })
            })
            .collect();
        json!({
            "admin-base-time": { "seconds": self.base_ns / 1_000_000_000, "nanoseconds": self.base_ns % 1_000_000_000 },
            "admin-cycle-time": format!("{}ns", self.cycle_ns()),
            "admin-cycle-time-extension": format!("{}ns", self.extension_ns),
            "admin-control-list": list,
        })
    }

    /// As the words of `tc qdisc … taprio` from `base-time` on.
    pub fn taprio(&self) -> String {
        let mut words = format!("base-time {}", self.base_ns);
        if let Some(cycle_ns) = self.cycle_ns {
            let _ = write!(words, " cycle-time {cycle_ns}");
        }
        if self.extension_ns > 0 {
            let _ = write!(words, " cycle-time-extension {}", self.extension_ns);
        }
        for (class, length_ns) in &self.entries {
            let _ = write!(words, " sched-entry S {:02x} {length_ns}", 1 << class);
        }
        words
    }
}

/// An interval in which a class may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The class.
    pub class: u8,
    /// When its gate opens, TAI ns.
    pub open_ns: u64,
    /// When it closes, TAI ns.
    pub close_ns: u64,
}

/// The windows from one instant to another under a schedule and the one that follows it, if one does: its base time in
/// the past counts whole cycles on from `asked_ns`, when it was asked for (IEEE 802.1Q 8.6.9).
///
/// Gives them in their order.
pub fn windows(first: &Schedule, then: Option<(&Schedule, u64)>, until_ns: u64) -> Vec<Window> {
    let mut found = Vec::new();
    let mut cycle_ns = first.base_ns;
    let mut running = first;
    let mut pending = then.map(|(next, asked_ns)| config_change_time(next, asked_ns));
    while cycle_ns < until_ns {
        if let Some((next, _)) = then
            && pending == Some(cycle_ns)
        {
            running = next;
            pending = None;
        }
        let whole_ns = running.cycle_ns();
        let end_ns = match pending {
            Some(change_ns) if change_ns <= cycle_ns + whole_ns + running.extension_ns => change_ns,
            _ => cycle_ns + whole_ns,
        };
        let mut open_ns = cycle_ns;
        for (place, (class, length_ns)) in running.entries.iter().enumerate() {
            let is_last = place + 1 == running.entries.len();
            // What the last entry leaves of the cycle it keeps.
            let close_ns = if is_last {
                end_ns
            } else {
                end_ns.min(open_ns + length_ns)
            };
            if open_ns < close_ns {
                push(
                    &mut found,
                    Window {
                        class: *class,
                        open_ns,
                        close_ns,
                    },
                );
            }
            open_ns = close_ns;
        }
        cycle_ns = end_ns;
    }
    found
}

/// Two windows of a class without a gap are one.
fn push(found: &mut Vec<Window>, window: Window) {
    match found.last_mut() {
        Some(last) if last.class == window.class && last.close_ns == window.open_ns => {
            last.close_ns = window.close_ns;
        }
        _ => found.push(window),
    }
}

/// The base time, or whole cycles later the first instant that is not past.
fn config_change_time(next: &Schedule, asked_ns: u64) -> u64 {
    let cycles = asked_ns
        .saturating_sub(next.base_ns)
        .div_ceil(next.cycle_ns());
    next.base_ns + cycles * next.cycle_ns()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Class, opening and closing of all windows up to 12 ms, in µs.
    fn found(first: &Schedule, then: Option<(&Schedule, u64)>) -> Vec<(u8, u64, u64)> {
        let windows = windows(first, then, 12 * MS);
        let in_us = |window: &Window| (window.class, window.open_ns / US, window.close_ns / US);
        windows.iter().map(in_us).collect()
    }

    fn old() -> Schedule {
        Schedule::new(&[(BULK, MS), (CONTROL, 3 * MS)], 0)
    }

    #[test]
    fn a_change_in_mid_cycle_cuts_the_cycle() {
        let new = Schedule::new(&[(VIDEO, 8 * MS)], 6 * MS);
        let expected = [
            (BULK, 0, 1_000),
            (CONTROL, 1_000, 4_000),
            (BULK, 4_000, 5_000),
            (CONTROL, 5_000, 6_000),
            (VIDEO, 6_000, 14_000),
        ];
        assert_eq!(found(&old(), Some((&new, MS))), expected);
    }

    #[test]
    fn an_extension_stretches_the_last_entry() {
        let mut first = old();
        first.extension_ns = 2 * MS;
        let new = Schedule::new(&[(VIDEO, 8 * MS)], 9_500 * US);
        let expected = [
            (BULK, 0, 1_000),
            (CONTROL, 1_000, 4_000),
            (BULK, 4_000, 5_000),
            (CONTROL, 5_000, 9_500),
            (VIDEO, 9_500, 17_500),
        ];
        assert_eq!(found(&first, Some((&new, MS))), expected);
    }

    #[test]
    fn a_past_base_time_is_whole_cycles_away() {
        let new = Schedule::new(&[(VIDEO, 5 * MS)], MS);
        let expected = [
            (BULK, 0, 1_000),
            (CONTROL, 1_000, 4_000),
            (BULK, 4_000, 5_000),
            (CONTROL, 5_000, 6_000),
            (VIDEO, 6_000, 16_000),
        ];
        assert_eq!(found(&old(), Some((&new, 2 * MS))), expected[..]);
    }

    #[test]
    fn the_last_entry_holds_until_the_cycle_ends() {
        let mut schedule = old();
        schedule.cycle_ns = Some(6 * MS);
        let expected = [
            (BULK, 0, 1_000),
            (CONTROL, 1_000, 6_000),
            (BULK, 6_000, 7_000),
            (CONTROL, 7_000, 12_000),
        ];
        assert_eq!(found(&schedule, None), expected);
    }
}
