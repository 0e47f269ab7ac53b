//! The figure that compares runs: where each timed stream's frames lie about their launch time.

use std::fmt::{self, Write};

use super::data::Report;
use super::error_axis::ErrorAxis;
use super::figure::Figure;
use super::plot::RIGHT;
use super::text::{Escaped, Shortened, SignedMicroseconds};
use crate::distribution::Distribution;

/// The axis begins to the right of names and figures.
const LEFT: f64 = 290.0;
const TOP: f64 = 24.0;
const HEADING_HEIGHT: f64 = 24.0;
const ROW_HEIGHT: f64 = 24.0;

/// Draws the figure; `None` if there are not several runs with timed streams to compare.
pub fn draw(
    report: &Report,
    colour_of: impl Fn(&str) -> String,
) -> Result<Option<Figure>, fmt::Error> {
    let is_timed = |run: &&super::Run| run.streams.iter().any(|stream| stream.error_ns.is_some());
    let runs: Vec<_> = report.runs.iter().filter(is_timed).collect();
    if runs.len() < 2 {
        return Ok(None);
    }
    let errors = || {
        let streams = runs.iter().flat_map(|run| &run.streams);
        streams.filter_map(|stream| stream.error_ns)
    };
    let low_ns = errors().map(|error| error.min).min().unwrap_or(0);
    let high_ns = errors().map(|error| error.max).max().unwrap_or(0);
    let bottom = TOP + runs.len() as f64 * HEADING_HEIGHT + errors().count() as f64 * ROW_HEIGHT;
    Figure::new("Comparison of the runs", |out| {
        let x = ErrorAxis::new(low_ns, high_ns, (LEFT, RIGHT));
        x.draw(out, TOP, bottom)?;
        let mut top = TOP;
        for run in &runs {
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
        Ok(bottom + 44.0)
    })
    .map(Some)
}

fn range(
    out: &mut impl Write,
    x: &ErrorAxis,
    error: &Distribution,
    y: f64,
    colour: &str,
) -> fmt::Result {
    let [min, p50, p99, max] = [error.min, error.p50, error.p99, error.max].map(|ns| x.at(ns));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Run, StreamResult};

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
        let drawn = |report: &Report| draw(report, |_| String::new()).unwrap();
        assert!(drawn(&report).is_none());
        report.runs.push(run);
        let mut svg = String::new();
        drawn(&report).unwrap().write_inline(&mut svg).unwrap();
        assert_eq!(svg.matches("class=\"median ").count(), 2);
    }
}
