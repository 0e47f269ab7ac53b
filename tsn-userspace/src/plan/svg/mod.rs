//! A plan as a picture for a document or a browser: one SVG file that needs nothing else, for light and dark pages.

mod canvas;
mod windows;

use canvas::{Canvas, LEFT, PICTURE, RIGHT, WIDTH};

use super::axis::Axis;
use super::model::{Plan, SpanKind};
use super::strip::{GUARD_BAND, MARGIN};
use super::table::{HEADINGS, NEVER_OPENS, cells, class};
use super::words::{heading, truncated, wrapped};
use crate::config::printable;

/// The height of a row, and of the bar in it.
const ROW: f64 = 34.0;
const BAR: f64 = 24.0;
/// From one line of text to the next.
const LINE: f64 = 18.0;
/// As many characters of the text's size fit into a line.
const LINE_CHARACTERS: usize = 145;
/// Where the columns of the table end; the first begins at the left.
const TABLE: [f64; 6] = [0.0, 340.0, 490.0, 640.0, 760.0, RIGHT];

/// The picture, its figures and notes, as an SVG document.
pub fn render(plan: &Plan) -> String {
    let mut canvas = Canvas::new(plan);
    let mut y = 32.0;
    for (index, line) in heading(plan).into_iter().enumerate() {
        for line in wrapped(&line, LINE_CHARACTERS) {
            canvas.text(LEFT, y, if index == 0 { "head" } else { "" }, &line);
            y += LINE;
        }
        y += if index == 0 { 4.0 } else { 0.0 };
    }
    y += 8.0;
    y = draw_picture(&mut canvas, plan, y);
    y = draw_legend(&mut canvas, y + 14.0);
    y = draw_table(&mut canvas, plan, y + 20.0);
    y += 10.0;
    for note in &plan.notes {
        for line in wrapped(&format!("Note: {note}"), LINE_CHARACTERS) {
            canvas.text(LEFT, y, "soft", &line);
            y += LINE;
        }
    }
    canvas.finish(y, &title(plan), &description(plan))
}

fn title(plan: &Plan) -> String {
    let what = if plan.change.is_some() {
        "Change of the gates"
    } else {
        "Gates"
    };
    format!("{what} of {}", printable(&plan.device))
}

/// What the picture shows, for those who do not see it.
fn description(plan: &Plan) -> String {
    let rows = plan.rows.iter().map(|row| {
        let [class, windows, open, ..] = cells(row);
        format!("Class {class}: windows {windows}; open {open}.")
    });
    heading(plan)
        .into_iter()
        .chain(rows)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Parts, rows and axis. Gives the y below them.
fn draw_picture(canvas: &mut Canvas, plan: &Plan, top: f64) -> f64 {
    let has_parts = plan.spans.len() > 1;
    let rows_top = if has_parts { top + 22.0 } else { top };
    let bottom = rows_top + ROW * plan.rows.len() as f64;
    for (index, _) in plan.rows.iter().enumerate() {
        let y = rows_top + ROW * index as f64;
        canvas.rect("lane", PICTURE, y, RIGHT - PICTURE, BAR);
    }
    let axis = Axis::new(plan.start_ns(), plan.end_ns(), 11);
    for (t, _) in &axis.ticks {
        canvas.vertical("grid", canvas.x(*t), rows_top, bottom);
    }
    for (index, row) in plan.rows.iter().enumerate() {
        let y = rows_top + ROW * index as f64;
        canvas.text(LEFT, y + 16.5, "name", &truncated(&class(row), 15));
        if row.windows.is_empty() {
            canvas.text(PICTURE + 8.0, y + 16.5, "soft", NEVER_OPENS);
        }
        windows::draw(canvas, plan, row, y, BAR);
    }
    canvas.horizontal("rule", PICTURE, RIGHT, bottom);
    for (t, label) in &axis.ticks {
        canvas.vertical("rule", canvas.x(*t), bottom, bottom + 5.0);
        canvas.text(canvas.x(*t), bottom + 19.0, "tick figure", label);
    }
    canvas.text(PICTURE - 14.0, bottom + 19.0, "soft end", axis.unit);
    if has_parts {
        draw_parts(canvas, plan, top, bottom);
    }
    if plan.change.is_some() {
        canvas.vertical("change", canvas.x(0), top, bottom + 6.0);
        let what = if plan.list.is_some() {
            "ConfigChangeTime"
        } else {
            "the command"
        };
        canvas.text(canvas.x(0), bottom + 35.0, "accent middle", what);
        return bottom + 36.0;
    }
    bottom + 20.0
}

fn draw_parts(canvas: &mut Canvas, plan: &Plan, top: f64, bottom: f64) {
    for span in &plan.spans {
        let (from, to) = (canvas.x(span.start_ns), canvas.x(span.end_ns));
        if from > PICTURE {
            canvas.vertical("boundary", from, top, bottom);
        }
        let accent = match span.kind {
            SpanKind::CutCycle | SpanKind::ExtendedCycle => "accent middle",
            SpanKind::Cycle | SpanKind::AdminGateStates => "soft middle",
        };
        // A bold character is about 7 wide.
        let room = ((to - from) / 7.0) as usize;
        let label = truncated(span.label_within(room), room);
        canvas.text((from + to) / 2.0, top + 12.0, accent, &label);
    }
}

fn draw_legend(canvas: &mut Canvas, top: f64) -> f64 {
    let items: [(&[&str], &str, f64); 4] = [
        (&["c7"], "open", 80.0),
        (&["c7 guard", "hatch"], GUARD_BAND, 350.0),
        (&["c7 margin"], MARGIN, 270.0),
        (&["frame"], "longest frame, to scale", 0.0),
    ];
    let mut x = LEFT;
    for (classes, meaning, width) in items {
        for class in classes {
            canvas.rect(class, x, top, 16.0, 12.0);
        }
        canvas.text(x + 22.0, top + 10.5, "soft", meaning);
        x += width;
    }
    top + 12.0
}

fn draw_table(canvas: &mut Canvas, plan: &Plan, top: f64) -> f64 {
    let mut y = top + 12.0;
    let mut line = |canvas: &mut Canvas, texts: [String; 6], class: &str, first: &str| {
        let [name, figures @ ..] = texts;
        canvas.text(LEFT, y, first, &truncated(&name, 28));
        for (text, x) in figures.iter().zip(&TABLE[1..]) {
            canvas.text(*x, y, class, text);
        }
        canvas.horizontal("grid", LEFT, RIGHT, y + 6.0);
        y += LINE + 3.0;
    };
    line(canvas, HEADINGS.map(str::to_owned), "soft end", "soft");
    for row in &plan.rows {
        line(canvas, cells(row), "figure end", "");
    }
    y
}

const _: () = assert!(RIGHT < WIDTH);
