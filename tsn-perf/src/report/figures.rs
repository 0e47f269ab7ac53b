//! A run's figures as an HTML table.

use std::fmt::{self, Display, Write};

use super::data::{Run, StreamResult};
use super::text::{Count, Escaped, SignedMicroseconds};

const HEADINGS: &str = "\
<thead><tr><th rowspan=\"2\">stream</th><th rowspan=\"2\">class</th><th colspan=\"8\">frames</th>\
<th colspan=\"6\">arrival − launch time, µs</th></tr>\
<tr><th>sent</th><th>received</th><th>on time</th><th>late</th><th>lost</th><th>duplicated</th>\
<th>outside gate</th><th>stalled</th>\
<th>min</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th></tr></thead>";

/// Draws the table. `colour_of` names the CSS class of a stream's colour.
pub fn draw(out: &mut impl Write, run: &Run, colour_of: impl Fn(&str) -> String) -> fmt::Result {
    writeln!(out, "<div class=\"scroll\"><table>{HEADINGS}<tbody>")?;
    for stream in &run.streams {
        row(out, stream, &colour_of(&stream.name))?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn row(out: &mut impl Write, stream: &StreamResult, colour: &str) -> fmt::Result {
    let name = Escaped(&stream.name);
    write!(
        out,
        "<tr><th><span class=\"swatch {colour}\"></span>{name}</th>"
    )?;
    cell(out, "", stream.class)?;
    cell(out, "", Count(stream.sent))?;
    cell(out, "", Count(stream.received))?;
    if stream.error_ns.is_some() {
        cell(out, "", Count(stream.on_time))?;
        cell(out, alarm_if(stream.late), Count(stream.late))?;
    } else {
        cell(out, "", "–")?;
        cell(out, "", "–")?;
    }
    cell(out, alarm_if(stream.lost), Count(stream.lost))?;
    cell(out, alarm_if(stream.duplicated), Count(stream.duplicated))?;
    cell(
        out,
        alarm_if(stream.outside_gate),
        Count(stream.outside_gate),
    )?;
    cell(
        out,
        if stream.stalled > 0 { "warn" } else { "" },
        Count(stream.stalled),
    )?;
    match stream.error_ns {
        Some(error) => {
            for value in [
                error.min, error.p50, error.p90, error.p99, error.p999, error.max,
            ] {
                cell(out, "", SignedMicroseconds(value))?;
            }
        }
        None => write!(out, "<td colspan=\"6\" class=\"none\">no launch times</td>")?,
    }
    writeln!(out, "</tr>")
}

fn cell(out: &mut impl Write, class: &str, value: impl Display) -> fmt::Result {
    match class {
        "" => write!(out, "<td>{value}</td>"),
        _ => write!(out, "<td class=\"{class}\">{value}</td>"),
    }
}

fn alarm_if(count: u64) -> &'static str {
    if count > 0 { "alarm" } else { "" }
}
