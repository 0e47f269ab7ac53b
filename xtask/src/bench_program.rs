//! Benchmark programs of the crates: built as they are shipped, run for nanoseconds or under callgrind for instructions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::artifacts;
use crate::build;
use crate::step::cargo;

/// A benchmark program that prints [`Figures`] and takes `--batches`.
pub struct BenchProgram {
    executable: PathBuf,
}

/// What such a program prints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// Batches measured.
    pub batches: u64,
    /// Frames of a batch.
    pub batch_frames: u64,
    /// By the name of what was measured: nanoseconds of a frame, the median of the batches.
    pub ns: BTreeMap<String, f64>,
}

impl BenchProgram {
    /// Builds benchmark `bench`.
    ///
    /// # Errors
    ///
    /// When it does not build.
    pub fn build(bench: &str) -> Result<Self> {
        let mut command = cargo(&["bench", "--no-run", "--quiet", "--bench", bench]);
        let built = artifacts::build(command.args(build::selection()))?;
        let executable = built
            .into_iter()
            .filter(|artifact| artifact.target.name == bench)
            .find_map(|artifact| artifact.executable)
            .with_context(|| format!("cargo names no executable of benchmark {bench}"))?;
        Ok(Self { executable })
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// When it fails or prints something else.
    pub fn run(&self, arguments: &[&str]) -> Result<Figures> {
        figures(Command::new(&self.executable).args(arguments))
    }

    /// The instructions that a frame takes inside `function` (and what that calls), counted by callgrind. The function
    /// must handle one batch in each call, and have no other that contains its name.
    ///
    /// # Errors
    ///
    /// When valgrind is missing, the program fails, or nothing was counted.
    pub fn instructions(&self, arguments: &[&str], function: &str) -> Result<f64> {
        let file = std::env::temp_dir().join(format!("callgrind.{}.out", std::process::id()));
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--toggle-collect=*{function}*"))
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(&self.executable)
            .args(arguments);
        let figures = figures(&mut valgrind).context("`cargo xtask setup` installs valgrind");
        let counted = figures.and_then(|figures| {
            let instructions = collected(&file)?;
            ensure!(
                instructions > 0,
                "callgrind has not seen function {function}"
            );
            Ok(instructions as f64 / (figures.batches * figures.batch_frames) as f64)
        });
        // It is not there if valgrind was not.
        let _ = std::fs::remove_file(&file);
        counted
    }
}

fn figures(command: &mut Command) -> Result<Figures> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start {name}"))?;
    ensure!(output.status.success(), "{name}: {}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{name} prints no figures"))
}

/// The total of a file of callgrind.
fn collected(file: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("callgrind wrote no {}", file.display()))?;
    let Some(total) = text.lines().find_map(|line| line.strip_prefix("totals: ")) else {
        bail!("{} has no line `totals:`", file.display());
    };
    total
        .trim()
        .parse()
        .with_context(|| format!("{}: totals: {total}", file.display()))
}
