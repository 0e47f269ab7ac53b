//! The report as CSV (RFC 4180), for spreadsheets and other people's plots.

use std::borrow::Cow;

use ::csv::WriterBuilder;
use serde::Serialize;

use super::data::Report;

/// A line of [`figures_csv`].
#[derive(Serialize)]
struct Figures<'a> {
    run: Cow<'a, str>,
    stream: Cow<'a, str>,
    class: u8,
    sent: u64,
    received: u64,
    on_time: Option<u64>,
    late: Option<u64>,
    lost: u64,
    duplicated: u64,
    outside_gate: u64,
    stalled: u64,
    error_min_ns: Option<i64>,
    error_p50_ns: Option<i64>,
    error_p90_ns: Option<i64>,
    error_p99_ns: Option<i64>,
    error_p999_ns: Option<i64>,
    error_max_ns: Option<i64>,
}

const FIGURES: [&str; 17] = [
    "run",
    "stream",
    "class",
    "sent",
    "received",
    "on_time",
    "late",
    "lost",
    "duplicated",
    "outside_gate",
    "stalled",
    "error_min_ns",
    "error_p50_ns",
    "error_p90_ns",
    "error_p99_ns",
    "error_p999_ns",
    "error_max_ns",
];

/// A line of [`frames_csv`].
#[derive(Serialize)]
struct Frame<'a> {
    run: Cow<'a, str>,
    stream: Cow<'a, str>,
    class: u8,
    arrival_ns: u64,
    phase_ns: u64,
    launch_time_ns: Option<u64>,
    error_ns: Option<i64>,
    outside_gate: bool,
    stalled: bool,
}

const FRAMES: [&str; 9] = [
    "run",
    "stream",
    "class",
    "arrival_ns",
    "phase_ns",
    "launch_time_ns",
    "error_ns",
    "outside_gate",
    "stalled",
];

/// The table of figures: one line for each stream of each run. What a stream without launch times has not is empty.
///
/// # Errors
///
/// Never for text that fits into memory.
pub fn figures_csv(report: &Report) -> Result<String, ::csv::Error> {
    let streams = report
        .runs
        .iter()
        .flat_map(|run| run.streams.iter().map(|stream| (&run.name, stream)));
    text(
        &FIGURES,
        streams.map(|(run, stream)| {
            let error = stream.error_ns;
            Figures {
                run: no_formula(run),
                stream: no_formula(&stream.name),
                class: stream.class,
                sent: stream.sent,
                received: stream.received,
                on_time: error.map(|_| stream.on_time),
                late: error.map(|_| stream.late),
                lost: stream.lost,
                duplicated: stream.duplicated,
                outside_gate: stream.outside_gate,
                stalled: stream.stalled,
                error_min_ns: error.map(|error| error.min),
                error_p50_ns: error.map(|error| error.p50),
                error_p90_ns: error.map(|error| error.p90),
                error_p99_ns: error.map(|error| error.p99),
                error_p999_ns: error.map(|error| error.p999),
                error_max_ns: error.map(|error| error.max),
            }
        }),
    )
}

/// Every frame: one line each.
///
/// # Errors
///
/// Never for text that fits into memory.
pub fn frames_csv(report: &Report) -> Result<String, ::csv::Error> {
    let streams = report
        .runs
        .iter()
        .flat_map(|run| run.streams.iter().map(|stream| (&run.name, stream)));
    text(
        &FRAMES,
        streams.flat_map(|(run, stream)| {
            stream.frames.iter().map(move |dot| Frame {
                run: no_formula(run),
                stream: no_formula(&stream.name),
                class: stream.class,
                arrival_ns: dot.arrival_ns,
                phase_ns: report.phase_ns(dot.arrival_ns),
                launch_time_ns: dot.launch_time_ns,
                error_ns: dot.error_ns(),
                outside_gate: report.is_outside_gate(stream.class, dot),
                stalled: dot.stalled,
            })
        }),
    )
}

fn text<T: Serialize>(
    headings: &[&str],
    lines: impl Iterator<Item = T>,
) -> Result<String, ::csv::Error> {
    let mut writer = WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.write_record(headings)?;
    for line in lines {
        writer.serialize(line)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| ::csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A name that a spreadsheet would take for a formula, as one that it takes for text.
fn no_formula(name: &str) -> Cow<'_, str> {
    if name.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{name}").into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Distribution;
    use crate::report::{Dot, Run, StreamResult};

    fn report() -> Report {
        let timed = StreamResult {
            name: "a,\"b\"".to_owned(),
            class: 6,
            sent: 2,
            received: 1,
            lost: 1,
            on_time: 1,
            error_ns: Distribution::of([-300]),
            frames: vec![Dot {
                arrival_ns: 2_000_700,
                launch_time_ns: Some(2_001_000),
                stalled: true,
            }],
            ..StreamResult::default()
        };
        let untimed = StreamResult {
            name: "bulk".to_owned(),
            frames: vec![Dot::default()],
            ..StreamResult::default()
        };
        Report {
            cycle_ns: 1_000_000,
            runs: vec![Run {
                name: "tsnd".to_owned(),
                streams: vec![timed, untimed],
                ..Run::default()
            }],
            ..Report::default()
        }
    }

    #[test]
    fn figures_have_a_line_for_each_stream() {
        let text = figures_csv(&report()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "tsnd,\"a,\"\"b\"\"\",6,2,1,1,0,1,0,0,0,-300,-300,-300,-300,-300,-300"
        );
        assert_eq!(lines[2], "tsnd,bulk,0,0,0,,,0,0,0,0,,,,,,");
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], FIGURES.join(","));
    }

    #[test]
    fn an_empty_report_still_says_what_its_columns_are() {
        let nothing = Report::default();
        let lines = [figures_csv(&nothing), frames_csv(&nothing)].map(Result::unwrap);
        assert_eq!(lines, [FIGURES.join(",") + "\n", FRAMES.join(",") + "\n"]);
    }

    #[test]
    fn a_name_is_no_formula() {
        let mut report = report();
        report.runs[0].name = "=HYPERLINK(\"x\")".to_owned();
        let text = frames_csv(&report).unwrap();
        assert!(text.contains("\n\"'=HYPERLINK(\"\"x\"\")\","), "{text}");
    }

    #[test]
    fn frames_have_a_line_each() {
        let text = frames_csv(&report()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "tsnd,\"a,\"\"b\"\"\",6,2000700,700,2001000,-300,false,true"
        );
        assert_eq!(lines[2], "tsnd,bulk,0,0,0,,,false,false");
    }
}
