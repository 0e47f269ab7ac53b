//! The figure that compares runs: where each timed stream's frames lie about their launch time.

use std::fmt::{self, Write};

use super::data::Report;
use super::plot::{RIGHT, Scale, WIDTH};
use super::text::{Escaped, Shortened, SignedMicroseconds};
use crate::distribution::Distribution;

/// The axis begins to the right of names and figures.
const LEFT: f64 = 290.0;
const TOP: f64 = 24.0;
const HEADING_HEIGHT: f64 = 24.0;
const ROW_HEIGHT: f64 = 24.0;
/// The axis is linear up to a microsecond on both sides of the launch time, and logarithmic beyond.
const LINEAR_NS: f64 = 1e3;

/// Draws the figure; nothing if there are not several runs with timed streams to compare.
pub fn draw(
    out: &mut impl Write,
    report: &Report,
    colour_of: impl Fn(&str) -> String,
) -> fmt::Result {
    let all = report
        .runs
        .iter()
        .flat_map(|run| &run.streams)
        .filter_map(|stream| stream.error_ns);
    let (low, high) = all.fold((0, 0), |(low, high), error: Distribution| {
        (low.min(error.min), high.max(error.max))
    });
    let is_timed = |run: &&super::Run| run.streams.iter().any(|stream| stream.error_ns.is_some());
    let runs: Vec<_> = report.runs.iter().filter(is_timed).collect();
    if runs.len() < 2 {
        return Ok(());
    }
    let rows = runs
        .iter()
        .flat_map(|run| &run.streams)
        .filter(|stream| stream.error_ns.is_some());
    let bottom = TOP + runs.len() as f64 * HEADING_HEIGHT + rows.count() as f64 * ROW_HEIGHT;
    writeln!(
        out,
        "<figure>\n<figcaption><strong>How far from its launch time each stream arrived.</strong> \
         Disc: the median; thick line: from there to p99; thin line: all frames. Linear up to 1 µs, \
         logarithmic beyond.</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"Comparison of the runs\">",
        bottom + 44.0
    )?;
    let x = Scale {
        domain: (position(low) - 0.2, position(high) + 0.2),
        range: (LEFT, RIGHT),
    };
    axis(out, &x, bottom)?;
    let mut top = TOP;
    for run in runs {
        let baseline = top + 17.0;
        writeln!(
            out,
            "<text class=\"strong\" x=\"0\" y=\"{baseline}\">{}</text>",
            Escaped(&run.name)
        )?;
        top += HEADING_HEIGHT;
        for stream in &run.streams {
            let Some(error) = stream.error_ns else {
                continue;
            };
            let (label, baseline) = (LEFT - 10.0, top + 14.0);
            let name = Shortened(&stream.name);
            let (median, most) = (SignedMicroseconds(error.p50), SignedMicroseconds(error.max));
            writeln!(
                out,
                "<text class=\"label\" x=\"{label}\" y=\"{baseline}\">{name}: median {median}, max {most}</text>"
            )?;
            range(out, &x, &error, top + 10.0, &colour_of(&stream.name))?;
            top += ROW_HEIGHT;
        }
    }
    writeln!(out, "</svg>\n</figure>")
}

fn range(
    out: &mut impl Write,
    x: &Scale,
    error: &Distribution,
    y: f64,
    colour: &str,
) -> fmt::Result {
    let at = |value| x.at(position(value));
    let (min, p50, p99, max) = (at(error.min), at(error.p50), at(error.p99), at(error.max));
    writeln!(
        out,
        "<path class=\"all {colour}\" d=\"M{min:.1} {y}H{max:.1}\"/>"
    )?;
    writeln!(
        out,
        "<path class=\"most {colour}\" d=\"M{p50:.1} {y}H{p99:.1}\"/>"
    )?;
    writeln!(
        out,
        "<path class=\"median {colour}\" d=\"M{p50:.1} {y}h0\"/>"
    )
}

fn axis(out: &mut impl Write, x: &Scale, bottom: f64) -> fmt::Result {
    let decades = |end: f64| end.abs().ceil() as u32;
    let ticks = (1..=decades(x.domain.0)).map(|decade| -(10_i64.pow(decade + 2)));
    let ticks = ticks
        .chain([0])
        .chain((1..=decades(x.domain.1)).map(|decade| 10_i64.pow(decade + 2)));
    for tick in ticks {
        let place = position(tick);
        if place < x.domain.0 || place > x.domain.1 {
            continue;
        }
        let (at, below) = (x.at(place), bottom + 16.0);
        let class = if tick == 0 { "launch" } else { "grid" };
        let label = (tick / 1000).to_string().replace('-', "\u{2212}");
        writeln!(
            out,
            "<path class=\"{class}\" d=\"M{at:.1} {TOP}V{bottom}\"/>"
        )?;
        writeln!(
            out,
            "<text class=\"tick\" x=\"{at:.1}\" y=\"{below}\">{label}</text>"
        )?;
    }
    let (middle, below) = ((LEFT + RIGHT) / 2.0, bottom + 36.0);
    writeln!(
        out,
        "<text class=\"axis\" x=\"{middle}\" y=\"{below}\">arrival − launch time, µs</text>"
    )
}

/// Where a value lies on the axis: 1 at a microsecond, and one more with each power of ten.
fn position(value_ns: i64) -> f64 {
    let size = value_ns.unsigned_abs() as f64 / LINEAR_NS;
    let place = if size <= 1.0 {
        size
    } else {
        1.0 + size.log10()
    };
    place.copysign(value_ns as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Run, StreamResult};

    #[test]
    fn positions_keep_the_sign_and_grow_by_one_each_decade() {
        let positions = [-100_000, -1_000, 0, 500, 1_000, 10_000].map(position);
        assert_eq!(positions, [-3.0, -1.0, 0.0, 0.5, 1.0, 2.0]);
    }

    #[test]
    fn one_run_is_nothing_to_compare() {
        let stream = StreamResult {
            error_ns: Distribution::of([1, 2]),
            ..StreamResult::default()
        };
        let run = Run {
            streams: vec![stream],
            ..Run::default()
        };
        let mut report = Report {
            runs: vec![run.clone()],
            ..Report::default()
        };
        let drawn = |report: &Report| {
            let mut svg = String::new();
            draw(&mut svg, report, |_| String::new()).unwrap();
            svg
        };
        assert_eq!(drawn(&report), "");
        report.runs.push(run);
        assert_eq!(drawn(&report).matches("class=\"median ").count(), 2);
    }
}
