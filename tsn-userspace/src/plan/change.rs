//! A change from one gate control list to another.

use tsn_core::{Schedule, TaiTime, TrafficClass};

use super::course::{Course, LastCycle};
use super::model::{Change, Figures, Gate, Plan, Row};
use super::rows::{Classes, link_speed_mbps, uplink};
use super::steady::{Steady, note_of_link_speed, notes_of_list};
use super::table::class;
use super::words::instant;
use super::{Assumptions, PlanError};
use crate::config::{CompiledGates, Configuration, Pod};
use crate::durations::duration;

/// The last instant at which a list may start in a picture.
const LATEST_START_NS: u64 = u64::MAX - (1 << 62);

/// A command that changes the gates.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// When it is given.
    pub now: TaiTime,
    /// When the new list is to start, in place of its `admin-base-time`.
    pub at: Option<TaiTime>,
}

impl Plan {
    /// The cycles around a change from the gates of `old` to those of `new`: the last `cycles` whole ones before it, the
    /// one that is cut or extended, and the first `cycles` after it.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be used, cycles of many years, or a start hundreds of years ahead.
    pub fn of_change(
        old: &Configuration,
        new: &Configuration,
        command: Command,
        cycles: u32,
        assumptions: &Assumptions,
    ) -> Result<Self, PlanError> {
        let old_gates = uplink(old)?.1.gates;
        let (uplink, mut compiled) = uplink(new)?;
        start_at(&mut compiled.gates, command.at);
        let new_gates = &compiled.gates;
        // Pods that the new file does not name stay.
        let is_kept = |pod: &&Pod| new.pods.iter().all(|other| other.name != pod.name);
        let kept = old.pods.iter().filter(is_kept);
        let classes = Classes::new(
            new,
            uplink,
            &compiled,
            new.pods.iter().chain(kept),
            assumptions,
        );
        let steady = [
            Steady::new(&old_gates, cycles)?,
            Steady::new(new_gates, cycles)?,
        ];
        let cycles_ns = cycle_times_ns(&steady);
        let course = Course::new(&old_gates, new_gates, command.now, cycles_ns, cycles);
        let change = course.change;
        if change > LATEST_START_NS {
            return Err(PlanError::TooFar { start_ns: change });
        }
        let spans = course.spans(cycles);
        let ends = |t: i64| change.saturating_add_signed(t);
        let from = spans.first().map_or(change, |span| ends(span.start_ns));
        let to = spans.last().map_or(change, |span| ends(span.end_ns));
        let look_from = from.saturating_sub(cycles_ns[0]);
        let windows = TrafficClass::ALL.map(|class| course.windows(class, look_from, to));
        let before = steady[0].figures(&classes);
        let after = steady[1].figures(&classes);
        let figures = TrafficClass::ALL.map(|class| {
            let index = class.index();
            (after[index].clone(), Some(before[index].clone()))
        });
        let rows = classes.rows(windows, from, change, figures);
        let mut notes = note_of_difference(old, new).into_iter().collect::<Vec<_>>();
        notes.extend(notes_of_list(new_gates));
        notes.extend(note_of_link_speed(uplink, assumptions));
        notes.extend(classes.notes(&rows));
        let [_, new_list] = steady.map(|steady| steady.list);
        Ok(Plan {
            device: uplink.device.clone(),
            link_speed: link_speed_mbps(uplink, assumptions),
            lead_ns: assumptions.lead.as_nanos(),
            stall_threshold_ns: new.worker.stall_threshold.ns,
            list: new_list,
            spans,
            change: Some(Change {
                at_ns: change,
                config_change_time_ns: new_gates.enabled.then_some(change),
                config_change_error: course.config_change_errors() > 0,
                last_cycle_ns: course.last_cycle().map(|last| last.end - last.start),
                story: story(&course, &old_gates, new_gates, command.now, &rows),
            }),
            rows,
            notes,
        })
    }
}

/// How much is drawn of each list; gates that stand still are drawn for as long as the other list's cycle.
fn cycle_times_ns(steady: &[Steady; 2]) -> [u64; 2] {
    let of = |index: usize| {
        let other = &steady[1 - index];
        let lists = [&steady[index], other];
        let running = lists.into_iter().find(|steady| steady.list.is_some());
        running.unwrap_or(other).cycle_ns
    };
    [of(0), of(1)]
}

fn start_at(gates: &mut CompiledGates, at: Option<TaiTime>) {
    let (Some(schedule), Some(at)) = (&mut gates.schedule, at) else {
        return;
    };
    let mut parameters = schedule.parameters().clone();
    parameters.base_time = at;
    if let Ok(moved) = Schedule::new(parameters) {
        **schedule = moved;
    }
}

/// What happens, in words.
fn story(
    course: &Course,
    old: &CompiledGates,
    new: &CompiledGates,
    now: TaiTime,
    rows: &[Row],
) -> Vec<String> {
    let mut story = Vec::new();
    match new.schedule.as_ref().filter(|_| new.enabled) {
        Some(schedule) => {
            story.push(format!(
                "The new list starts at {} (ConfigChangeTime).",
                instant(course.change)
            ));
            let base_time = schedule.parameters().base_time;
            if base_time < now {
                story.push(format!(
                    "Its base time, {}, is past: it starts with the first of its cycles from the command on{}.",
                    instant(base_time.as_nanos()),
                    if course.config_change_errors() > 0 {
                        ", and ConfigChangeError counts one up"
                    } else {
                        ""
                    },
                ));
            }
        }
        None => story.push(
            "No new list starts: from the command on the gates stand as the new admin-gate-states says."
                .to_owned(),
        ),
    }
    match (course.last_cycle(), old.enabled) {
        (Some(last), _) => story.extend(story_of_last_cycle(course, last, old, new, rows)),
        (None, had_list) => story.push(format!(
            "{} The gates stand as the old admin-gate-states says until the command{}.",
            if had_list {
                "The old list has not started when the command comes, and never does."
            } else {
                "No list runs before it."
            },
            if new.enabled {
                ", and as the new one says from the command on until the change"
            } else {
                ""
            },
        )),
    }
    story
}

fn story_of_last_cycle(
    course: &Course,
    last: LastCycle,
    old: &CompiledGates,
    new: &CompiledGates,
    rows: &[Row],
) -> Vec<String> {
    let length = duration(last.end - last.start);
    let usual = duration(last.due - last.start);
    let schedule = old.schedule.as_ref();
    let extension_ns = schedule.map_or(0, |schedule| {
        schedule.parameters().cycle_time_extension.as_nanos()
    });
    let extension = duration(extension_ns);
    if last.end == last.due {
        return vec![format!("The old list's last cycle is whole: {length}.")];
    }
    if last.end > last.due {
        return vec![format!(
            "The old list's last cycle is extended from {usual} to {length}: its last states hold for {} more \
             (admin-cycle-time-extension allows {extension}).",
            duration(last.end - last.due),
        )];
    }
    let why = if !new.enabled || extension_ns == 0 {
        String::new()
    } else if last.end - last.start > extension_ns {
        format!(
            ": too long to extend the one before it (admin-cycle-time-extension is {extension})"
        )
    } else {
        ": the command comes too late to extend the one before it".to_owned()
    };
    let mut story = vec![format!(
        "The old list's cycle of {usual} is cut after {length}{why}."
    )];
    for row in rows {
        let is_served = |class: &u8| {
            let class = TrafficClass::ALL[usize::from(*class)];
            !course.windows(class, last.start, last.end).is_empty()
        };
        let opens = |figures: &Figures| figures.gate != Gate::NeverOpen;
        if row.figures_before.as_ref().is_some_and(opens) && !row.classes.iter().any(is_served) {
            story.push(format!(
                "Class {} does not open in the cut cycle.",
                class(row)
            ));
        }
    }
    story
}

/// `tsnctl apply` changes gates, pods and profiles of a daemon that runs, and nothing else.
fn note_of_difference(old: &Configuration, new: &Configuration) -> Option<String> {
    let without_gates = |configuration: &Configuration| {
        let mut uplinks = configuration.uplinks.clone();
        for uplink in &mut uplinks {
            uplink.gate_parameters = Default::default();
        }
        (
            uplinks,
            configuration.worker.clone(),
            configuration.clock.clone(),
        )
    };
    (without_gates(old) != without_gates(new)).then(|| {
        "the files differ in more than gates, pods and profiles: tsnctl apply refuses that, it needs a restart; the old list's windows \
         too are drawn with the new file's speed, classes and stall-threshold"
            .to_owned()
    })
}
