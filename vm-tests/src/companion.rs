//! For tests that run on the host and boot the guest of their test themselves, at the moment of their choice and with
//! devices that they have prepared.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::Machine;

/// The variable that names the file with the machine.
pub(crate) const MACHINE_VARIABLE: &str = "TSN_VM_MACHINE";

/// The machine of the test, ready to be booted, or to be changed before.
///
/// # Errors
///
/// When the test was not started by `cargo xtask vm-test`.
pub fn machine() -> Result<Machine> {
    let file = std::env::var_os(MACHINE_VARIABLE).map(PathBuf::from);
    let file = file.with_context(|| {
        format!("{MACHINE_VARIABLE} is not set: this test is started by `cargo xtask vm-test`")
    })?;
    let text = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("parse {}", file.display()))
}
