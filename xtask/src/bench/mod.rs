//! Benchmarks.

use anyhow::Result;

use crate::step::{cargo, run as run_command};

/// Runs the scheduler's benchmarks.
///
/// # Errors
///
/// When they cannot be built or run.
pub fn run() -> Result<()> {
    run_command(&mut cargo(&["bench", "--package", "tsn-core"]))
}
