//! Cycle, list and base time.

use tsn_core::{GateStates, Gates, Schedule, TaiTime};

use super::{Findings, Inspection};
use crate::config::GateParameters;
use crate::durations::duration;

const PLACE: &str = "uplinks[0].gate-parameters";
const NS_PER_S: u64 = 1_000_000_000;
const HOUR_NS: u64 = 3_600 * NS_PER_S;
/// Within so much of today a misread base time is taken for what was meant.
const TEN_YEARS_NS: u64 = 10 * 366 * 24 * HOUR_NS;
/// TAI − UTC since 2017.
const TAI_MINUS_UTC_NS: u64 = 37 * NS_PER_S;

pub(super) fn look(inspection: &Inspection<'_>, now: TaiTime, findings: &mut Findings) {
    let parameters = &inspection.uplink.gate_parameters;
    let Some(schedule) = &inspection.gates.schedule else {
        return;
    };
    if !inspection.gates.enabled {
        findings.note(
            "list-disabled",
            format!("{PLACE}.gate-enabled"),
            "the list does not run: the gates stand as admin-gate-states says".to_owned(),
            None,
        );
        return;
    }
    look_at_cycle(schedule, findings);
    look_at_extension(parameters, schedule, findings);
    look_at_base_time(parameters, schedule, now, findings);
}

fn look_at_cycle(schedule: &Schedule, findings: &mut Findings) {
    let entries = &schedule.parameters().entries;
    let cycle_ns = schedule.cycle_time().as_nanos();
    let intervals_ns = || {
        entries
            .iter()
            .map(|entry| entry.time_interval.as_nanos().max(1))
    };
    let sum_ns: u64 = intervals_ns().sum();
    let last = entries.len() - 1;
    let never_run = schedule.entries_never_run();
    let last_run = last - never_run;
    let before_last_run_ns: u64 = intervals_ns().take(last_run).sum();
    let wanted_ns = intervals_ns().nth(last_run).unwrap_or(0);
    let runs_ns = cycle_ns.saturating_sub(before_last_run_ns);
    let entry = |index: usize| format!("{PLACE}.admin-control-list[{index}]");
    let figures = format!(
        "the cycle is {}, and the intervals add up to {}",
        duration(cycle_ns),
        duration(sum_ns)
    );
    if never_run > 0 {
        let which = match never_run {
            1 => format!("entry {last} never runs"),
            _ => format!("entries {} to {last} never run", last_run + 1),
        };
        findings.warn(
            "entries-never-run",
            entry(last_run + 1),
            format!("{which}: {figures}"),
            "lengthen admin-cycle-time, or shorten the intervals",
        );
    }
    // A nanosecond is the rounding of a cycle that is no whole number of them.
    if runs_ns.abs_diff(wanted_ns) <= 1 {
        return;
    }
    if runs_ns < wanted_ns {
        findings.warn(
            "entry-cut",
            format!("{}.time-interval-value", entry(last_run)),
            format!(
                "entry {last_run} runs for {} of its {}: {figures}",
                duration(runs_ns),
                duration(wanted_ns)
            ),
            "lengthen admin-cycle-time, or shorten the intervals",
        );
    } else {
        findings.warn(
            "entry-held",
            format!("{}.time-interval-value", entry(last_run)),
            format!(
                "entry {last_run} is held for {} beyond its {}: {figures}",
                duration(runs_ns - wanted_ns),
                duration(wanted_ns)
            ),
            "write the interval that is meant, or leave admin-cycle-time out",
        );
    }
}

fn look_at_extension(parameters: &GateParameters, schedule: &Schedule, findings: &mut Findings) {
    let extension_ns = parameters.admin_cycle_time_extension.ns;
    let cycle_ns = schedule.cycle_time().as_nanos();
    if extension_ns > cycle_ns {
        findings.warn(
            "extension-exceeds-cycle",
            format!("{PLACE}.admin-cycle-time-extension"),
            format!(
                "the last cycle before a change may be stretched by {}, and a cycle is {}: its last entry then holds \
                 for more than a whole cycle",
                duration(extension_ns),
                duration(cycle_ns)
            ),
            "give less than a cycle",
        );
    }
}

fn look_at_base_time(
    parameters: &GateParameters,
    schedule: &Schedule,
    now: TaiTime,
    findings: &mut Findings,
) {
    let place = format!("{PLACE}.admin-base-time");
    let base = parameters.admin_base_time.instant();
    let (base_ns, now_ns) = (base.as_nanos(), now.as_nanos());
    if base_ns == 0 {
        return; // "at the next whole cycle"
    }
    let other_unit = [
        ("seconds", NS_PER_S),
        ("milliseconds", 1_000_000),
        ("microseconds", 1_000),
    ]
    .into_iter()
    .find(|(_, scale)| {
        let meant_ns = base_ns.checked_mul(*scale);
        meant_ns.is_some_and(|ns| ns.abs_diff(now_ns) < TEN_YEARS_NS)
    });
    if let Some((unit, scale)) = other_unit {
        findings.warn(
            "base-time-unit",
            place,
            format!("{base_ns} ns is in the year 1970; as {unit} it would be about now"),
            &format!(
                "a number without a unit is nanoseconds; write {{ seconds: {}, nanoseconds: {} }}",
                base_ns / (NS_PER_S / scale),
                base_ns % (NS_PER_S / scale) * scale
            ),
        );
        return;
    }
    let ahead = base - now;
    if ahead.as_nanos() > HOUR_NS {
        findings.warn(
            "base-time-far",
            place,
            format!(
                "the list starts in {:.1} hours, at {base}; until then the gates stand as they do before",
                ahead.as_nanos() as f64 / HOUR_NS as f64
            ),
            "give a base time that is near, or a past one to start at the next whole cycle",
        );
    } else if base < now {
        let starts = Gates::new(GateStates::ALL_OPEN)
            .configure(now, Box::new(schedule.clone()))
            .config_change_time;
        let passed_ns = (now - base).as_nanos();
        let passed = passed_ns as f64 / NS_PER_S as f64;
        if passed_ns < TAI_MINUS_UTC_NS {
            findings.warn(
                "base-time-utc",
                place,
                format!(
                    "the base time was {passed:.3} s ago, less than the 37 s by which TAI is ahead of UTC; the list \
                     starts at the next whole cycle, {starts}"
                ),
                "if it was read from a UTC clock, add 37 s",
            );
        } else {
            findings.note(
                "base-time-past",
                place,
                format!(
                    "the base time was {passed:.3} s ago; the list starts at the next whole cycle, {starts}"
                ),
                None,
            );
        }
    }
}
