//! Whether what a class sends fits into the times at which its gate is open.

use tsn_core::{Schedule, TrafficClass, Window};

use super::classes::ClassUse;
use super::{Findings, Inspection};
use crate::durations::duration;

const LIST: &str = "uplinks[0].gate-parameters.admin-control-list";

pub(super) fn look(inspection: &Inspection<'_>, findings: &mut Findings) {
    for class in &inspection.classes {
        match longest_window(inspection, class.class) {
            Window::Always => {}
            Window::Never => never_opens(class, inspection, findings),
            Window::Longest(longest) => {
                look_at_windows(class, longest.as_nanos(), inspection, findings)
            }
        }
    }
}

/// The longest time for which a class can send without a break.
pub(super) fn longest_window(inspection: &Inspection<'_>, class: TrafficClass) -> Window {
    match &inspection.gates.schedule {
        Some(schedule) if inspection.gates.enabled => schedule.longest_window(class),
        _ if inspection.gates.admin_gate_states.is_open(class) => Window::Always,
        _ => Window::Never,
    }
}

fn never_opens(class: &ClassUse<'_>, inspection: &Inspection<'_>, findings: &mut Findings) {
    let what_happens = match class.streams.len() {
        0 => "frames that it is given are dropped".to_owned(),
        1 => "all frames of its stream are dropped".to_owned(),
        streams => format!("all frames of its {streams} streams are dropped"),
    };
    let way_out = if inspection.gates.enabled {
        "name it in the gate-states-value of an entry that runs"
    } else {
        "open it in admin-gate-states, or give an admin-control-list"
    };
    findings.warn(
        "gate-never-opens",
        class.place.clone(),
        format!("{}: its gate never opens; {what_happens}", class.title()),
        way_out,
    );
}

fn look_at_windows(
    class: &ClassUse<'_>,
    longest_ns: u64,
    inspection: &Inspection<'_>,
    findings: &mut Findings,
) {
    let figures = &inspection.figures;
    let frame_bytes = class.longest_frame_bytes(inspection);
    let wire_ns = figures.wire_time_ns(frame_bytes);
    let needed_ns = wire_ns.saturating_add(figures.margins_ns());
    let needs = format!(
        "{}: its longest frame needs {} ({frame_bytes} bytes at {} Mb/s: {}, lead: {}, stall-threshold: {})",
        class.title(),
        duration(needed_ns),
        figures.link_speed_mbps,
        duration(wire_ns),
        duration(figures.lead_ns),
        duration(figures.stall_threshold_ns)
    );
    let longest = duration(longest_ns);
    if longest_ns < needed_ns {
        let fits = figures.longest_frame_bytes_in(longest_ns.saturating_sub(figures.margins_ns()));
        let (dropped, or_shorten) = match fits {
            Some(bytes) => (
                format!("frames of more than {bytes} bytes are dropped"),
                format!(
                    ", or a queue-max-sdu of at most {}",
                    bytes - class.header_bytes()
                ),
            ),
            None => ("all its frames are dropped".to_owned(), String::new()),
        };
        findings.warn(
            "frame-never-fits",
            class.place.clone(),
            format!("{needs}, and its longest window is {longest}; {dropped} (never_fits)"),
            &format!(
                "give it a window of at least {}{or_shorten}",
                duration(needed_ns)
            ),
        );
        return;
    }
    let spare_ns = longest_ns - needed_ns;
    if spare_ns < figures.clock_error_ns {
        findings.warn(
            "window-within-clock-error",
            class.place.clone(),
            format!(
                "{needs}, and its longest window is {longest}: {} are to spare, and the clock may be wrong by {}",
                duration(spare_ns),
                duration(figures.clock_error_ns)
            ),
            "lengthen the window, shorten the frames (queue-max-sdu), or synchronise the clock better",
        );
    }
    if let Some(schedule) = &inspection.gates.schedule {
        let windows = windows(schedule, class.class, true);
        let short = || windows.iter().filter(|window| window.ns < needed_ns);
        if let Some(first) = short().next() {
            findings.note(
                "window-too-short",
                format!("{LIST}[{}]", first.entry),
                format!(
                    "{needs}, and {} of its {} windows are shorter; the one that opens here is {}",
                    short().count(),
                    windows.len(),
                    duration(first.ns)
                ),
                Some(
                    "shorter frames may still use it; else lengthen it, or leave it out".to_owned(),
                ),
            );
        }
    }
}

/// A time for which the gate of a class stays as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The entry that begins it.
    pub entry: usize,
    pub ns: u64,
}

/// The times for which the gate of a class is open, or closed, in endless repetition: across entries and the end of the
/// cycle. None if it never opens or never closes.
pub(super) fn windows(schedule: &Schedule, class: TrafficClass, open: bool) -> Vec<Span> {
    let entries = &schedule.parameters().entries;
    let run = entries.len() - schedule.entries_never_run();
    let cycle_ns = schedule.cycle_time().as_nanos();
    let mut windows: Vec<Span> = Vec::new();
    let mut offset_ns = 0;
    let mut goes_on = false;
    for (index, entry) in entries[..run].iter().enumerate() {
        let end_ns = if index + 1 == run {
            cycle_ns // the last one holds, or is cut
        } else {
            offset_ns + entry.time_interval.as_nanos().max(1)
        };
        let ns = end_ns - offset_ns;
        offset_ns = end_ns;
        let is_such = entry.gate_states.is_open(class) == open;
        match (is_such, windows.last_mut()) {
            (true, Some(window)) if goes_on => window.ns += ns,
            (true, _) => windows.push(Span { entry: index, ns }),
            (false, _) => {}
        }
        goes_on = is_such;
    }
    let begins_so = entries[0].gate_states.is_open(class) == open;
    match windows.len() {
        1 if begins_so && windows[0].ns == cycle_ns => windows.clear(),
        2.. if begins_so && goes_on => {
            let first = windows.remove(0);
            if let Some(last) = windows.last_mut() {
                last.ns += first.ns;
            }
        }
        _ => {}
    }
    windows
}
