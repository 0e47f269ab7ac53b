//! The gate control list as a picture of one cycle.

use tsn_core::{CycleTime, Gates, TaiTime, TrafficClass};
use tsn_userspace::config::compile_gates;
use tsn_userspace::control::api::Status;

/// The cycle that runs, or the first one of a list that waits for its start.
#[derive(Debug)]
pub struct Cycle {
    gates: Gates,
    start_ns: u64,
    /// How long it lasts, in nanoseconds.
    pub length_ns: u64,
    /// Where in it the daemon was; `None` before the list's start.
    pub position_ns: Option<u64>,
    /// How long until the list starts, if it waits.
    pub starts_in_ns: Option<u64>,
}

/// What the gate of one class does in a part of the cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Open,
    Changing,
    Closed,
}

impl Cycle {
    /// From the parameters that were set last; `None` if no list runs or is to run.
    pub fn of(status: &Status) -> Option<Self> {
        let parameters = &status.gates.parameters;
        let mut names: [Option<String>; 8] = Default::default();
        for class in &status.classes {
            if let Some(name) = names.get_mut(usize::from(class.number)) {
                name.clone_from(&class.name);
            }
        }
        let compiled = compile_gates("gate-parameters", parameters, &names).ok()?;
        let schedule = compiled.schedule.filter(|_| compiled.enabled)?;
        let change_ns = status.gates.config_change_time_ns?;
        let base_ns = parameters.admin_base_time.instant().as_nanos();
        let length_ns = schedule.cycle_time().as_nanos();
        let cycle_time = parameters.admin_cycle_time.map(CycleTime::from);
        let mut gates = Gates::new(compiled.admin_gate_states);
        // Asked at its ConfigChangeTime, the list has just that.
        drop(gates.configure(TaiTime::from_nanos(change_ns), schedule));

        let at_ns = status.at_ns.max(change_ns);
        let position_ns = in_cycle(at_ns.saturating_sub(base_ns), cycle_time, length_ns);
        let runs = status.at_ns >= change_ns;
        Some(Self {
            gates,
            start_ns: (at_ns - position_ns).max(change_ns),
            length_ns,
            position_ns: runs.then_some(position_ns),
            starts_in_ns: (!runs).then(|| change_ns - status.at_ns),
        })
    }

    /// The cycle in so many parts, as a class sees it.
    pub fn parts(&self, class: TrafficClass, parts: usize) -> impl Iterator<Item = Part> {
        let at = move |part: usize| {
            let offset_ns = u128::from(self.length_ns) * part as u128 / parts as u128;
            TaiTime::from_nanos(self.start_ns.saturating_add(offset_ns as u64))
        };
        (0..parts).map(move |part| {
            let changes = self.gates.next_change(class, at(part));
            if changes.is_some_and(|change| change < at(part + 1)) {
                Part::Changing
            } else if self.gates.states(at(part)).is_open(class) {
                Part::Open
            } else {
                Part::Closed
            }
        })
    }

    /// In which of so many parts the daemon was.
    pub fn position_in(&self, parts: usize) -> Option<usize> {
        let part =
            u128::from(self.position_ns?) * parts as u128 / u128::from(self.length_ns.max(1));
        Some((part as usize).min(parts.saturating_sub(1)))
    }
}

/// The time since the last start of a cycle. A cycle time of a third of a millisecond is no whole number of nanoseconds;
/// over days that matters.
fn in_cycle(since_base_ns: u64, cycle_time: Option<CycleTime>, length_ns: u64) -> u64 {
    let (period, divisor) = match cycle_time {
        Some(cycle) => (
            u128::from(cycle.numerator) * 1_000_000_000,
            u128::from(cycle.denominator),
        ),
        None => (u128::from(length_ns), 1),
    };
    let excess = (u128::from(since_base_ns) * divisor).checked_rem(period);
    excess
        .and_then(|excess| excess.checked_div(divisor))
        .unwrap_or_default() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::samples::after;
    use tsn_userspace::config::BaseTime;

    const CLASS_7: TrafficClass = TrafficClass::ALL[7];

    #[test]
    fn the_picture_shows_the_windows_and_where_we_are() {
        let cycle = Cycle::of(&after().status).unwrap();
        assert_eq!(cycle.length_ns, 1_000_000);
        assert_eq!(cycle.position_ns, Some(300_000));
        assert_eq!(cycle.position_in(10), Some(3));
        let parts: Vec<Part> = cycle.parts(CLASS_7, 4).collect();
        // Open for 300 of 1000 µs.
        assert_eq!(
            parts,
            [Part::Open, Part::Changing, Part::Closed, Part::Closed]
        );
    }

    #[test]
    fn a_list_that_waits_is_shown_from_its_start() {
        let mut status = after().status;
        // The samples are 300 µs after the start of a cycle.
        status.gates.config_change_time_ns = Some(status.at_ns - 300_000 + 5_000_000_000);
        let cycle = Cycle::of(&status).unwrap();
        assert_eq!(cycle.starts_in_ns, Some(5_000_000_000 - 300_000));
        assert_eq!(cycle.position_in(10), None);
        assert_eq!(cycle.parts(CLASS_7, 10).next(), Some(Part::Open));
    }

    #[test]
    fn a_list_at_the_end_of_time_is_a_picture_too() {
        let mut status = after().status;
        status.gates.parameters.admin_base_time = BaseTime::from_ns(u64::MAX - 7);
        status.gates.config_change_time_ns = Some(u64::MAX - 7);
        let cycle = Cycle::of(&status).unwrap();
        assert_eq!(cycle.position_in(10), None);
        assert_eq!(cycle.parts(CLASS_7, 10).count(), 10);
    }

    #[test]
    fn without_a_list_there_is_no_picture() {
        let mut status = after().status;
        status.gates.parameters.admin_control_list.clear();
        assert!(Cycle::of(&status).is_none());
    }

    #[test]
    fn a_cycle_of_a_third_does_not_drift() {
        let third = Some(CycleTime {
            numerator: 1,
            denominator: 3_000,
        });
        assert_eq!(in_cycle(1_000_000_000 * 86_400 + 7, third, 333_333), 7);
        assert_eq!(in_cycle(1_000_000 + 5, None, 1_000), 5);
    }
}
