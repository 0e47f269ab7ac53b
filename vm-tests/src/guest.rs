//! For the tests in a guest: what they know of it, and what they leave.

use std::{fs, io::Write, path::PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::Kernel;

/// The variable that names the directory which guest and host share.
pub const OUTPUT_VARIABLE: &str = "TSN_VM_OUT";
/// The variable that names the kernel.
pub const KERNEL_VARIABLE: &str = "TSN_VM_KERNEL";
/// The variable that has the guest's number among those of its test: 0 or 1.
pub const NUMBER_VARIABLE: &str = "TSN_VM_GUEST";

const LACKS_FILE: &str = "lacks";
/// The file that must be the same after two runs in virtual time.
pub(crate) const FIGURES_FILE: &str = "figures.json";

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| {
        format!("{name} is not set: these tests run in a guest, by `cargo xtask vm-test`")
    })
}

/// The directory that guest and host share, and both guests of a test.
///
/// # Errors
///
/// Outside of a guest.
pub fn output() -> Result<PathBuf> {
    variable(OUTPUT_VARIABLE).map(PathBuf::from)
}

/// The kernel's name in the matrix.
///
/// # Errors
///
/// Outside of a guest.
pub fn kernel() -> Result<Kernel> {
    variable(KERNEL_VARIABLE)?.parse()
}

/// The guest's number among those of its test: 0 or 1.
///
/// # Errors
///
/// Outside of a guest.
pub fn number() -> Result<usize> {
    Ok(variable(NUMBER_VARIABLE)?.parse()?)
}

/// Records what this kernel lacks, for the run's summary. The test then returns without a failure.
///
/// # Errors
///
/// Outside of a guest.
pub fn lacks(what: &str) -> Result<()> {
    println!("this kernel lacks {what}");
    let mut options = fs::OpenOptions::new();
    let file = output()?.join(LACKS_FILE);
    let mut file = options.append(true).create(true).open(file)?;
    writeln!(file, "{what}").context("record what the kernel lacks")
}

/// Leaves the figures of the test. In virtual time they must be the same in each run.
///
/// # Errors
///
/// Outside of a guest, or when they cannot be written.
pub fn write_figures(figures: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(figures)?;
    text.push('\n');
    fs::write(output()?.join(FIGURES_FILE), text).context("write the figures")
}

/// What the tests of a run recorded as lacking, each once.
pub(crate) fn recorded_lacks(output: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(output.join(LACKS_FILE)).unwrap_or_default();
    let mut lacks: Vec<_> = text.lines().map(String::from).collect();
    lacks.sort();
    lacks.dedup();
    lacks
}
