//! A plan as text, for a terminal or a file.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::axis::Axis;
use super::model::{Plan, Span};
use super::strip::{CLOSED, Columns, LEGEND, stands_for, strip};
use super::table::{self, NEVER_OPENS, class};
use super::words::{heading, truncated, wrapped};
use crate::durations::duration;

/// The narrowest and the widest picture.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=1_000;
const GRID: char = '·';
const CHANGE: char = '┊';
/// Colours of the classes 0 to 7: neighbours differ.
const COLOURS: [AnsiColor; 8] = [
    AnsiColor::White,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::Yellow,
    AnsiColor::Blue,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Cyan,
];

/// The picture, its figures and notes, in lines of at most `width` columns (40 at the least).
pub fn render(plan: &Plan, width: usize, colour: bool) -> String {
    let width = width.clamp(*WIDTHS.start(), *WIDTHS.end());
    let mut text = String::new();
    for line in heading(plan) {
        push_wrapped(&mut text, "", &line, width);
    }
    text.push('\n');
    let picture = Picture::new(plan, width);
    picture.draw(&mut text, colour);
    text.push('\n');
    push_legend(&mut text, &picture, width);
    text.push('\n');
    table::push(&mut text, plan, width);
    if !plan.notes.is_empty() {
        text.push('\n');
    }
    for note in &plan.notes {
        push_wrapped(&mut text, "note: ", note, width);
    }
    text
}

struct Picture<'a> {
    plan: &'a Plan,
    /// The width of what stands on the left.
    label: usize,
    columns: usize,
    scale: Columns,
    strips: Vec<Vec<char>>,
    axis: Axis,
    /// Where the axis's labels begin.
    label_columns: Vec<usize>,
}

impl<'a> Picture<'a> {
    fn new(plan: &'a Plan, width: usize) -> Self {
        let widest = plan.rows.iter().map(|row| class(row).width()).max();
        let label = widest.unwrap_or(0).clamp(3, width / 4);
        // One for the space after the label, one for the end of the axis.
        let columns = width - label - 2;
        let scale = Columns::new(plan, columns);
        let (axis, label_columns) = axis(plan, scale, columns);
        Self {
            plan,
            label,
            columns,
            scale,
            strips: plan
                .rows
                .iter()
                .map(|row| strip(plan, row, scale))
                .collect(),
            axis,
            label_columns,
        }
    }

    fn draw(&self, text: &mut String, colour: bool) {
        if self.plan.spans.len() > 1 {
            self.push_line(text, "", &self.spans());
        }
        for (row, strip) in self.plan.rows.iter().zip(&self.strips) {
            let style =
                Style::new().fg_color(Some(COLOURS[usize::from(row.classes[0] & 7)].into()));
            let mut line = self.with_grid(strip);
            if row.windows.is_empty() {
                let here = line.iter_mut().skip(2);
                here.zip(NEVER_OPENS.chars())
                    .for_each(|(cell, c)| *cell = c);
            }
            let line = if colour && !row.windows.is_empty() {
                coloured(&line, style)
            } else {
                line.iter().collect()
            };
            self.push_line(text, &class(row), &line);
            self.push_line(
                text,
                "",
                &self
                    .with_grid(&vec![CLOSED; self.columns])
                    .iter()
                    .collect::<String>(),
            );
        }
        self.push_line(text, "", &self.axis_line());
        self.push_line(text, self.axis.unit, &self.labels());
        if let Some(change) = &self.plan.change {
            let what = match change.config_change_time_ns {
                Some(_) => "ConfigChangeTime",
                None => "the command",
            };
            let at = self.scale.of(0);
            let line = if at + 2 + what.width() <= self.columns {
                format!("{}▲ {what}", " ".repeat(at))
            } else {
                format!(
                    "{}{what} ▲",
                    " ".repeat(at.saturating_sub(what.width() + 1))
                )
            };
            self.push_line(text, "", &line);
        }
    }

    fn push_line(&self, text: &mut String, label: &str, line: &str) {
        let label = truncated(label, self.label);
        let indent = " ".repeat(self.label - label.width() + 1);
        text.push_str(format!("{label}{indent}{line}").trim_end());
        text.push('\n');
    }

    /// What each part of the picture is.
    fn spans(&self) -> String {
        let mut line = String::new();
        for span in &self.plan.spans {
            let (from, to) = (self.scale.of(span.start_ns), self.scale.of(span.end_ns));
            let room = (to - from).saturating_sub(1);
            if room == 0 {
                line.push_str(&" ".repeat(to - from));
                continue;
            }
            let label = truncated(span.label_within(room), room);
            let blank = " ".repeat(room - label.width());
            line.push_str(&format!("│{label}{blank}"));
        }
        line + "│"
    }

    fn with_grid(&self, strip: &[char]) -> Vec<char> {
        let mut line = strip.to_vec();
        line.push(CLOSED);
        let mut mark = |t: i64, glyph: char| {
            let cell = &mut line[self.scale.of(t)];
            if *cell == CLOSED || *cell == GRID {
                *cell = glyph;
            }
        };
        self.axis.ticks.iter().for_each(|(t, _)| mark(*t, GRID));
        if self.plan.change.is_some() {
            mark(0, CHANGE);
        }
        line
    }

    fn axis_line(&self) -> String {
        let mut line = vec!['─'; self.columns + 1];
        for (t, _) in &self.axis.ticks {
            line[self.scale.of(*t)] = '┬';
        }
        for span in &self.plan.spans {
            line[self.scale.of(span.start_ns)] = '┼';
        }
        line[0] = '├';
        line[self.columns] = '┤';
        line.into_iter().collect()
    }

    fn labels(&self) -> String {
        let mut line = String::new();
        for ((_, label), column) in self.axis.ticks.iter().zip(&self.label_columns) {
            line.push_str(&" ".repeat(column - line.chars().count()));
            line.push_str(label);
        }
        line
    }
}

/// The finest axis whose labels do not touch, and where they begin.
fn axis(plan: &Plan, scale: Columns, columns: usize) -> (Axis, Vec<usize>) {
    let place = |axis: &Axis| -> Vec<usize> {
        let labels = axis.ticks.iter();
        labels
            .map(|(t, label)| {
                let left = scale.of(*t).saturating_sub(label.chars().count() / 2);
                left.min((columns + 1).saturating_sub(label.chars().count()))
            })
            .collect()
    };
    let mut most = columns / 4;
    loop {
        let axis = Axis::new(plan.start_ns(), plan.end_ns(), most);
        let begins = place(&axis);
        let ends = axis
            .ticks
            .iter()
            .zip(&begins)
            .map(|((_, label), begin)| begin + label.chars().count());
        if most <= 2
            || ends
                .zip(&begins[1.min(begins.len())..])
                .all(|(end, next)| end + 1 < *next)
        {
            return (axis, begins);
        }
        most -= 1;
    }
}

fn coloured(line: &[char], style: Style) -> String {
    let mut text = String::new();
    let is_plain = |c: &char| [CLOSED, GRID, CHANGE].contains(c);
    for run in line.chunk_by(|a, b| is_plain(a) == is_plain(b)) {
        let glyphs: String = run.iter().collect();
        if is_plain(&run[0]) {
            text.push_str(&glyphs);
        } else {
            text.push_str(&format!("{style}{glyphs}{style:#}"));
        }
    }
    text
}

fn push_legend(text: &mut String, picture: &Picture, width: usize) {
    let glyphs = || picture.strips.iter().flatten();
    let used = |legend: char| glyphs().any(|glyph| stands_for(legend, *glyph));
    let mut line = String::new();
    for (glyph, meaning) in LEGEND.into_iter().filter(|(glyph, _)| used(*glyph)) {
        let item = format!("{glyph} {meaning}");
        if !line.is_empty() && line.width() + 3 + item.width() > width {
            text.push_str(&std::mem::take(&mut line));
            text.push('\n');
        }
        if !line.is_empty() {
            line.push_str("   ");
        }
        line.push_str(&item);
    }
    text.push_str(&line);
    text.push('\n');
    let column_ns =
        picture.plan.end_ns().abs_diff(picture.plan.start_ns()) / picture.columns as u64;
    let mut scale = format!("one column is {}", duration(column_ns));
    let is_hidden = |span: &&Span| picture.scale.of(span.start_ns) == picture.scale.of(span.end_ns);
    let mut hidden: Vec<&str> = picture
        .plan
        .spans
        .iter()
        .filter(is_hidden)
        .map(|span| span.label.as_str())
        .collect();
    hidden.dedup();
    if !hidden.is_empty() {
        scale += &format!("; narrower, and not to be seen: {}", hidden.join("; "));
    }
    push_wrapped(text, "", &scale, width);
}

fn push_wrapped(text: &mut String, head: &str, words: &str, width: usize) {
    let mut head = head.to_owned();
    for line in wrapped(words, width - head.width()) {
        text.push_str(&format!("{head}{line}\n"));
        head = " ".repeat(head.width());
    }
}
