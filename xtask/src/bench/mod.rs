//! Benchmarks.

mod cost;
mod table;

use anyhow::Result;

/// Runs the benchmarks and prints their tables as JSON.
///
/// # Errors
///
/// When they cannot be built or run.
pub fn run() -> Result<()> {
    println!("{}", serde_json::to_string_pretty(&cost::run()?)?);
    Ok(())
}
