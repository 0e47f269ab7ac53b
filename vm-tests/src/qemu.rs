//! QEMU: where it is, and whether it is new enough.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest version that boots all kernels reliably: 7.2 loses two in five guests with 6.12.
pub const MIN_MAJOR_VERSION: u32 = 10;

/// Names another QEMU than that of the search path.
pub const VARIABLE: &str = "TSN_QEMU";

const PROGRAM: &str = "qemu-system-x86_64";
const REMEDY: &str = "`cargo xtask setup --vm` installs it";

/// A QEMU that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qemu {
    /// Its program.
    pub program: PathBuf,
    /// What it calls its version.
    pub version: String,
}

/// Why there is no QEMU to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// It cannot be started.
    Missing {
        /// The program.
        program: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// It is too old, or does not tell its version.
    TooOld {
        /// The program.
        program: PathBuf,
        /// What it says.
        version: String,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { program, reason } => write!(
                f,
                "no QEMU: {}: {reason}; {REMEDY}, or {VARIABLE} names another",
                program.display()
            ),
            Self::TooOld { program, version } => write!(
                f,
                "{} is `{version}`, and {MIN_MAJOR_VERSION} is needed; {REMEDY}, or {VARIABLE} names another",
                program.display()
            ),
        }
    }
}

impl std::error::Error for Unusable {}

impl Qemu {
    /// That of the environment or of the search path.
    ///
    /// # Errors
    ///
    /// When there is none, or it is too old.
    pub fn find() -> Result<Self, Unusable> {
        let program = std::env::var_os(VARIABLE).unwrap_or_else(|| PROGRAM.into());
        Self::at(Path::new(&program))
    }

    /// This one.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or is too old.
    pub fn at(program: &Path) -> Result<Self, Unusable> {
        let missing = |reason: String| Unusable::Missing {
            program: program.to_owned(),
            reason,
        };
        let output = Command::new(program).arg("--version").output();
        let output = output.map_err(|error| missing(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.lines().next().unwrap_or("no version").to_owned();
        let program = program.to_owned();
        if major(&version).is_none_or(|major| major < MIN_MAJOR_VERSION) {
            return Err(Unusable::TooOld { program, version });
        }
        Ok(Self { program, version })
    }
}

fn major(version: &str) -> Option<u32> {
    let number = version.split("version ").nth(1)?;
    number.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_qemu_is_one_line_with_the_way_out() {
        let error = Qemu::at(Path::new("/no/such/qemu"))
            .unwrap_err()
            .to_string();
        assert_eq!(error.lines().count(), 1);
        assert!(
            error.starts_with("no QEMU: /no/such/qemu: No such file"),
            "{error}"
        );
        assert!(error.contains("cargo xtask setup --vm"), "{error}");
    }

    #[test]
    fn an_old_one_is_refused() {
        let error = Qemu::at(Path::new("/bin/echo")).unwrap_err();
        assert!(matches!(error, Unusable::TooOld { .. }), "{error}");
        assert_eq!(
            major("QEMU emulator version 7.2.19 (Debian 1:7.2)"),
            Some(7)
        );
        assert_eq!(
            major("QEMU emulator version 10.0.2 (Debian 1:10)"),
            Some(10)
        );
        assert_eq!(major("--version"), None);
    }
}
