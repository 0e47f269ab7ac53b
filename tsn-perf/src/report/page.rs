//! The page as a whole.

use std::fmt::{self, Write};

use super::data::{Report, Run, StreamResult};
use super::text::{Count, Escaped, Microseconds, SignedMicroseconds};
use super::{cdf, cycle, figures, histogram, overview};

/// Of the page and of the SVG document.
pub(super) const STYLE: &str = include_str!("style.css");
/// How many colours of streams the style sheet has: s0 and so on.
const COLOURS: usize = 6;

const LEGEND: &str = "\
<p class=\"legend\">\
<span><svg class=\"key\" viewBox=\"0 0 16 16\"><rect class=\"open\" x=\"1\" y=\"4\" width=\"14\" height=\"8\"/></svg>gate open</span>\
<span><svg class=\"key\" viewBox=\"0 0 16 16\"><path class=\"dot ink\" d=\"M4 5h0M11 8h0M6 12h0\"/></svg>a frame's arrival</span>\
<span><svg class=\"key\" viewBox=\"0 0 16 16\"><path class=\"launch\" d=\"M8 1v14\"/></svg>launch time</span>\
<span><svg class=\"key\" viewBox=\"0 0 16 16\"><path class=\"ring ink\" d=\"M8 8h0\"/><path class=\"hole\" d=\"M8 8h0\"/></svg>stalled: the machine took the core away</span>\
<span><svg class=\"key\" viewBox=\"0 0 16 16\"><path class=\"cross alarm\" d=\"M5 5l6 6m0-6l-6 6\"/></svg>outside its gate</span>\
</p>";

/// The report as one HTML page that needs nothing else.
pub fn html(report: &Report) -> String {
    let mut out = String::new();
    // Only a formatter that fails could make this fail, and a String's does not.
    page(&mut out, report).expect("a String takes all that is written to it");
    out
}

fn page(out: &mut impl Write, report: &Report) -> fmt::Result {
    let title = Escaped(&report.title);
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>"
    )?;
    let cycle = Microseconds(report.phase_cycle_ns());
    if report.gates.is_empty() {
        writeln!(
            out,
            "<p class=\"facts\">No gates; phases are taken in {cycle} µs.</p>"
        )?;
    } else {
        let base = report.base_time_ns;
        writeln!(
            out,
            "<p class=\"facts\">Cycle {cycle} µs, base time {base} ns TAI.</p>"
        )?;
    }
    let colour_of = |name: &str| colour_of(report, name);
    if let Some(figure) = overview::draw(report, colour_of)? {
        writeln!(
            out,
            "<figure>\n<figcaption><strong>How far from its launch time each stream arrived.</strong> \
             Disc: the median; thick line: from there to p99; thin line: all frames. Linear up to 1 µs, \
             logarithmic beyond.</figcaption>"
        )?;
        figure.write_inline(out)?;
        writeln!(out, "</figure>")?;
    }
    if let Some(figure) = cdf::draw(report, colour_of)? {
        writeln!(
            out,
            "<figure>\n<figcaption><strong>How many frames had arrived so long after their launch time.</strong> \
             A steep line at the launch time is punctual. The vertical scale stretches both ends, so that one frame \
             in a thousand is seen; stalled frames are left out.</figcaption>"
        )?;
        figure.write_inline(out)?;
        writeln!(out, "</figure>")?;
    }
    for run in &report.runs {
        section(out, report, run, colour_of)?;
    }
    notes(out, report)?;
    writeln!(out, "</body>\n</html>")
}

fn section(
    out: &mut impl Write,
    report: &Report,
    run: &Run,
    colour_of: impl Fn(&str) -> String + Copy,
) -> fmt::Result {
    writeln!(out, "<section>\n<h2>{}</h2>", Escaped(&run.name))?;
    if !run.note.is_empty() {
        writeln!(out, "<p>{}</p>", Escaped(&run.note))?;
    }
    figures::draw(out, run, colour_of)?;
    let outside: u64 = run.streams.iter().map(|stream| stream.outside_gate).sum();
    let received: u64 = run.streams.iter().map(|stream| stream.received).sum();
    let (outside, received) = (Count(outside), Count(received));
    write!(
        out,
        "<figure>\n<figcaption><strong>When in the cycle each frame arrived.</strong> "
    )?;
    if report.gates.is_empty() {
        writeln!(
            out,
            "{received} frames. Down each strip runs the time of the run.</figcaption>"
        )?;
    } else {
        writeln!(
            out,
            "{outside} of {received} frames arrived while their gate was closed. Each strip is shaded \
             where its class's gate is open. Down it runs the time of the run.</figcaption>"
        )?;
    }
    writeln!(out, "{LEGEND}")?;
    cycle::draw(report, run, colour_of)?.write_inline(out)?;
    writeln!(out, "</figure>")?;
    for stream in &run.streams {
        timing(out, stream, &colour_of(&stream.name))?;
    }
    writeln!(out, "</section>")
}

fn timing(out: &mut impl Write, stream: &StreamResult, colour: &str) -> fmt::Result {
    let Some(figure) = histogram::draw(stream, colour)? else {
        return Ok(());
    };
    let name = Escaped(&stream.name);
    write!(
        out,
        "<figure>\n<figcaption><strong>How punctual {name} was.</strong> "
    )?;
    if let Some(error) = stream.error_ns {
        let (median, p99) = (SignedMicroseconds(error.p50), SignedMicroseconds(error.p99));
        let most = SignedMicroseconds(error.max);
        write!(
            out,
            "Median {median} µs, p99 {p99} µs, at most {most} µs after the launch time."
        )?;
    }
    writeln!(out, "</figcaption>")?;
    figure.write_inline(out)?;
    writeln!(out, "</figure>")
}

fn notes(out: &mut impl Write, report: &Report) -> fmt::Result {
    writeln!(out, "<section>\n<h2>Notes</h2>\n<ul>")?;
    for note in &report.notes {
        writeln!(out, "<li>{}</li>", Escaped(note))?;
    }
    let streams = || report.runs.iter().flat_map(|run| &run.streams);
    if streams().any(StreamResult::is_dense) {
        writeln!(
            out,
            "<li>A stream of many frames without launch times is drawn as a density: the more frames, the \
             stronger its colour, on a square-root scale. Cells with frames outside the gate are drawn in \
             full in the alarm colour. Every frame counts; stalled ones are not told apart there.</li>"
        )?;
    }
    if streams().any(|stream| !stream.is_dense()) {
        writeln!(
            out,
            "<li>Every other frame is drawn as a mark of its own; marks that would coincide are drawn \
             once.</li>"
        )?;
    }
    if streams().any(StreamResult::is_timed) {
        writeln!(
            out,
            "<li>Histograms count on a logarithmic scale, so that a single late frame is seen.</li>"
        )?;
    }
    writeln!(out, "</ul>\n</section>")
}

/// The CSS class of a stream's colour.
pub(super) fn colour_of(report: &Report, stream: &str) -> String {
    format!("s{}", report.stream_index(stream) % COLOURS)
}

impl Report {
    /// A stream keeps its colour over all runs: its place among the names in their order of appearance.
    fn stream_index(&self, name: &str) -> usize {
        let mut names: Vec<&str> = Vec::new();
        for stream in self.runs.iter().flat_map(|run| &run.streams) {
            if !names.contains(&stream.name.as_str()) {
                names.push(&stream.name);
            }
        }
        names.iter().position(|known| *known == name).unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
