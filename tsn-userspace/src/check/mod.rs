//! What a configuration file asks for that the daemon refuses, or that will hardly do what was meant.
//!
//! [`check`] reads the text and looks at it with the scheduler's own schedule and windows; `docs/check.md` explains
//! every code.

mod classes;
mod ends;
mod figures;
mod gates;
mod overlay;
mod streams;
mod text;
mod windows;

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::config::{Configuration, Pod, Positions, Uplink, compile_uplink};
use classes::ClassUse;
use figures::Figures;

pub use figures::{DaemonFigures, Environment};
pub use text::write_text;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The daemon refuses the file.
    Error,
    /// The daemon takes the file; it will hardly do what was meant.
    Warning,
    /// Good to know.
    Note,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for programs; never changes.
    pub code: &'static str,
    /// Path of the field, such as `uplinks[0].gate-parameters`; empty for the document as a whole.
    pub place: String,
    /// Where that stands in the file; from 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
    /// What was found, with its figures.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_out: Option<String>,
}

/// Everything that was found in a file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// In the order of the file.
    pub findings: Vec<Finding>,
    /// How many of them are errors.
    pub errors: usize,
    /// How many of them are warnings.
    pub warnings: usize,
    /// How many of them are notes.
    pub notes: usize,
}

/// Looks a configuration file's text over.
pub fn check(text: &str, environment: &Environment) -> Report {
    let mut findings = Findings {
        positions: Positions::of(text),
        list: Vec::new(),
    };
    match Configuration::parse(text) {
        Err(error) => findings.list.push(Finding {
            severity: Severity::Error,
            code: "shape",
            place: error.place,
            line: error.position.line,
            column: error.position.column,
            message: error.reason,
            way_out: None,
        }),
        Ok(configuration) => inspect(&configuration, environment, &mut findings),
    }
    findings.into_report()
}

fn inspect(configuration: &Configuration, environment: &Environment, findings: &mut Findings) {
    for fault in configuration.faults() {
        findings.add(Severity::Error, "value", fault.place, fault.reason, None);
    }
    // What the daemon refuses does nothing, so there is nothing to be said about what it does.
    let (true, [uplink]) = (findings.list.is_empty(), configuration.uplinks.as_slice()) else {
        return;
    };
    let Ok(compiled) = compile_uplink("uplinks[0]", uplink) else {
        return;
    };
    let inspection = Inspection {
        configuration,
        uplink,
        pods: &configuration.pods,
        classes: ClassUse::all_of(configuration, uplink, &compiled.names),
        figures: Figures::of(uplink, &configuration.worker, environment),
        gates: &compiled.gates,
        names: &compiled.names,
    };
    figures::look(&inspection, findings);
    gates::look(&inspection, environment.now, findings);
    windows::look(&inspection, findings);
    streams::look(&inspection, findings);
    ends::look(&inspection, findings);
    overlay::look(&inspection, findings);
}

/// A configuration that the daemon takes, and what is known about it.
struct Inspection<'a> {
    configuration: &'a Configuration,
    uplink: &'a Uplink,
    pods: &'a [Pod],
    classes: Vec<ClassUse<'a>>,
    figures: Figures,
    gates: &'a crate::config::CompiledGates,
    names: &'a [Option<String>; 8],
}

struct Findings {
    positions: Positions,
    list: Vec<Finding>,
}

impl Findings {
    fn warn(&mut self, code: &'static str, place: String, message: String, way_out: &str) {
        let way_out = Some(way_out.to_owned());
        self.add(Severity::Warning, code, place, message, way_out);
    }

    fn note(
        &mut self,
        code: &'static str,
        place: String,
        message: String,
        way_out: Option<String>,
    ) {
        self.add(Severity::Note, code, place, message, way_out);
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        place: String,
        message: String,
        way_out: Option<String>,
    ) {
        let position = self.positions.find(&place);
        self.list.push(Finding {
            severity,
            code,
            place,
            line: position.line,
            column: position.column,
            message,
            way_out,
        });
    }

    fn into_report(mut self) -> Report {
        self.list
            .sort_by_key(|finding| (finding.line, finding.column, finding.severity));
        let count = |severity| {
            let is_such = |finding: &&Finding| finding.severity == severity;
            self.list.iter().filter(is_such).count()
        };
        Report {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            findings: self.list,
        }
    }
}
