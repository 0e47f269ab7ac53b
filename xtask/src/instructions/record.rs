//! The figures on record, and what is wrong with new ones.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// By how much a figure may differ from the one on record. Less is a fault as well: the record would let it grow back.
const LIMIT_PERCENT: f64 = 5.0;
/// A smaller change is not worth a record.
const SAME_PERCENT: f64 = 0.5;

/// `benches/instructions.json`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The compiler that the figures hold for.
    rustc: String,
    figures: BTreeMap<String, Figure>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figure {
    /// Of a frame.
    instructions: f64,
    /// Why it is what it is: what was last changed.
    reason: String,
}

impl Record {
    /// The record in `path`; an empty one where there is no file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no record.
    pub fn read(path: &Path) -> Result<Self> {
        match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is no record of instructions", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Writes it to `path`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }

    /// Each figure: what it is, on record, now, growth.
    pub fn table(&self, counted: &BTreeMap<String, f64>) -> String {
        let mut table = format!(
            "{:<28}{:>10}{:>10}{:>10}\n",
            "instructions of a frame", "recorded", "now", "growth"
        );
        for (name, now) in counted {
            let (recorded, growth) = match self.figures.get(name) {
                Some(figure) => (
                    format!("{:.1}", figure.instructions),
                    format!("{:+.1} %", growth_percent(figure.instructions, *now)),
                ),
                None => ("-".to_owned(), "-".to_owned()),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{name:<28}{recorded:>10}{now:>10.1}{growth:>10}");
        }
        table
    }

    /// What is wrong with these figures: those that are no longer what the record says, and those that are only in one
    /// of the two.
    pub fn faults(&self, counted: &BTreeMap<String, f64>, rustc: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, now) in counted {
            match self.figures.get(name) {
                None => faults.push(format!("{name}: {now:.1} instructions are not on record")),
                Some(Figure { instructions, .. }) => {
                    let growth = growth_percent(*instructions, *now);
                    if growth.abs() > LIMIT_PERCENT {
                        faults.push(format!(
                            "{name}: {instructions:.1} instructions of a frame on record, now {now:.1}: \
                             {growth:+.1} %, and the limit is {LIMIT_PERCENT} %"
                        ));
                    }
                }
            }
        }
        let gone = self
            .figures
            .keys()
            .filter(|name| !counted.contains_key(*name));
        faults.extend(gone.map(|name| format!("{name} is on record, but no longer counted")));
        if !faults.is_empty() {
            if self.rustc != rustc {
                faults.push(format!(
                    "The record is of rustc {}, this is {rustc}: that may be why.",
                    self.rustc
                ));
            }
            faults.push(
                "Make what has grown faster again, or put on record what it is now and why: \
                 cargo xtask instructions --record 'REASON'"
                    .to_owned(),
            );
        }
        faults
    }

    /// The record with these figures instead; those that have changed get the reason.
    ///
    /// # Errors
    ///
    /// When there is no reason.
    pub fn renewed(
        &self,
        counted: BTreeMap<String, f64>,
        rustc: String,
        reason: &str,
    ) -> Result<Self> {
        let reason = reason.trim();
        ensure!(
            !reason.is_empty(),
            "--record '': say in a few words why the figures have changed"
        );
        let figures = counted
            .into_iter()
            .map(|(name, now)| {
                let same = self
                    .figures
                    .get(&name)
                    .filter(|figure| growth_percent(figure.instructions, now).abs() < SAME_PERCENT);
                let figure = same.cloned().unwrap_or_else(|| Figure {
                    instructions: (now * 10.0).round() / 10.0,
                    reason: reason.to_owned(),
                });
                (name, figure)
            })
            .collect();
        Ok(Self { rustc, figures })
    }
}

fn growth_percent(recorded: f64, now: f64) -> f64 {
    (now - recorded) / recorded * 100.0
}

/// Such as `1.95.0`.
///
/// # Errors
///
/// When there is no compiler.
pub fn rustc_version() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("--version")
        .output()
        .context("start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace()
        .nth(1)
        .map(str::to_owned)
        .with_context(|| format!("`rustc --version` says {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUSTC: &str = "1.95.0";

    fn counted(figures: &[(&str, f64)]) -> BTreeMap<String, f64> {
        figures
            .iter()
            .map(|(name, now)| ((*name).to_owned(), *now))
            .collect()
    }

    fn record(figures: &[(&str, f64)]) -> Record {
        Record::default()
            .renewed(counted(figures), RUSTC.to_owned(), "the first record")
            .expect("a reason is given")
    }

    #[test]
    fn growth_beyond_the_limit_is_a_fault() {
        let record = record(&[("queue", 200.0), ("select", 400.0)]);
        let fine = counted(&[("queue", 210.0), ("select", 390.0)]);
        assert_eq!(record.faults(&fine, RUSTC), Vec::<String>::new());

        let grown = counted(&[("queue", 210.2), ("select", 400.0)]);
        let faults = record.faults(&grown, RUSTC);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert_eq!(
            faults[0],
            "queue: 200.0 instructions of a frame on record, now 210.2: +5.1 %, and the limit is 5 %"
        );
        assert!(faults[1].contains("--record 'REASON'"), "{}", faults[1]);
    }

    #[test]
    fn a_figure_that_has_fallen_must_be_put_on_record() {
        let record = record(&[("queue", 200.0)]);
        let faults = record
            .faults(&counted(&[("queue", 100.0)]), RUSTC)
            .join("\n");
        assert!(
            faults.contains("now 100.0: -50.0 %") && faults.contains("--record"),
            "{faults}"
        );
    }

    #[test]
    fn another_compiler_is_named_as_a_possible_cause() {
        let record = record(&[("queue", 200.0)]);
        let grown = counted(&[("queue", 300.0)]);
        let faults = record.faults(&grown, "1.96.0").join("\n");
        assert!(faults.contains("rustc 1.95.0, this is 1.96.0"), "{faults}");
    }

    #[test]
    fn figures_must_be_on_record_and_records_counted() {
        let record = record(&[("queue", 200.0)]);
        let other = counted(&[("select", 400.0)]);
        let faults = record.faults(&other, RUSTC).join("\n");
        assert!(
            faults.contains("select: 400.0 instructions are not on record"),
            "{faults}"
        );
        assert!(faults.contains("queue is on record"), "{faults}");
    }

    #[test]
    fn a_new_record_needs_a_reason_and_gives_it_to_what_has_changed() {
        let old = record(&[("queue", 200.0), ("select", 400.0)]);
        let now = counted(&[("queue", 230.0), ("select", 401.0)]);
        assert!(old.renewed(now.clone(), RUSTC.to_owned(), "  ").is_err());

        let new = old
            .renewed(now.clone(), RUSTC.to_owned(), "queues count octets")
            .expect("a reason is given");
        assert_eq!(new.faults(&now, RUSTC), Vec::<String>::new());
        assert_eq!(new.figures["queue"].reason, "queues count octets");
        assert_eq!(new.figures["select"].reason, "the first record");
        assert_eq!(new.figures["select"].instructions, 400.0);
    }
}
