//! How many instructions a frame takes, beside what is on record.
//!
//! Nanoseconds change with the machine and its other work; instructions repeat exactly, so that a check can fail.

mod record;

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::bench_program::BenchProgram;
use crate::step::{root, step};
use record::{Record, rustc_version};

/// Steps of a frame's way through the worker: functions `step_…` of the benchmark `steps`.
pub const STEPS: [&str; 5] = ["receive", "classify", "queue", "select", "transmit"];
/// Cases of the benchmark `scheduler`: in, on to the launch time or the gate, and out.
const SCHEDULER_CASES: [&str; 4] = [
    "fifo/10000",
    "launch-time/10000",
    "next-window/8",
    "far-ahead/1024",
];
/// The figures on record.
const RECORD: &str = "benches/instructions.json";
/// Batches to count in: enough for each class, window and cycle to have its turn.
const BATCHES: &str = "20";

/// Options of `cargo xtask instructions`.
#[derive(clap::Args, Default)]
pub struct Options {
    /// Put what is counted on record, with the reason why figures have changed.
    #[arg(long, value_name = "REASON")]
    record: Option<String>,
}

/// Counts, shows each figure beside the one on record, and fails if one differs by more than 5 %.
///
/// # Errors
///
/// When a figure is not what is on record, or when something cannot be built, run or read.
pub fn run(options: &Options) -> Result<()> {
    let path = root().join(RECORD);
    let recorded = Record::read(&path)?;
    let counted = step("count instructions", count)?;
    let rustc = rustc_version()?;
    print!("{}", recorded.table(&counted));
    if let Some(reason) = &options.record {
        recorded.renewed(counted, rustc, reason)?.write(&path)?;
        println!("recorded in {RECORD}");
        return Ok(());
    }
    let faults = recorded.faults(&counted, &rustc);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// Instructions of a frame, by what it goes through.
///
/// # Errors
///
/// When a benchmark cannot be built or counted.
pub fn count() -> Result<BTreeMap<String, f64>> {
    let mut counted = BTreeMap::new();
    let steps = BenchProgram::build("steps")?;
    for name in STEPS {
        let arguments = ["--batches", BATCHES];
        let instructions = steps.instructions(&arguments, &format!("step_{name}"))?;
        counted.insert(name.to_owned(), instructions);
    }
    let scheduler = BenchProgram::build("scheduler")?;
    for name in SCHEDULER_CASES {
        let arguments = ["--batches", BATCHES, "--case", name];
        let instructions = scheduler.instructions(&arguments, "measured_batch")?;
        counted.insert(format!("scheduler {name}"), instructions);
    }
    Ok(counted)
}
