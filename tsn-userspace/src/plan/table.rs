//! The figures beside a picture, as text.

use unicode_width::UnicodeWidthStr;

use super::model::{Figures, Gate, Plan, Row};
use super::words::{percent, truncated};
use crate::config::printable;
use crate::durations::{duration, signed_duration};

/// What the columns of [`cells`] are called.
pub const HEADINGS: [&str; 6] = [
    "class",
    "windows",
    "open",
    "longest frame",
    "guard band",
    "spare",
];

/// The same in little room.
const SHORT_HEADINGS: [&str; 6] = ["class", "windows", "open", "frame", "guard", "spare"];

/// What stands in the row of a class without windows.
pub const NEVER_OPENS: &str = "never opens";

/// How much cells tell.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Detail {
    /// The number of windows, the bytes of a frame.
    Short,
    /// Also how long they are.
    Full,
}

/// Names are cut to so many columns.
const LONGEST_NAME: usize = 30;

/// Number and name of a row's class.
pub fn class(row: &Row) -> String {
    match &row.name {
        Some(name) => format!(
            "{} {}",
            row.numbers(),
            truncated(&printable(name), LONGEST_NAME)
        ),
        None => row.numbers(),
    }
}

/// The figures of a row, in the order of [`HEADINGS`]; what a change changes, before and after.
pub fn cells(row: &Row) -> [String; 6] {
    let after = cells_of(row, &row.figures, class(row), Detail::Full);
    let Some(before) = &row.figures_before else {
        return after;
    };
    let mut before = cells_of(row, before, class(row), Detail::Full).into_iter();
    after.map(|after| match before.next() {
        Some(before) if before != after => format!("{before} → {after}"),
        _ => after,
    })
}

/// The figures in less room: those before a change and those after it in a row each, if they differ.
fn stacked_cells(row: &Row, detail: Detail) -> Vec<[String; 6]> {
    let cells = |figures, name| cells_of(row, figures, name, detail);
    match &row.figures_before {
        Some(before) if *before != row.figures => vec![
            cells(before, class(row)),
            cells(&row.figures, "  → new list".to_owned()),
        ],
        _ => vec![cells(&row.figures, class(row))],
    }
}

fn cells_of(row: &Row, figures: &Figures, name: String, detail: Detail) -> [String; 6] {
    [
        name,
        windows(figures, detail),
        percent(figures.open_share),
        frame(row, detail),
        figures
            .guard_band_ns
            .map_or_else(|| "none".to_owned(), duration),
        figures
            .spare_ns
            .map_or_else(|| "–".to_owned(), signed_duration),
    ]
}

/// `2 × 300 µs`, or `3, 20 µs to 1 ms`.
fn windows(figures: &Figures, detail: Detail) -> String {
    let count = figures.windows;
    match (figures.gate, detail) {
        (Gate::NeverOpen, _) => "never".to_owned(),
        (Gate::AlwaysOpen, _) => "always".to_owned(),
        (Gate::OpensAndCloses, Detail::Short) => count.to_string(),
        (Gate::OpensAndCloses, Detail::Full) => {
            let shortest = figures
                .shortest_window_ns
                .map_or_else(String::new, duration);
            let longest = figures.longest_window_ns.map_or_else(String::new, duration);
            if shortest == longest {
                format!("{count} × {longest}")
            } else {
                format!("{count}, {shortest} to {longest}")
            }
        }
    }
}

fn frame(row: &Row, detail: Detail) -> String {
    let bytes = row.longest_frame.sdu_bytes;
    let frames = match row.frames() {
        1 => String::new(),
        frames => format!("{frames}×"),
    };
    match detail {
        Detail::Short => format!("{frames}{bytes} B"),
        Detail::Full => {
            let wire_time = duration(row.longest_frame.wire_time_ns);
            format!("{frames}{bytes} B, {wire_time}")
        }
    }
}

/// Writes the figures of all rows in at most `width` columns, if that can be.
pub fn push(text: &mut String, plan: &Plan, width: usize) {
    let rows: Vec<_> = plan.rows.iter().map(cells).collect();
    let stacked = |detail| -> Vec<_> {
        let rows = plan.rows.iter();
        rows.flat_map(|row| stacked_cells(row, detail)).collect()
    };
    let tables = [
        Table::new(HEADINGS, rows, 2),
        Table::new(HEADINGS, stacked(Detail::Full), 2),
        Table::new(SHORT_HEADINGS, stacked(Detail::Full), 1),
        Table::new(SHORT_HEADINGS, stacked(Detail::Short), 1),
    ];
    let table = tables.iter().find(|table| table.width() <= width);
    table.unwrap_or(&tables[3]).draw(text, width);
}

/// Rows whose columns are aligned.
struct Table {
    rows: Vec<[String; 6]>,
    widths: [usize; 6],
    gap: usize,
}

impl Table {
    fn new(headings: [&str; 6], mut rows: Vec<[String; 6]>, gap: usize) -> Self {
        rows.insert(0, headings.map(str::to_owned));
        let widths = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| row[column].width());
            cells.max().unwrap_or(0)
        });
        Self { rows, widths, gap }
    }

    fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + self.gap * (self.widths.len() - 1)
    }

    /// In at most `width` columns, if the first column can be cut so far.
    fn draw(&self, text: &mut String, width: usize) {
        let excess = self.width().saturating_sub(width);
        let first = self.widths[0].saturating_sub(excess).max(6);
        let gap = " ".repeat(self.gap);
        for [name, figures @ ..] in &self.rows {
            let name = truncated(name, first);
            let mut line = format!("{name}{}", " ".repeat(first - name.width()));
            for (figure, wide) in figures.iter().zip(&self.widths[1..]) {
                let blank = " ".repeat(wide - figure.width());
                line.push_str(&format!("{gap}{blank}{figure}"));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
}
