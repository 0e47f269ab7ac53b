//! The summary of a run.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{Kernel, Outcome};

/// What became of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// QEMU's version.
    pub qemu: String,
    /// What ran the guests' instructions, and why.
    pub accelerator: String,
    /// The kernels' releases, as `uname -r` tells them.
    pub kernels: BTreeMap<Kernel, String>,
    /// One row for each test on each kernel.
    pub rows: Vec<Row>,
    /// How long all of it took, in seconds.
    pub seconds: f64,
}

/// What became of a test on a kernel.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The kernel.
    pub kernel: Kernel,
    /// The test's name.
    pub test: String,
    /// What it came to.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Whether it was meant to come to that.
    pub as_expected: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Where its console and files are.
    pub directory: String,
}

impl Report {
    /// Whether everything came to what it was meant to.
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| row.as_expected)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .rows
            .iter()
            .map(|row| row.test.len())
            .max()
            .unwrap_or(0);
        for row in &self.rows {
            let verdict = if row.as_expected { "ok    " } else { "FAILED" };
            writeln!(
                f,
                "{verdict}  {:<12}  {:<width$}  {:>5.0} s  {}",
                row.kernel, row.test, row.seconds, row.outcome
            )?;
            if !row.as_expected {
                writeln!(f, "        see {}", row.directory)?;
            }
        }
        let failed = self.rows.iter().filter(|row| !row.as_expected).count();
        write!(
            f,
            "{} tests on {} kernels in {:.0} s, {failed} failed",
            self.rows.len(),
            self.kernels.len(),
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_its_place_and_a_fault_that_was_meant_is_none() {
        let row = |outcome, as_expected| Row {
            kernel: Kernel::V6_1,
            test: "t".into(),
            outcome,
            as_expected,
            seconds: 11.2,
            directory: "target/vm/runs/6.1/t".into(),
        };
        let hung = Outcome::Hung {
            limit_s: 60,
            last_line: "x".into(),
        };
        let mut report = Report {
            qemu: "10".into(),
            accelerator: "TCG".into(),
            kernels: [(Kernel::V6_1, "6.1.0".into())].into(),
            rows: vec![row(Outcome::Passed, true), row(hung.clone(), true)],
            seconds: 30.0,
        };
        assert!(report.is_good());
        report.rows.push(row(hung, false));
        assert!(!report.is_good());
        let text = report.to_string();
        assert!(
            text.ends_with("3 tests on 1 kernels in 30 s, 1 failed"),
            "{text}"
        );
        assert_eq!(
            text.matches("see target/vm/runs/6.1/t").count(),
            1,
            "{text}"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["rows"][1]["outcome"], "hung");
        assert_eq!(json["rows"][1]["limit_s"], 60);
    }
}
