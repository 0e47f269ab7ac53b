//! A report as a compiler would print it.

use std::fmt::{self, Write};

use super::{Report, Severity};

/// Characters of a source line that are shown.
const SHOWN_CHARACTERS: usize = 100;
/// Of them, those before the place.
const SHOWN_BEFORE: usize = 60;

/// Writes each finding with its line of `source`, and how many there are. `file` is the file's name.
///
/// # Errors
///
/// Those of `text`.
pub fn write_text(text: &mut String, report: &Report, file: &str, source: &str) -> fmt::Result {
    let lines: Vec<&str> = source.lines().flat_map(|line| line.split('\r')).collect();
    for finding in &report.findings {
        let (severity, code) = (severity(finding.severity), finding.code);
        write!(
            text,
            "{file}:{}:{}: {severity}[{code}]: ",
            finding.line, finding.column
        )?;
        if finding.severity == Severity::Error && !finding.place.is_empty() {
            write!(text, "{}: ", finding.place)?;
        }
        writeln!(text, "{}", printable(&finding.message))?;
        let line = usize::try_from(finding.line - 1).ok();
        if let Some(line) = line.and_then(|line| lines.get(line)) {
            let column = usize::try_from(finding.column - 1).unwrap_or(0);
            let (shown, before) = excerpt(line, column);
            writeln!(text, "{:>5} | {shown}", finding.line)?;
            writeln!(text, "      | {:before$}^", "")?;
        }
        if let Some(way_out) = &finding.way_out {
            writeln!(text, "      = {}", printable(way_out))?;
        }
        writeln!(text)?;
    }
    writeln!(
        text,
        "{}, {}, {}",
        counted(report.errors, "error"),
        counted(report.warnings, "warning"),
        counted(report.notes, "note")
    )
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What a terminal would obey is shown as a blank.
fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// What is shown of a line, and how many characters of that are before its `column` (from 0).
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let start = if line.chars().count() > SHOWN_CHARACTERS {
        column.saturating_sub(SHOWN_BEFORE)
    } else {
        0
    };
    let shown: String = line.chars().skip(start).take(SHOWN_CHARACTERS).collect();
    (printable(shown.trim_end()), column - start)
}
