//! The programs that cargo makes of tests, built by one command and run by us.
//!
//! `cargo test --package …` gives each choice of packages features of its own for what they depend on, and builds that once
//! more for each choice.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::artifacts;
use crate::step::{cargo, root};

/// One of them: the unit tests of a target, or a file of `tests/`.
pub struct TestProgram {
    /// The folder of its package below the repository's root, such as `tests`.
    pub folder: PathBuf,
    /// The target's name: of a file of `tests/`, the file's.
    pub name: String,
    is_file_of_tests: bool,
    /// Where cargo has put it.
    pub executable: PathBuf,
}

impl TestProgram {
    /// Builds those that these arguments of cargo mean.
    ///
    /// # Errors
    ///
    /// When one does not build.
    pub fn build<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>> {
        let artifacts = artifacts::build(cargo(&["test", "--no-run"]).args(arguments))?;
        let programs = artifacts
            .into_iter()
            .filter(|artifact| artifact.profile.test);
        let programs: Vec<_> = programs
            .filter_map(|artifact| {
                let folder = artifact.manifest_path.parent()?.strip_prefix(root()).ok()?;
                Some(Self {
                    folder: folder.to_owned(),
                    is_file_of_tests: artifact.target.kind == ["test"],
                    name: artifact.target.name,
                    executable: artifact.executable?,
                })
            })
            .collect();
        ensure!(
            !programs.is_empty(),
            "cargo test names no program of a test"
        );
        Ok(programs)
    }

    /// Whether it runs in virtual machines only, where `cargo xtask vm-test` starts it.
    pub fn is_for_a_guest(&self) -> bool {
        self.is_file_of_tests && self.folder == Path::new("vm-tests")
    }

    /// Runs it as `cargo test` would.
    ///
    /// # Errors
    ///
    /// When a test fails.
    pub fn run<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        environment: &[(&str, &str)],
    ) -> Result<()> {
        let directory = root().join(&self.folder);
        eprintln!("     Running {} of {}", self.name, self.folder.display());
        let status = Command::new(&self.executable)
            .args(arguments)
            .envs(environment.iter().copied())
            .env("CARGO_MANIFEST_DIR", &directory)
            .current_dir(directory)
            .status()
            .with_context(|| format!("start {}", self.executable.display()))?;
        if !status.success() {
            bail!("{} of {}: {status}", self.name, self.folder.display());
        }
        Ok(())
    }
}
