//! The distribution functions of all timed streams of all runs in one plot.
//!
//! The vertical axis is a logit scale: it shows the one frame in a thousand that is early as well as the one that is
//! late, which a linear one would hide.

use std::fmt::{self, Write};

use super::data::{Dot, Report};
use super::error_axis::ErrorAxis;
use super::figure::Figure;
use super::plot::{LEFT, RIGHT, Scale};
use super::text::Shortened;

const KEY_COLUMNS: usize = 4;
const KEY_ROW_HEIGHT: f64 = 18.0;
const PLOT_HEIGHT: f64 = 250.0;
/// How many dash patterns the style sheet has: d0 and so on.
const DASHES: usize = 4;

/// Errors of one stream in one run, sorted.
struct Curve<'a> {
    run: usize,
    run_name: &'a str,
    stream: &'a str,
    errors_ns: Vec<i64>,
}

/// Draws the figure; `None` if no stream has launch times. Frames that a stall touched are left out, as in the tables.
pub fn draw(
    report: &Report,
    colour_of: impl Fn(&str) -> String,
) -> Result<Option<Figure>, fmt::Error> {
    let curves = curves(report);
    let (Some(low_ns), Some(high_ns), Some(most)) = (
        curves.iter().map(|curve| curve.errors_ns[0]).min(),
        curves
            .iter()
            .filter_map(|curve| curve.errors_ns.last())
            .max(),
        curves.iter().map(|curve| curve.errors_ns.len()).max(),
    ) else {
        return Ok(None);
    };
    let top = 12.0 + curves.len().div_ceil(KEY_COLUMNS) as f64 * KEY_ROW_HEIGHT;
    let bottom = top + PLOT_HEIGHT;
    // Half a frame from either end is what the steepest curve reaches.
    let end = logit(0.5 / most as f64).min(logit(0.1));
    let y = Scale {
        domain: (end, -end),
        range: (bottom, top),
    };
    Figure::new("Distribution functions of all runs", |out| {
        let x = ErrorAxis::new(low_ns, *high_ns, (LEFT, RIGHT));
        x.draw(out, top, bottom)?;
        shares(out, &y)?;
        for (index, curve) in curves.iter().enumerate() {
            let style = format!("curve {} d{}", colour_of(curve.stream), curve.run % DASHES);
            key(out, index, curve, &style)?;
            line(out, curve, &x, &y, &style)?;
        }
        Ok(bottom + 44.0)
    })
    .map(Some)
}

fn curves(report: &Report) -> Vec<Curve<'_>> {
    let mut curves = Vec::new();
    for (run, of_run) in report.runs.iter().enumerate() {
        for stream in &of_run.streams {
            let punctual = stream.frames.iter().filter(|dot| !dot.stalled);
            let mut errors_ns: Vec<i64> = punctual.filter_map(Dot::error_ns).collect();
            errors_ns.sort_unstable();
            if !errors_ns.is_empty() {
                curves.push(Curve {
                    run,
                    run_name: &of_run.name,
                    stream: &stream.name,
                    errors_ns,
                });
            }
        }
    }
    curves
}

fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).log10()
}

/// Grid lines at one in ten, one in a hundred and so on, from both ends, and at the median.
fn shares(out: &mut impl Write, y: &Scale) -> fmt::Result {
    let decades = y.domain.1.floor() as i32;
    let early = (1..=decades).map(|decade| 10_f64.powi(-decade));
    let late = (1..=decades).map(|decade| 1.0 - 10_f64.powi(-decade));
    for share in early.chain([0.5]).chain(late) {
        let at = y.at(logit(share));
        let (beside, baseline) = (LEFT - 8.0, at + 4.0);
        // Digits beyond those of a decade are of the floating point, not of the figure.
        let percent = (share * 100.0 * 1e6).round() / 1e6;
        writeln!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>\n\
             <text class=\"label\" x=\"{beside}\" y=\"{baseline:.1}\">{percent} %</text>"
        )?;
    }
    let middle = (y.range.0 + y.range.1) / 2.0;
    writeln!(
        out,
        "<text class=\"axis\" transform=\"translate(84 {middle}) rotate(-90)\">frames that had arrived</text>"
    )
}

fn key(out: &mut impl Write, index: usize, curve: &Curve, style: &str) -> fmt::Result {
    let width = (RIGHT - LEFT) / KEY_COLUMNS as f64;
    let x = LEFT + (index % KEY_COLUMNS) as f64 * width;
    let y = 10.0 + (index / KEY_COLUMNS) as f64 * KEY_ROW_HEIGHT;
    let (beside, baseline) = (x + 38.0, y + 4.0);
    let (run, stream) = (Shortened(curve.run_name), Shortened(curve.stream));
    writeln!(
        out,
        "<path class=\"{style}\" d=\"M{x:.1} {y}h30\"/>\n\
         <text x=\"{beside:.1}\" y=\"{baseline}\">{run}: {stream}</text>"
    )
}

/// A line through the last frame of each position that a reader could tell from its neighbours.
fn line(out: &mut impl Write, curve: &Curve, x: &ErrorAxis, y: &Scale, style: &str) -> fmt::Result {
    let count = curve.errors_ns.len() as f64;
    let mut points: Vec<(i64, f64)> = Vec::new();
    for (index, error_ns) in curve.errors_ns.iter().enumerate() {
        let at = (x.at(*error_ns) * 2.0).round() as i64;
        let height = y.at(logit((index as f64 + 0.5) / count));
        match points.last_mut() {
            Some(last) if last.0 == at => last.1 = height,
            _ => points.push((at, height)),
        }
    }
    let mut path = String::new();
    for (index, (at, height)) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        write!(path, "{command}{} {height:.1}", *at as f64 / 2.0)?;
    }
    writeln!(out, "<path class=\"{style}\" d=\"{path}\"/>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Run, StreamResult};

    fn stream(errors_ns: impl Iterator<Item = u64>) -> StreamResult {
        let dot = |error_ns| Dot {
            arrival_ns: 1_000_000 + error_ns,
            launch_time_ns: Some(1_000_000),
            stalled: error_ns == 7,
        };
        StreamResult {
            frames: errors_ns.map(dot).collect(),
            ..StreamResult::default()
        }
    }

    fn drawn(report: &Report) -> String {
        let mut svg = String::new();
        let figure = draw(report, |_| "s0".to_owned()).unwrap();
        figure.unwrap().write_inline(&mut svg).unwrap();
        svg
    }

    #[test]
    fn each_stream_of_each_run_has_a_curve_that_rises_from_left_to_right() {
        let run = |name: &str| Run {
            name: name.to_owned(),
            streams: vec![stream((0..1_000).map(|index| index * 10))],
            ..Run::default()
        };
        let report = Report {
            runs: vec![run("first"), run("second")],
            ..Report::default()
        };
        let svg = drawn(&report);
        // The curve, and its sample in the key.
        assert_eq!(svg.matches("class=\"curve s0 d0\"").count(), 2);
        assert_eq!(svg.matches("class=\"curve s0 d1\"").count(), 2);
        assert!(svg.contains(">99.9 %<") && svg.contains(">50 %<") && !svg.contains(">99.99 %<"));
        let path = svg
            .split("d=\"M")
            .map(|rest| rest.split('"').next().unwrap_or(""))
            .max_by_key(|path| path.len())
            .unwrap();
        let points: Vec<(f64, f64)> = path
            .split('L')
            .map(|point| point.split_once(' ').unwrap())
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect();
        assert!(points.len() > 50);
        assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 >= b.1));
    }

    #[test]
    fn stalled_frames_and_streams_without_launch_times_are_not_in_it() {
        let untimed = StreamResult {
            frames: vec![Dot::default()],
            ..StreamResult::default()
        };
        let run = |streams| Report {
            runs: vec![Run {
                streams,
                ..Run::default()
            }],
            ..Report::default()
        };
        let none = run(vec![untimed, stream([7].into_iter())]);
        assert!(draw(&none, |_| String::new()).unwrap().is_none());
        assert!(drawn(&run(vec![stream([7, 8].into_iter())])).contains("curve"));
    }
}
