//! How QEMU runs a guest's instructions.

use std::{fmt, fs, path::Path};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::places;

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU, translating them.
    Tcg,
}

/// The choice of this machine, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What it is.
    pub accelerator: Accelerator,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.accelerator {
            Accelerator::Kvm => "KVM",
            Accelerator::Tcg => "TCG (emulation)",
        };
        write!(f, "{name}: {}", self.reason)
    }
}

impl Choice {
    /// KVM where a guest has once run by it from its beginning to its end, which `trial` attempts; on some hosts it can be
    /// opened and is not sound. What came of that is kept until the host boots again.
    ///
    /// # Errors
    ///
    /// When the result cannot be kept.
    pub fn make(trial: impl FnOnce() -> Result<(), String>) -> Result<Self> {
        Self::make_with(Path::new("/dev/kvm"), &places::kept().join("kvm"), trial)
    }

    fn make_with(
        device: &Path,
        memory: &Path,
        trial: impl FnOnce() -> Result<(), String>,
    ) -> Result<Self> {
        let tcg = |reason: String| Self {
            accelerator: Accelerator::Tcg,
            reason,
        };
        if let Err(error) = fs::OpenOptions::new().read(true).write(true).open(device) {
            return Ok(tcg(format!("{}: {error}", device.display())));
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let remembered = fs::read_to_string(memory).unwrap_or_default();
        let failure = match remembered.strip_prefix(&boot) {
            Some(failure) => failure.to_owned(),
            None => {
                eprintln!("==> trial boot with KVM");
                let failure = trial().err().unwrap_or_default();
                fs::write(memory, format!("{boot}{failure}"))?;
                failure
            }
        };
        if failure.is_empty() {
            return Ok(Self {
                accelerator: Accelerator::Kvm,
                reason: "a guest has booted and ended by it".into(),
            });
        }
        Ok(tcg(format!(
            "a trial boot with KVM came to this: {failure}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kvm_must_have_proved_itself_and_is_tried_once() {
        let directory = tempfile::tempdir().unwrap();
        let device = directory.path().join("kvm");
        let memory = directory.path().join("memory");
        let choose = |trial: Option<Result<(), String>>| {
            Choice::make_with(&device, &memory, || trial.expect("no second trial")).unwrap()
        };
        assert_eq!(choose(None).accelerator, Accelerator::Tcg, "no device");
        fs::write(&device, "").unwrap();
        let failed = choose(Some(Err("hung".into())));
        assert_eq!(failed.accelerator, Accelerator::Tcg);
        assert!(
            failed.to_string().ends_with("came to this: hung"),
            "{failed}"
        );
        assert_eq!(choose(None), failed);
        fs::remove_file(&memory).unwrap();
        assert_eq!(choose(Some(Ok(()))).accelerator, Accelerator::Kvm);
        assert_eq!(choose(None).accelerator, Accelerator::Kvm);
    }
}
