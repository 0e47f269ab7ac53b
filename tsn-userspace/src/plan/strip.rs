//! One row of a picture made of characters: what a gate does, column by column.

use super::model::{Plan, Row, Window};
use super::parts::{Part, parts};

/// Each column is divided into eighths, as the block characters are.
const EIGHTHS: u128 = 8;
const LEFT_BLOCKS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Glyphs and what they mean, in the order of a legend.
pub const LEGEND: [(char, &str); 8] = [
    (OPEN, "open"),
    (PARTIAL, "open for a part of the column"),
    (GUARD, GUARD_BAND),
    (MARGINS, MARGIN),
    (UNFIT, "window too short for the longest frame"),
    (NARROW, "a window narrower than a column"),
    (GAP, "closed for less than a column"),
    (SEVERAL, "several windows in a column"),
];
/// What is reserved at the end of a window.
pub const GUARD_BAND: &str = "guard band: the longest frame may no longer start";
/// What the worker keeps clear at both ends of a window.
pub const MARGIN: &str = "margin: lead, stall-threshold";
const OPEN: char = '█';
/// Stands in the legend for all blocks of a part of a column.
const PARTIAL: char = '▌';
const RIGHT_BLOCKS: [char; 2] = ['▕', '▐'];
const UNFIT: char = '×';
const GUARD: char = '▒';
const MARGINS: char = '░';
const NARROW: char = '│';
const GAP: char = '╎';
const SEVERAL: char = '║';
/// Nothing: the gate is closed.
pub const CLOSED: char = ' ';

/// From times to columns.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    start_ns: i64,
    length_ns: u128,
    columns: usize,
}

impl Columns {
    /// The picture of `plan`, `columns` wide.
    pub fn new(plan: &Plan, columns: usize) -> Self {
        Self {
            start_ns: plan.start_ns(),
            length_ns: u128::from(plan.end_ns().abs_diff(plan.start_ns())).max(1),
            columns,
        }
    }

    /// The column that begins at or contains `t`; the number of columns for the end.
    pub fn of(&self, t: i64) -> usize {
        (self.scaled(t) / self.length_ns) as usize
    }

    /// A time in units of which each column has `length_ns`, so that all is exact.
    fn scaled(&self, t: i64) -> u128 {
        let offset = i128::from(t) - i128::from(self.start_ns);
        let offset = u128::try_from(offset).unwrap_or(0).min(self.length_ns);
        offset * self.columns as u128
    }

    fn clip(&self, from: i64, to: i64) -> (u128, u128) {
        (self.scaled(from), self.scaled(to))
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, Default)]
struct Column {
    usable: u128,
    guard: u128,
    margin: u128,
    /// Of windows in which the longest frame may not start at any time.
    unfit: u128,
    /// Windows, and breaks between windows, that lie inside it.
    windows: u32,
    gaps: u32,
    /// The gate is open where it begins.
    open_at_left: bool,
    /// It holds the middle of a guard band that would not be seen otherwise.
    shows_guard: bool,
}

/// The glyphs of a row.
pub fn strip(plan: &Plan, row: &Row, scale: Columns) -> Vec<char> {
    let mut columns = vec![Column::default(); scale.columns];
    let mut closed_from = None;
    for window in &row.windows {
        let (open, close) = scale.clip(
            window.open_ns.unwrap_or(i64::MIN),
            window.close_ns.unwrap_or(i64::MAX),
        );
        if open == close {
            continue;
        }
        let parts = parts(plan, window);
        let is_usable = |(from, to, part): &(i64, i64, Part)| *part == Part::Usable && from < to;
        let fits = window.latest_start_ns.is_none() || parts.iter().any(is_usable);
        for (from, to, part) in parts {
            let (from, to) = scale.clip(from, to);
            let part = Some(part).filter(|_| fits);
            add(&mut columns, scale.length_ns, from, to, part);
        }
        note_changes(&mut columns, scale.length_ns, closed_from, open, close);
        if fits {
            show_guard(plan, window, &mut columns, scale);
        }
        closed_from = Some(close);
    }
    columns
        .iter()
        .map(|column| column.glyph(scale.length_ns))
        .collect()
}

/// Adds a part, or time of a window that is too short.
fn add(columns: &mut [Column], length: u128, from: u128, to: u128, part: Option<Part>) {
    let mut from = from;
    while from < to {
        let index = (from / length) as usize;
        let end = to.min((index as u128 + 1) * length);
        let column = &mut columns[index];
        *match part {
            Some(Part::Usable) => &mut column.usable,
            Some(Part::Guard) => &mut column.guard,
            Some(Part::Margin) => &mut column.margin,
            None => &mut column.unfit,
        } += end - from;
        column.open_at_left |= from == index as u128 * length;
        from = end;
    }
}

/// Counts what begins and ends within one column.
fn note_changes(
    columns: &mut [Column],
    length: u128,
    closed_from: Option<u128>,
    open: u128,
    close: u128,
) {
    let inside = |from: u128, to: u128| {
        let index = from / length;
        (from > index * length && to < (index + 1) * length).then_some(index as usize)
    };
    if let Some(index) = inside(open, close) {
        columns[index].windows += 1;
    }
    if let Some(index) = closed_from.and_then(|from| inside(from, open)) {
        columns[index].gaps += 1;
    }
}

/// Of a window some columns wide the guard band is shown, however narrow it is.
fn show_guard(plan: &Plan, window: &Window, columns: &mut [Column], scale: Columns) {
    let (Some(latest), Some(close)) = (window.latest_start_ns, window.close_ns) else {
        return;
    };
    let length = scale.length_ns;
    let (open, end) = scale.clip(window.open_ns.unwrap_or(i64::MIN), close);
    let threshold = i64::try_from(plan.stall_threshold_ns).unwrap_or(i64::MAX);
    let (from, to) = scale.clip(latest, close.saturating_sub(threshold));
    if close > plan.end_ns() || end - open < 3 * length || from == to {
        return;
    }
    let touched = (from / length) as usize..=((to - 1) / length) as usize;
    if touched
        .clone()
        .any(|index| columns[index].glyph(length) == GUARD)
    {
        return;
    }
    let middle = ((from + to) / 2 / length) as usize;
    // The column may be mostly closed; then the one before it is the window's last.
    let mostly_open = columns[middle].open() * 2 >= length;
    columns[if mostly_open {
        middle
    } else {
        middle.saturating_sub(1)
    }]
    .shows_guard = true;
}

/// Whether a legend's glyph stands for one in a strip.
pub fn stands_for(legend: char, glyph: char) -> bool {
    let is_block = || LEFT_BLOCKS.contains(&glyph) || RIGHT_BLOCKS.contains(&glyph);
    legend == glyph || legend == PARTIAL && is_block()
}

impl Column {
    fn open(&self) -> u128 {
        self.usable + self.guard + self.margin + self.unfit
    }

    fn glyph(&self, length: u128) -> char {
        let open = self.open();
        let mostly_open = open * 2 >= length;
        match (self.windows, self.gaps) {
            _ if open == 0 => CLOSED,
            _ if open == self.unfit => UNFIT,
            (0, 0) if open == length => self.texture(),
            (0, 0) if mostly_open && self.texture() != OPEN => self.texture(),
            (0, 0) if self.open_at_left => LEFT_BLOCKS[eighths(open, length).clamp(1, 7) - 1],
            // There are no blocks for the right side but these.
            (0, 0) => match eighths(open, length) {
                0 | 1 => RIGHT_BLOCKS[0],
                2..=5 => RIGHT_BLOCKS[1],
                _ => OPEN,
            },
            (0, 1) => GAP,
            (1, 0) if mostly_open => self.texture(),
            (1, 0) => NARROW,
            _ => SEVERAL,
        }
    }

    fn texture(&self) -> char {
        if self.shows_guard || self.guard > self.usable.max(self.margin) {
            GUARD
        } else if self.margin > self.usable.max(self.guard) {
            MARGINS
        } else {
            OPEN
        }
    }
}

fn eighths(part: u128, length: u128) -> usize {
    ((part * EIGHTHS + length / 2) / length) as usize
}
