//! The report as a table for the terminal.

use std::fmt::{self, Write};

use super::data::{Report, Run, StreamResult};

/// One block per run, one line per stream. Times are arrival less launch time, in µs.
pub fn table(report: &Report) -> String {
    let mut out = format!("{}\n", printable(&report.title));
    for run in &report.runs {
        // Only a formatter that fails could make this fail, and a String's does not.
        block(&mut out, run).expect("a String takes all that is written to it");
    }
    for note in &report.notes {
        out += &format!("\n- {}", printable(note));
    }
    out + "\n"
}

fn block(out: &mut impl Write, run: &Run) -> fmt::Result {
    writeln!(out, "\n{}", printable(&run.name))?;
    if !run.note.is_empty() {
        writeln!(out, "{}", printable(&run.note))?;
    }
    let names = run
        .streams
        .iter()
        .map(|stream| printable(&stream.name).chars().count());
    let width = names.max().unwrap_or(0).max("stream".len());
    writeln!(
        out,
        "{:<width$} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>7} | {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "stream",
        "sent",
        "received",
        "on time",
        "late",
        "lost",
        "outside",
        "stalled",
        "min µs",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
    )?;
    run.streams
        .iter()
        .try_for_each(|stream| line(out, stream, width))
}

fn line(out: &mut impl Write, stream: &StreamResult, width: usize) -> fmt::Result {
    write!(
        out,
        "{:<width$} {:>9} {:>9} ",
        printable(&stream.name),
        stream.sent,
        stream.received
    )?;
    let counts = (stream.lost, stream.outside_gate, stream.stalled);
    let Some(error) = stream.error_ns else {
        return writeln!(
            out,
            "{:>9} {:>7} {:>7} {:>7} {:>7} | no launch times",
            "-", "-", counts.0, counts.1, counts.2
        );
    };
    write!(
        out,
        "{:>9} {:>7} {:>7} {:>7} {:>7} |",
        stream.on_time, stream.late, counts.0, counts.1, counts.2
    )?;
    for value in [
        error.min, error.p50, error.p90, error.p99, error.p999, error.max,
    ] {
        write!(out, " {:>9.1}", value as f64 / 1e3)?;
    }
    writeln!(out)
}

/// Without control characters, which a terminal would obey.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Distribution;

    #[test]
    fn each_stream_has_a_line_in_columns() {
        let timed = StreamResult {
            name: "motion".to_owned(),
            sent: 1000,
            received: 998,
            on_time: 990,
            late: 8,
            lost: 2,
            error_ns: Distribution::of([-1_500, 700, 2_000]),
            ..StreamResult::default()
        };
        let bulk = StreamResult {
            name: "bulk\u{1b}[31m".to_owned(),
            ..StreamResult::default()
        };
        let run = Run {
            name: "gated".to_owned(),
            note: String::new(),
            streams: vec![timed, bulk],
        };
        let report = Report {
            runs: vec![run],
            ..Report::default()
        };
        let table = table(&report);
        let lines: Vec<&str> = table.lines().filter(|line| line.contains('|')).collect();
        let bars: Vec<_> = lines
            .iter()
            .map(|line| line.chars().position(|c| c == '|'))
            .collect();
        assert_eq!(bars, [bars[0]; 3], "{table}");
        let fields: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(
            fields[..8],
            ["motion", "1000", "998", "990", "8", "2", "0", "0"]
        );
        assert_eq!(fields[9..], ["-1.5", "0.7", "2.0", "2.0", "2.0", "2.0"]);
        assert!(lines[2].ends_with("no launch times") && !table.contains('\u{1b}'));
    }
}
