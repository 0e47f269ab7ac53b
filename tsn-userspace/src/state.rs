//! What was set at run time and must survive a restart of the daemon: pods and gates.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{GateParameters, Pod};

/// Pods and gates as they stand, and the gates of the configuration file that they came after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct State {
    /// The gates in the configuration file when `gates` was set: a file that has changed since takes precedence.
    pub configured_gates: GateParameters,
    /// The gates that were set last.
    pub gates: GateParameters,
    /// Pods that were added at run time.
    pub pods: Vec<Pod>,
}

/// The file that keeps the state; replaced as a whole, so that it is never half written.
#[derive(Debug)]
pub struct StateFile(PathBuf);

impl StateFile {
    /// Of the daemon of `device` (a name without `/`), in this directory, which is made (for root alone) if it is missing.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made.
    pub fn in_directory(directory: &Path, device: &str) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        Ok(Self(directory.join(format!("{device}.json"))))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What an earlier daemon left; `None` without one.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be read or understood.
    pub fn load(&self) -> io::Result<Option<State>> {
        match fs::read(&self.0) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the state.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; the old one stands then.
    pub fn store(&self, state: &State) -> io::Result<()> {
        let new = self.0.with_extension("json.new");
        let mut file = fs::File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(state)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.0)
    }
}
