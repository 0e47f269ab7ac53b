//! The results as one SVG: rates as bars, distributions as dots on a logarithmic axis.

use std::fmt::Write;

use super::{
    render::escape,
    table::{Row, Table},
};

const WIDTH: f64 = 860.0;
/// Where the plots begin; the subjects stand before them.
const LEFT: f64 = 330.0;
const RIGHT: f64 = 40.0;
const ROW: f64 = 22.0;
const HEAD: f64 = 64.0;
/// The tables that are drawn, and how.
const DRAWN: [(&str, Kind); 5] = [
    ("launch-precision", Kind::Dots),
    ("arrival", Kind::Dots),
    ("forwarding", Kind::Bars),
    ("forwarding-dpdk", Kind::Bars),
    ("latency", Kind::Dots),
];
/// Quantiles of [`Kind::Dots`]: their columns and their classes in the style.
const QUANTILES: [(&str, &str); 4] = [("p50", "q1"), ("p90", "q2"), ("p99", "q3"), ("p99.9", "q4")];

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1d2733 }
.title { font-weight: 600; font-size: 15px }
.small { font-size: 11px; fill: #5c6b7a }
.grid { stroke: #d5dce3 }
.bar { fill: #9db4c8 } .own.bar { fill: #2f6fb0 }
.span { stroke: #9db4c8; stroke-width: 3 } .own.span { stroke: #2f6fb0 }
.q1 { fill: #0b3d6e } .q2 { fill: #2f6fb0 } .q3 { fill: #d98218 } .q4 { fill: #c0392b }
.paper { fill: #fff }
@media (prefers-color-scheme: dark) {
text { fill: #dbe4ec } .small { fill: #93a4b3 } .grid { stroke: #34414d } .paper { fill: #12181e }
.bar { fill: #4c6377 } .own.bar { fill: #5aa2ea } .span { stroke: #4c6377 } .own.span { stroke: #5aa2ea }
.q1 { fill: #cfe6ff } .q2 { fill: #5aa2ea } .q3 { fill: #f0a848 } .q4 { fill: #ef6f61 }
}
";

#[derive(Clone, Copy)]
enum Kind {
    Dots,
    Bars,
}

/// The picture of those tables that are there and can be drawn.
pub fn svg(tables: &[Table]) -> String {
    let drawn: Vec<(&Table, Kind)> = DRAWN
        .iter()
        .filter_map(|(id, kind)| Some((tables.iter().find(|table| table.id == *id)?, *kind)))
        .collect();
    let height_of = |table: &Table| HEAD + table.rows.len() as f64 * ROW + 20.0;
    let height: f64 = drawn.iter().map(|(table, _)| height_of(table)).sum();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"tsnd: benchmarks\">\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    let mut top = 0.0;
    for (table, kind) in drawn {
        let _ = writeln!(
            out,
            "<text class=\"title\" x=\"12\" y=\"{}\">{}</text>",
            top + 24.0,
            escape(&table.title)
        );
        match kind {
            Kind::Dots => dots(&mut out, table, top),
            Kind::Bars => bars(&mut out, table, top),
        }
        top += height_of(table);
    }
    out.push_str("</svg>\n");
    out
}

/// Baselines are drawn paler than tsnd.
fn class_of(row: &Row) -> &'static str {
    if row.subject.contains("tsnd") {
        "own "
    } else {
        ""
    }
}

fn figure(table: &Table, row: &Row, column: &str) -> Option<f64> {
    let at = table
        .columns
        .iter()
        .position(|candidate| candidate.name == column)?;
    row.figures.get(at).copied().flatten()
}

fn subject(out: &mut String, row: &Row, y: f64) {
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        LEFT - 12.0,
        y + 4.0,
        escape(&row.subject)
    );
}

fn grid(out: &mut String, x: f64, top: f64, rows: usize, label: &str) {
    let bottom = top + HEAD + rows as f64 * ROW;
    let _ = writeln!(
        out,
        "<path class=\"grid\" d=\"M{x:.1} {}V{bottom}\"/>\
         <text class=\"small\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
        top + HEAD - 6.0,
        top + HEAD - 10.0
    );
}

fn dots(out: &mut String, table: &Table, top: f64) {
    // From 10 ns on; what is early or earlier stands at the edge.
    const FIRST_NS: f64 = 10.0;
    let values = table
        .rows
        .iter()
        .flat_map(|row| QUANTILES.map(|(name, _)| figure(table, row, name)));
    let largest = values.flatten().fold(1_000.0, f64::max);
    let decades = (largest / FIRST_NS).log10().ceil();
    let x = |ns: f64| {
        let part = (ns.max(FIRST_NS) / FIRST_NS).log10() / decades;
        LEFT + part * (WIDTH - LEFT - RIGHT)
    };
    for decade in 0..=decades as i32 {
        let ns = FIRST_NS * 10f64.powi(decade);
        let label = match ns {
            ..1e3 => format!("{ns:.0} ns"),
            ..1e6 => format!("{:.0} µs", ns / 1e3),
            _ => format!("{:.0} ms", ns / 1e6),
        };
        grid(out, x(ns), top, table.rows.len(), &label);
    }
    for (number, (name, class)) in QUANTILES.into_iter().enumerate() {
        let at = WIDTH - RIGHT - 240.0 + number as f64 * 64.0;
        let _ = writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{at}\" cy=\"{}\" r=\"5\"/><text class=\"small\" x=\"{}\" y=\"{}\">{name}</text>",
            top + 20.0,
            at + 9.0,
            top + 24.0
        );
    }
    for (number, row) in table.rows.iter().enumerate() {
        let y = top + HEAD + (number as f64 + 0.5) * ROW;
        subject(out, row, y);
        let ends = [figure(table, row, "p50"), figure(table, row, "p99.9")];
        if let [Some(first), Some(last)] = ends {
            let class = class_of(row);
            let _ = writeln!(
                out,
                "<path class=\"{class}span\" d=\"M{:.1} {y}H{:.1}\"/>",
                x(first),
                x(last)
            );
        }
        for (name, class) in QUANTILES {
            if let Some(ns) = figure(table, row, name) {
                let _ = writeln!(
                    out,
                    "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{y}\" r=\"5\"><title>{name}: {ns:.0} ns</title></circle>",
                    x(ns)
                );
            }
        }
    }
}

fn bars(out: &mut String, table: &Table, top: f64) {
    let rate = |row: &Row| figure(table, row, "without loss");
    let largest = table.rows.iter().filter_map(rate).fold(100_000.0, f64::max);
    let x = |rate: f64| LEFT + rate / largest * (WIDTH - LEFT - RIGHT);
    let step = grid_step(largest);
    for number in 0..=(largest / step) as u32 {
        let at = f64::from(number) * step;
        grid(
            out,
            x(at),
            top,
            table.rows.len(),
            &format!("{:.0} k/s", at / 1e3),
        );
    }
    for (number, row) in table.rows.iter().enumerate() {
        let y = top + HEAD + (number as f64 + 0.5) * ROW;
        subject(out, row, y);
        if let Some(found) = rate(row) {
            let class = class_of(row);
            let _ = writeln!(
                out,
                "<rect class=\"{class}bar\" x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"14\" rx=\"2\">\
                 <title>{found:.0} frames/s without loss</title></rect>",
                y - 7.0,
                x(found) - LEFT
            );
        }
    }
}

/// From one line of the grid to the next: 1, 2 or 5 times a power of ten, so that there are 2 to 6 lines up to `largest`.
fn grid_step(largest: f64) -> f64 {
    let power = 10f64.powf((largest / 6.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    let enough = |step: &f64| largest / step <= 6.0;
    steps.into_iter().find(enough).unwrap_or(largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::{column, distribution_columns, distribution_row};

    #[test]
    fn every_subject_of_a_drawn_table_is_there() {
        let precision = Table {
            id: "launch-precision",
            title: "Launch precision".to_owned(),
            explanation: String::new(),
            columns: distribution_columns(&["frames"]),
            rows: vec![distribution_row("a & b".to_owned(), &[-5, 70, 900], &[3])],
        };
        let forwarding = Table {
            id: "forwarding",
            title: "Forwarding".to_owned(),
            explanation: String::new(),
            columns: vec![column("without loss", "frames/s")],
            rows: vec![Row {
                subject: "tsnd, 64 bytes".to_owned(),
                figures: vec![Some(412_345.0)],
            }],
        };
        let picture = svg(&[forwarding, precision]);
        for part in [
            "a &amp; b",
            "p99.9: 900 ns",
            "tsnd, 64 bytes",
            "412345 frames/s",
            "own bar",
        ] {
            assert!(picture.contains(part), "{part} is not in:\n{picture}");
        }
        assert!(picture.find("Launch precision") < picture.find("Forwarding"));
    }

    #[test]
    fn a_grid_has_round_steps_and_not_too_many() {
        for (largest, step) in [
            (100_000.0, 20_000.0),
            (385_128.0, 100_000.0),
            (600_000.0, 100_000.0),
            (8_720_207.0, 2_000_000.0),
        ] {
            assert_eq!(grid_step(largest), step, "{largest}");
        }
    }
}
