//! What became of a guest, read from its console and from QEMU's exit status.

use std::{fmt, process::ExitStatus, time::Duration};

use serde::{Deserialize, Serialize};
use tsn_vm_init::{End, FAILURE_PREFIX, STATUS_PREFIX};

const PANIC: &str = "Kernel panic - not syncing: ";

/// What became of a test on one kernel. Its text is one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// All passed.
    Passed,
    /// All that this kernel can do passed.
    Lacks {
        /// What it cannot do, as the test says it.
        what: Vec<String>,
    },
    /// A program failed.
    Failed {
        /// The exit status of the first that did.
        status: i32,
        /// The tests that failed, as far as the program names them.
        tests: Vec<String>,
    },
    /// Two runs in virtual time left different figures.
    Differs {
        /// The files.
        files: Vec<String>,
    },
    /// The guest's kernel panicked.
    Panicked {
        /// Its message.
        reason: String,
    },
    /// The guest had not ended at its limit, and was killed.
    Hung {
        /// The limit, in seconds.
        limit_s: u64,
        /// The last line of its console.
        last_line: String,
    },
    /// The guest could not be started, or not begin.
    Refused {
        /// Why.
        reason: String,
    },
    /// QEMU ended without a result of the guest.
    Lost {
        /// QEMU's exit status, if it has one.
        status: Option<i32>,
        /// The last that QEMU said, or else the guest.
        last_line: String,
    },
}

impl Outcome {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Passed | Self::Lacks { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Lacks { what } => write!(f, "passed; the kernel lacks {}", what.join(", ")),
            Self::Failed { status, tests } if tests.is_empty() => {
                write!(f, "failed: exit status {status}")
            }
            Self::Failed { tests, .. } => write!(f, "failed: {}", tests.join(", ")),
            Self::Differs { files } => {
                write!(f, "figures differ in two runs: {}", files.join(" and "))
            }
            Self::Panicked { reason } => write!(f, "kernel panic: {reason}"),
            Self::Hung { limit_s, last_line } => {
                write!(f, "hung: no end within {limit_s} s; last line: {last_line}")
            }
            Self::Refused { reason } => write!(f, "cannot run: {reason}"),
            Self::Lost {
                status: Some(status),
                last_line,
            } => write!(
                f,
                "lost: QEMU ended with status {status} and no result; last line: {last_line}"
            ),
            Self::Lost {
                status: None,
                last_line,
            } => {
                write!(f, "lost: QEMU was killed; last line: {last_line}")
            }
        }
    }
}

/// What is known when a guest has gone.
#[derive(Debug, Default)]
pub struct Evidence<'a> {
    /// The lines of its console.
    pub console: &'a [String],
    /// What QEMU itself said.
    pub qemu: &'a [String],
    /// QEMU's exit status.
    pub status: Option<i32>,
    /// The limit at which it was killed, if it was.
    pub killed_at: Option<Duration>,
}

impl Evidence<'_> {
    /// What it comes to. A panic comes first: what follows it, such as a hang, is of its making.
    pub fn outcome(&self) -> Outcome {
        if let Some(reason) = self.after(PANIC) {
            return Outcome::Panicked { reason };
        }
        let last_line = self.console.last().cloned().unwrap_or_default();
        if let Some(limit) = self.killed_at {
            let limit_s = limit.as_secs();
            return Outcome::Hung { limit_s, last_line };
        }
        let end = self.status.and_then(End::of_qemu);
        let told = self.after(STATUS_PREFIX).and_then(|text| text.parse().ok());
        match (end, told) {
            (Some(End::Success), Some(0)) => return Outcome::Passed,
            (Some(End::Failure), Some(status)) if status != 0 => {
                let tests = failed_tests(self.console);
                return Outcome::Failed { status, tests };
            }
            _ => {}
        }
        if let (Some(End::NotBegun), Some(reason)) = (end, self.after(FAILURE_PREFIX)) {
            return Outcome::Refused { reason };
        }
        match self.qemu.last() {
            Some(reason) if end.is_none() && self.status == Some(1) => Outcome::Refused {
                reason: format!("QEMU: {}", without_program(reason)),
            },
            said => Outcome::Lost {
                status: self.status,
                last_line: said.map_or(last_line, |line| without_program(line).to_owned()),
            },
        }
    }

    /// What follows this in the last line that has it.
    fn after(&self, prefix: &str) -> Option<String> {
        let mut lines = self.console.iter().rev();
        lines.find_map(|line| Some(line.split_once(prefix)?.1.to_owned()))
    }
}

/// What a test program on the host comes to.
pub fn of_program(output: &[String], status: Option<ExitStatus>, limit: Duration) -> Outcome {
    match status {
        None => Outcome::Hung {
            limit_s: limit.as_secs(),
            last_line: output.last().cloned().unwrap_or_default(),
        },
        Some(status) if status.success() => Outcome::Passed,
        Some(status) => Outcome::Failed {
            status: status.code().unwrap_or(-1),
            tests: failed_tests(output),
        },
    }
}

/// `qemu-system-x86_64: -device x: reason` without the program.
fn without_program(line: &str) -> &str {
    match line.split_once(": ") {
        Some((program, rest)) if program.contains("qemu-system") => rest,
        _ => line,
    }
}

/// The names that Rust's test programs list after the last `failures:`; one list for each program that has one.
fn failed_tests(console: &[String]) -> Vec<String> {
    let mut tests = Vec::new();
    let mut in_list = false;
    for line in console {
        match line.strip_prefix("    ") {
            Some(name) if in_list && !name.contains(' ') => {
                if !tests.iter().any(|test| test == name) {
                    tests.push(name.to_owned());
                }
            }
            _ => in_list = line == "failures:",
        }
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(console: &[&str], qemu: &[&str], status: Option<i32>) -> Outcome {
        let owned = |lines: &[&str]| {
            lines
                .iter()
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>()
        };
        Evidence {
            console: &owned(console),
            qemu: &owned(qemu),
            status,
            killed_at: None,
        }
        .outcome()
    }

    #[test]
    fn success_needs_the_line_and_the_status() {
        let line = "[ 9.1] tsn-vm-init: exit status 0";
        let success = Some(End::Success.qemu_status());
        assert_eq!(outcome(&[line], &[], success), Outcome::Passed);
        for (console, status) in [
            (line, Some(0)),
            ("", success),
            (line, Some(35)),
            (line, None),
        ] {
            let outcome = outcome(&[console], &[], status);
            assert!(matches!(outcome, Outcome::Lost { .. }), "{outcome}");
        }
    }

    #[test]
    fn failed_tests_are_named() {
        let console = [
            "test a ... ok",
            "failures:",
            "",
            "failures:",
            "    b",
            "    c::d",
            "",
            "test result: FAILED",
            "tsn-vm-init: exit status 101",
        ];
        let outcome = outcome(&console, &[], Some(End::Failure.qemu_status()));
        assert_eq!(outcome.to_string(), "failed: b, c::d");
    }

    #[test]
    fn a_panic_is_told_whatever_follows() {
        let console = [
            "[    9.1] Kernel panic - not syncing: sysrq triggered crash",
            "[    9.2] Rebooting",
        ];
        let outcome = outcome(&console, &[], Some(0));
        assert_eq!(outcome.to_string(), "kernel panic: sysrq triggered crash");
    }

    #[test]
    fn a_hang_tells_the_last_line() {
        let outcome = Evidence {
            console: &["waiting".into()],
            killed_at: Some(Duration::from_secs(60)),
            ..Evidence::default()
        }
        .outcome();
        assert_eq!(
            outcome.to_string(),
            "hung: no end within 60 s; last line: waiting"
        );
    }

    #[test]
    fn what_cannot_begin_says_why() {
        let console = ["tsn-vm-init: cannot begin: load module x: No such device"];
        let status = Some(End::NotBegun.qemu_status());
        assert_eq!(
            outcome(&console, &[], status).to_string(),
            "cannot run: load module x: No such device"
        );
        let qemu = ["qemu-system-x86_64: -device x: 'x' is not a valid device model name"];
        assert_eq!(
            outcome(&[], &qemu, Some(1)).to_string(),
            "cannot run: QEMU: -device x: 'x' is not a valid device model name"
        );
    }
}
