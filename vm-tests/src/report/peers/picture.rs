//! The picture: for each case the deviation from the launch time, as dots on a logarithmic axis.

use std::fmt::Write;

use super::{
    Measured, Row,
    page::{case, micros, subject},
};
use crate::Kernel;

const WIDTH: f64 = 860.0;
/// Where the plots begin; the subjects stand before them.
const LEFT: f64 = 190.0;
/// What remains to the right of the plots has the frames outside their gates.
const RIGHT: f64 = 130.0;
const ROW: f64 = 20.0;
const HEAD: f64 = 52.0;
/// The left edge; what is nearer stands there.
const FIRST_NS: f64 = 100.0;
const DECADES: i32 = 5;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1d2733 }
.title { font-weight: 600; font-size: 15px } .small { font-size: 11px; fill: #5c6b7a } .bad { fill: #c0392b }
.grid { stroke: #d5dce3 } .span { stroke: #9db4c8; stroke-width: 3 } .own.span { stroke: #2f6fb0 }
.q1 { fill: #0b3d6e } .q2 { fill: #d98218 } .q3 { fill: #c0392b } .paper { fill: #fff }
@media (prefers-color-scheme: dark) {
text { fill: #dbe4ec } .small { fill: #93a4b3 } .bad { fill: #ef6f61 } .grid { stroke: #34414d } .paper { fill: #12181e }
.span { stroke: #4c6377 } .own.span { stroke: #5aa2ea } .q1 { fill: #cfe6ff } .q2 { fill: #f0a848 } .q3 { fill: #ef6f61 }
}
";

/// The picture of the newest kernel that was measured.
pub fn picture(all: &[(Kernel, Measured)]) -> String {
    let Some((kernel, measured)) = all.last() else {
        return String::new();
    };
    let groups: Vec<&[Row]> = measured
        .rows
        .chunk_by(|one, next| one.case == next.case)
        .collect();
    let height_of = |rows: &[Row]| HEAD + rows.len() as f64 * ROW + 14.0;
    let height = 34.0 + groups.iter().map(|rows| height_of(rows)).sum::<f64>();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Deviation from the launch time: tsnd and its peers\">\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"small\" x=\"12\" y=\"20\">Arrival less launch time, without its sign, on {kernel}: \
         median, p99, maximum; at the right, frames outside their gates</text>\n"
    );
    let mut top = 34.0;
    for rows in groups {
        group(&mut out, rows, top);
        top += height_of(rows);
    }
    out.push_str("</svg>\n");
    out
}

fn x(ns: i64) -> f64 {
    let part = ((ns as f64).max(FIRST_NS) / FIRST_NS).log10() / f64::from(DECADES);
    LEFT + part.min(1.0) * (WIDTH - LEFT - RIGHT)
}

fn group(out: &mut String, rows: &[Row], top: f64) {
    let bottom = top + HEAD + rows.len() as f64 * ROW;
    let title = rows.first().map_or("", |row| case(&row.case));
    let _ = writeln!(
        out,
        "<text class=\"title\" x=\"12\" y=\"{}\">{title}</text>",
        top + 22.0
    );
    for decade in 0..=DECADES {
        let ns = 100 * 10_i64.pow(decade.unsigned_abs());
        let label = match ns {
            100 => format!("{ns} ns"),
            1_000..1_000_000 => format!("{} µs", ns / 1_000),
            _ => format!("{} ms", ns / 1_000_000),
        };
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{at:.1} {}V{bottom}\"/>\
             <text class=\"small\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            top + HEAD - 6.0,
            top + HEAD - 10.0,
            at = x(ns)
        );
    }
    for (number, row) in rows.iter().enumerate() {
        line(out, row, top + HEAD + (number as f64 + 0.5) * ROW);
    }
}

fn line(out: &mut String, row: &Row, y: f64) {
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        LEFT - 12.0,
        y + 4.0,
        subject(&row.subject)
    );
    if let Some(found) = row.deviation {
        let class = if row.subject == "tsnd" { "own " } else { "" };
        let _ = writeln!(
            out,
            "<path class=\"{class}span\" d=\"M{:.1} {y}H{:.1}\"/>",
            x(found.p50_ns),
            x(found.max_ns)
        );
        for (name, style, ns) in [
            ("median", "q1", found.p50_ns),
            ("p99", "q2", found.p99_ns),
            ("maximum", "q3", found.max_ns),
        ] {
            let _ = writeln!(
                out,
                "<circle class=\"{style}\" cx=\"{:.1}\" cy=\"{y}\" r=\"5\"><title>{name}: {} µs</title></circle>",
                x(ns),
                micros(ns)
            );
        }
    }
    let (style, frames) = match row.outside.frames {
        0 => ("small", 0),
        frames => ("small bad", frames),
    };
    let _ = writeln!(
        out,
        "<text class=\"{style}\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{frames} outside</text>",
        WIDTH - 14.0,
        y + 4.0
    );
}
