//! The gates now, and the cycle as a picture.

use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use tsn_core::TrafficClass;
use tsn_userspace::control::api::Status;
use tsn_userspace::durations::rounded_duration;

use super::text::{cut, flow, title};
use crate::watch::cycle::{Cycle, Part};

/// Lines of the smallest picture.
const PICTURE: usize = 2;
/// Width of what is left of the picture.
const LABEL: usize = 14;

/// The gates in so many lines: with a picture of each class, of all in one, or with none. At least one line.
pub fn lines(status: &Status, width: usize, height: usize) -> Vec<Line<'static>> {
    let gates = &status.gates;
    let open = |class: &TrafficClass| gates.oper_gate_states & 1 << class.as_u8() != 0;
    let strip: Vec<String> = TrafficClass::ALL
        .iter()
        .rev()
        .map(|class| format!("{}{}", class.as_u8(), if open(class) { 'o' } else { 'C' }))
        .collect();
    let cycle = Cycle::of(status);
    let what = match &cycle {
        None => "no list runs".to_owned(),
        Some(Cycle {
            starts_in_ns: Some(ns),
            ..
        }) => {
            format!("new list in {}", rounded_duration(*ns))
        }
        Some(cycle) => format!(
            "cycle {} at {}",
            rounded_duration(cycle.length_ns),
            rounded_duration(cycle.position_ns.unwrap_or_default())
        ),
    };
    let mut segments = vec![format!("gates {}", strip.join(" ")), what];
    if gates.config_change_error > 0 {
        segments.push(format!("{} change errors", gates.config_change_error));
    }
    let mut lines: Vec<Line<'static>> = flow(&segments, "  ", width)
        .into_iter()
        .map(title)
        .collect();
    let Some(cycle) = cycle else {
        return lines;
    };
    if lines.len() + PICTURE > height {
        return lines;
    }
    let parts = width.saturating_sub(LABEL + 1).max(1);
    if let Some(at) = cycle.position_in(parts) {
        lines.push(Line::from(format!("{}▼", " ".repeat(LABEL + at))));
    }
    let classes = status.classes.iter().rev();
    let classes: Vec<(TrafficClass, String)> = classes
        .filter_map(|class| {
            let name = class.name.as_deref().unwrap_or_default();
            Some((
                TrafficClass::new(class.number)?,
                format!("{} {name}", class.number),
            ))
        })
        .collect();
    if lines.len() + classes.len() > height {
        lines.push(Line::from(all_in_one(&cycle, parts)));
        return lines;
    }
    lines.extend(classes.into_iter().map(|(class, label)| {
        let label = Span::raw(cut(label, LABEL - 1));
        let blank = Span::raw(" ".repeat(LABEL - label.width()));
        let mut spans = vec![label, blank];
        spans.extend(cycle.parts(class, parts).map(|part| match part {
            Part::Open => Span::styled("█", Style::new().fg(Color::Green)),
            Part::Changing => Span::styled("▒", Style::new().fg(Color::Green)),
            Part::Closed => Span::raw("·"),
        }));
        Line::from(spans)
    }));
    lines
}

/// The highest class that is open, in one line.
fn all_in_one(cycle: &Cycle, parts: usize) -> String {
    let mut picture = vec!['·'; parts];
    for class in TrafficClass::ALL {
        let digit = char::from(b'0' + class.as_u8());
        for (place, part) in picture.iter_mut().zip(cycle.parts(class, parts)) {
            if part != Part::Closed {
                *place = digit;
            }
        }
    }
    format!("{:<LABEL$}{}", "open", picture.iter().collect::<String>())
}
