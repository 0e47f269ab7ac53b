//! What the host and the first process of a guest agree on.

#![forbid(unsafe_code)]

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Where the initramfs has the [`Spec`], as JSON.
pub const SPEC: &str = "/spec.json";

/// Where the initramfs has the modules.
pub const MODULES: &str = "/modules";

/// The mount tag of the host's root directory.
pub const ROOT_TAG: &str = "root";

/// The mount tag of the directory that guest and host share.
pub const OUTPUT_TAG: &str = "output";

/// Where the guest has the directory that it shares with the host.
pub const OUTPUT: &str = "/run/tsn-vm-output";

/// The port of QEMU's `isa-debug-exit`, which ends the machine.
pub const EXIT_PORT: u16 = 0xf4;

/// What stands before the exit status, in the last line that the guest prints.
pub const STATUS_PREFIX: &str = "tsn-vm-init: exit status ";

/// What stands before the reason, in the last line of a guest that could not begin.
pub const FAILURE_PREFIX: &str = "tsn-vm-init: cannot begin: ";

/// What a guest does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Files in [`MODULES`], in the order in which they are loaded.
    pub modules: Vec<String>,
    /// Directories that are seen in the guest as on the host, although they may lie below one that is empty in the guest,
    /// such as `/tmp`.
    pub visible: Vec<PathBuf>,
    /// How many hugepages of 2 MiB are reserved.
    pub hugepages: u32,
    /// What is run, one after the other, whatever becomes of those before.
    pub commands: Vec<Command>,
}

/// A program that a guest runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
}

/// How a guest ended, as it tells QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All commands succeeded.
    Success,
    /// A command failed.
    Failure,
    /// No command was run.
    NotBegun,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::NotBegun];

    /// What is written to [`EXIT_PORT`].
    pub const fn port_value(self) -> u8 {
        match self {
            Self::Success => 0x10,
            Self::Failure => 0x11,
            Self::NotBegun => 0x12,
        }
    }

    /// With what status QEMU then exits.
    pub const fn qemu_status(self) -> i32 {
        self.port_value() as i32 * 2 + 1
    }

    /// That of QEMU's exit status. None for a guest that did not end by itself, such as one that panicked: 0.
    pub fn of_qemu(status: i32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|end| end.qemu_status() == status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_recognised_and_a_panic_is_none() {
        for end in End::ALL {
            assert_eq!(End::of_qemu(end.qemu_status()), Some(end));
        }
        assert_eq!(End::of_qemu(0), None);
        assert_eq!(End::of_qemu(1), None);
    }
}
