//! A gate control list that repeats.

use tsn_core::{GateStates, Gates, Schedule, TaiTime, TrafficClass};

use super::gates::{TaiWindow, next_cycle, windows};
use super::model::{Figures, List, Plan, Span, SpanKind};
use super::rows::{Classes, link_speed_mbps, uplink};
use super::words::{about, instant, link_speed};
use super::{Assumptions, PlanError};
use crate::config::{CompiledGates, Configuration, Uplink};
use crate::durations::duration;

/// What is drawn of gates that stand still.
const WITHOUT_CYCLE_NS: u64 = 1_000_000;
/// The longest stretch of time in a picture, so that its arithmetic cannot overflow.
const LONGEST_PICTURE_NS: u64 = 1 << 62;

/// Gates that have run the same list for at least a cycle.
#[derive(Debug)]
pub struct Steady {
    /// The gates; the base time is zero.
    pub gates: Gates,
    /// The start of a cycle with a whole one before it.
    pub start: u64,
    /// The cycle time, rounded down; without a list as much as is drawn.
    pub cycle_ns: u64,
    /// The list, if one runs.
    pub list: Option<List>,
}

impl Steady {
    /// The gates as configured, over `cycles` cycles.
    pub fn new(compiled: &CompiledGates, cycles: u32) -> Result<Self, PlanError> {
        let mut gates = Gates::new(compiled.admin_gate_states);
        let schedule = compiled.schedule.as_ref().filter(|_| compiled.enabled);
        let Some(schedule) = schedule else {
            return Ok(Self {
                gates,
                start: WITHOUT_CYCLE_NS,
                cycle_ns: WITHOUT_CYCLE_NS,
                list: None,
            });
        };
        let cycle_ns = schedule.cycle_time().as_nanos();
        if u128::from(cycle_ns) * u128::from(cycles + 5) > u128::from(LONGEST_PICTURE_NS) {
            return Err(PlanError::TooLong {
                cycles,
                cycle: duration(cycle_ns),
            });
        }
        let mut parameters = schedule.parameters().clone();
        let list = List {
            entries: parameters.entries.len(),
            cycle_ns,
            cycle_time_extension_ns: parameters.cycle_time_extension.as_nanos(),
        };
        parameters.base_time = TaiTime::from_nanos(0);
        if let Ok(schedule) = Schedule::new(parameters) {
            drop(gates.configure(TaiTime::from_nanos(0), Box::new(schedule)));
        }
        let second = TaiTime::from_nanos(cycle_ns + 1);
        Ok(Self {
            start: gates
                .cycle_start(second)
                .map_or(cycle_ns, TaiTime::as_nanos),
            gates,
            cycle_ns,
            list: Some(list),
        })
    }

    /// The cycle's start and ends, `cycles` of them.
    fn boundaries(&self, cycles: u32) -> Vec<u64> {
        let mut boundaries = vec![self.start];
        for _ in 0..if self.list.is_some() { cycles } else { 1 } {
            let start = boundaries[boundaries.len() - 1];
            let next = next_cycle(&self.gates, start, self.cycle_ns);
            boundaries.push(next.unwrap_or(start + self.cycle_ns));
        }
        boundaries
    }

    fn windows_until(&self, class: TrafficClass, to: u64) -> Vec<TaiWindow> {
        windows(&self.gates, class, self.start - self.cycle_ns, to)
    }

    /// What the list does for each class.
    pub fn figures(&self, classes: &Classes) -> [Figures; TrafficClass::COUNT] {
        let end = self.boundaries(1)[1];
        TrafficClass::ALL
            .map(|class| classes.figures(class, &self.windows_until(class, end), self.start, end))
    }
}

impl Plan {
    /// The gates of a configuration over `cycles` cycles, or for a millisecond if no list runs. A list that has not
    /// started at `now` is drawn all the same; a note says when it does.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be used, or cycles of many years.
    pub fn of(
        configuration: &Configuration,
        cycles: u32,
        now: TaiTime,
        assumptions: &Assumptions,
    ) -> Result<Self, PlanError> {
        let (uplink, compiled) = uplink(configuration)?;
        let classes = Classes::new(
            configuration,
            uplink,
            &compiled,
            &configuration.pods,
            assumptions,
        );
        let steady = Steady::new(&compiled.gates, cycles)?;
        let boundaries = steady.boundaries(cycles);
        let end = boundaries[boundaries.len() - 1];
        let zero = steady.start;
        let spans = boundaries
            .windows(2)
            .enumerate()
            .map(|(index, ends)| Span {
                start_ns: (ends[0] - zero) as i64,
                end_ns: (ends[1] - zero) as i64,
                kind: match steady.list {
                    Some(_) => SpanKind::Cycle,
                    None => SpanKind::AdminGateStates,
                },
                label: if boundaries.len() > 2 {
                    format!("cycle {}", index + 1)
                } else {
                    String::new()
                },
            })
            .collect();
        let windows = TrafficClass::ALL.map(|class| steady.windows_until(class, end));
        let figures = steady.figures(&classes).map(|figures| (figures, None));
        let rows = classes.rows(windows, steady.start, zero, figures);
        let mut notes = notes_of_list(&compiled.gates);
        notes.extend(note_of_start(&compiled.gates, now));
        notes.extend(note_of_link_speed(uplink, assumptions));
        notes.extend(classes.notes(&rows));
        Ok(Plan {
            device: uplink.device.clone(),
            link_speed: link_speed_mbps(uplink, assumptions),
            lead_ns: assumptions.lead.as_nanos(),
            stall_threshold_ns: configuration.worker.stall_threshold.ns,
            list: steady.list,
            spans,
            rows,
            change: None,
            notes,
        })
    }
}

/// What of a list is hardly meant.
pub fn notes_of_list(gates: &CompiledGates) -> Vec<String> {
    let Some(schedule) = gates.schedule.as_ref().filter(|_| gates.enabled) else {
        return vec!["no list runs: the gates stand as admin-gate-states says".to_owned()];
    };
    let never_run = schedule.entries_never_run();
    if never_run == 0 {
        return Vec::new();
    }
    let entries = schedule.parameters().entries.len();
    let (which, before) = match never_run {
        1 => ("the last never runs".to_owned(), "it"),
        _ => (format!("the last {never_run} never run"), "them"),
    };
    vec![format!(
        "of the {entries} entries {which}: the cycle ends before {before}; lengthen admin-cycle-time or shorten the \
         intervals"
    )]
}

/// When the list starts, and what holds until then, if it has not started at `now`.
fn note_of_start(gates: &CompiledGates, now: TaiTime) -> Option<String> {
    let schedule = gates.schedule.as_ref().filter(|_| gates.enabled)?;
    let base_time = schedule.parameters().base_time;
    (base_time > now).then(|| {
        format!(
            "the list starts at its admin-base-time, {}, {} from now; until then, if no other list runs, the gates stand as \
             admin-gate-states says: {}",
            instant(base_time.as_nanos()),
            about(base_time.as_nanos() - now.as_nanos()),
            states(gates.admin_gate_states),
        )
    })
}

/// Gate states in words.
fn states(states: GateStates) -> String {
    let open: Vec<String> = TrafficClass::ALL
        .into_iter()
        .filter(|class| states.is_open(*class))
        .map(|class| class.as_u8().to_string())
        .collect();
    match states {
        GateStates::ALL_OPEN => "all are open".to_owned(),
        GateStates::ALL_CLOSED => "all are closed, and nothing leaves".to_owned(),
        _ => format!("open for {} alone", open.join(", ")),
    }
}

/// Whether the speed of the link was assumed.
pub fn note_of_link_speed(uplink: &Uplink, assumptions: &Assumptions) -> Option<String> {
    uplink.link_speed.is_none().then(|| {
        let speed = link_speed(assumptions.link_speed_mbps);
        format!("the file gives no link-speed; reckoned with {speed}")
    })
}
