//! Figures and tables in few characters.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use tsn_userspace::durations::rounded_duration;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::watch::model::Estimate;

/// `999`, `12.3k`, `4.56M`.
pub fn count(n: u64) -> String {
    scaled(n as f64, 100_000)
}

/// The same for a rate; `-` when it is not known.
pub fn rate(per_s: Option<f64>) -> String {
    per_s.map_or("-".to_owned(), |per_s| scaled(per_s, 1_000))
}

fn scaled(value: f64, whole_below: u64) -> String {
    if value.round() < whole_below as f64 {
        return format!("{value:.0}");
    }
    let (value, unit) = match value {
        value if value < 999_500.0 => (value / 1e3, "k"),
        value if value < 999_500_000.0 => (value / 1e6, "M"),
        value => (value / 1e9, "G"),
    };
    let decimals = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{unit}")
}

/// An error: a duration with its sign; `-` when there is none.
pub fn error(ns: Option<i64>) -> String {
    ns.map_or("-".to_owned(), |ns| {
        let sign = if ns < 0 { '-' } else { '+' };
        format!("{sign}{}", rounded_duration(ns.unsigned_abs()))
    })
}

/// A quantile.
pub fn estimate(estimate: Option<Estimate>) -> String {
    match estimate {
        None => "-".to_owned(),
        Some(Estimate::AtMost(ns)) => format!("<{}", error(Some(ns))),
        Some(Estimate::About(ns)) => error(Some(ns)),
        Some(Estimate::MoreThan(ns)) => format!(">{}", error(Some(ns))),
    }
}

/// A bar of so many characters, to an eighth.
pub fn bar(part: f64, characters: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part.clamp(0.0, 1.0) * characters as f64 * 8.0).ceil() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// The buckets as one character each; `·` is none.
pub fn sparkline(buckets: &[u64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = buckets.iter().copied().max().unwrap_or(0).max(1);
    let height = |frames: u64| (frames as f64 / most as f64 * 8.0).ceil() as usize;
    let draw = |frames: &u64| match height(*frames) {
        0 => '·',
        height => HEIGHTS[height - 1],
    };
    buckets.iter().map(draw).collect()
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub title: &'static str,
    pub width: usize,
    pub left: bool,
}

/// A column of numbers.
pub const fn number(title: &'static str, width: usize) -> Column {
    Column {
        title,
        width,
        left: false,
    }
}

/// A column of text.
pub const fn text(title: &'static str, width: usize) -> Column {
    Column {
        title,
        width,
        left: true,
    }
}

/// A row of a table: what is too long is cut, with `…`.
pub fn row(cells: impl IntoIterator<Item = (Column, String)>) -> String {
    let cells = cells.into_iter().map(|(column, cell)| {
        let cell = cut(cell, column.width);
        let blank = " ".repeat(column.width.saturating_sub(cell.width()));
        if column.left {
            cell + &blank
        } else {
            blank + &cell
        }
    });
    cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

/// Takes no more than `width` columns of a terminal.
pub fn cut(text: String, width: usize) -> String {
    if text.width() <= width {
        return text;
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let rest = left.checked_sub(c.width().unwrap_or(1));
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    text.chars().take_while(fits).collect::<String>() + "…"
}

/// Puts segments into as few lines as they fit, never breaking one.
pub fn flow(segments: &[String], separator: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for segment in segments {
        match lines.last_mut() {
            Some(line) if line.width() + separator.width() + segment.width() <= width => {
                line.push_str(separator);
                line.push_str(segment);
            }
            _ => lines.push(cut(segment.clone(), width)),
        }
    }
    lines
}

/// A title.
pub fn title(text: String) -> Line<'static> {
    Line::from(Span::styled(
        text,
        Style::new().add_modifier(Modifier::BOLD),
    ))
}

/// What must not be overlooked.
pub fn alarm(text: String) -> Line<'static> {
    let style = Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED);
    Line::from(Span::styled(text, style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_their_unit() {
        assert_eq!(count(99_999), "99999");
        assert_eq!(count(123_456), "123k");
        assert_eq!(count(1_234_567), "1.23M");
        assert_eq!(rate(Some(999.4)), "999");
        assert_eq!(rate(Some(12_345.0)), "12.3k");
        assert_eq!(rate(None), "-");
        assert_eq!(error(Some(-2_840)), "-2.8µs");
        assert_eq!(error(Some(1_200_000)), "+1.20ms");
        assert_eq!(estimate(Some(Estimate::AtMost(-10_000))), "<-10.0µs");
    }

    #[test]
    fn bars_and_sparklines_show_also_what_is_small() {
        assert_eq!(bar(0.0, 4), "");
        assert_eq!(bar(0.001, 4), "▏");
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(sparkline(&[0, 1, 100, 50]), "·▁█▄");
    }

    #[test]
    fn segments_flow_and_long_ones_are_cut() {
        let segments = ["one".to_owned(), "two".to_owned(), "threefour".to_owned()];
        assert_eq!(flow(&segments, ", ", 8), ["one, two", "threefo…"]);
    }

    #[test]
    fn what_takes_two_columns_is_counted_as_two() {
        assert_eq!(cut("传送带控制".to_owned(), 10), "传送带控制");
        assert_eq!(cut("传送带控制".to_owned(), 9), "传送带控…");
        assert_eq!(cut("传送带控制".to_owned(), 8), "传送带…");
        assert_eq!(cut("e\u{301}e\u{301}".to_owned(), 2), "e\u{301}e\u{301}");
        let cells = [
            (text("", 6), "带".to_owned()),
            (number("", 3), "1".to_owned()),
        ];
        assert_eq!(row(cells), "带       1");
        let segments = ["传送".to_owned(), "带控".to_owned()];
        assert_eq!(flow(&segments, " ", 8), segments);
    }
}
