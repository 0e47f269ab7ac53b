//! Figures and names as people read them.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::model::Plan;
use crate::config::printable;
use crate::durations::duration;

/// A share of 0 to 1 in per cent. Only what is nothing is 0, only what is all is 100.
pub fn percent(share: f64) -> String {
    let rounded = format!("{:.1} %", share * 100.0);
    match rounded.as_str() {
        "0.0 %" if share > 0.0 => "<0.1 %".to_owned(),
        "100.0 %" if share < 1.0 => ">99.9 %".to_owned(),
        "100.0 %" => "100 %".to_owned(),
        _ => rounded,
    }
}

/// The speed of a link.
pub fn link_speed(mbps: u32) -> String {
    if mbps >= 1_000 && mbps.is_multiple_of(100) {
        let gbps = f64::from(mbps) / 1_000.0;
        format!("{gbps} Gb/s")
    } else {
        format!("{mbps} Mb/s")
    }
}

/// An instant as seconds, TAI.
pub fn instant(ns: u64) -> String {
    format!("{}.{:09} s TAI", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// A length of time, rounded down, in the largest unit that is whole: `69 years`.
pub fn about(ns: u64) -> String {
    const S: u64 = 1_000_000_000;
    let units = [
        (365 * 86_400 * S, "years"),
        (86_400 * S, "days"),
        (3_600 * S, "hours"),
        (60 * S, "minutes"),
        (S, "s"),
        (1_000_000, "ms"),
        (1_000, "µs"),
    ];
    let unit = units.into_iter().find(|(scale, _)| ns >= 2 * scale);
    let (scale, name) = unit.unwrap_or((1, "ns"));
    format!("{} {name}", ns / scale)
}

/// What a picture shows, in some sentences.
pub fn heading(plan: &Plan) -> Vec<String> {
    let device = printable(&plan.device);
    let speed = link_speed(plan.link_speed);
    let list = match &plan.list {
        Some(list) => format!(
            "{} in a cycle of {}",
            if list.entries == 1 {
                "1 entry".to_owned()
            } else {
                format!("{} entries", list.entries)
            },
            duration(list.cycle_ns)
        ),
        None => "no list".to_owned(),
    };
    let of_change = if plan.change.is_some() {
        "change to "
    } else {
        ""
    };
    let mut lines = vec![format!(
        "{device}, {speed}: {of_change}{list}; lead {}, stall-threshold {}",
        duration(plan.lead_ns),
        duration(plan.stall_threshold_ns),
    )];
    lines.extend(plan.change.iter().flat_map(|change| change.story.clone()));
    lines
}

/// The beginning of a text, no wider than `width` columns.
pub fn truncated(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + c.width().unwrap_or(0) + 1 > width {
            break;
        }
        short.push(c);
    }
    if width > 0 {
        short.push('…');
    }
    short
}

/// The words of `text` in lines of at most `width` columns, if no word is longer. A figure stays with its unit.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let is_unit = |word: &str| {
        let letters = word.trim_end_matches(|c: char| !c.is_alphabetic());
        ["s", "ms", "µs", "ns"].contains(&letters)
    };
    let mut lines = vec![String::new()];
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let word = match words.next_if(|next| is_unit(next)) {
            Some(unit) => format!("{word} {unit}"),
            None => word.to_owned(),
        };
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            *line = word;
        } else if line.width() + 1 + word.width() > width {
            lines.push(word);
        } else {
            line.push(' ');
            line.push_str(&word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_rounded_to_one_unit() {
        let seconds = |s: u64| about(s * 1_000_000_000);
        assert_eq!(
            [90, 7_200, 86_400, 2_200_000_000].map(seconds),
            ["90 s", "2 hours", "24 hours", "69 years"]
        );
        assert_eq!([1, 1_999, 2_000].map(about), ["1 ns", "1999 ns", "2 µs"]);
    }

    #[test]
    fn shares_never_round_to_nothing_or_all() {
        assert_eq!(percent(0.3), "30.0 %");
        assert_eq!(percent(0.0), "0.0 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(1e-9), "<0.1 %");
        assert_eq!(percent(1.0 - 1e-9), ">99.9 %");
    }

    #[test]
    fn lines_break_between_words_but_not_before_a_unit() {
        assert_eq!(
            wrapped("held for 80 µs, that is too long", 12),
            ["held for", "80 µs, that", "is too long"]
        );
    }
}
