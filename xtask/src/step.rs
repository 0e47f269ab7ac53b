//! Steps of a task: each is announced and timed, and the first that fails ends the task.

use std::{path::PathBuf, process::Command, time::Instant};

use anyhow::{Context, Result, bail};

/// Runs a step between two progress lines.
///
/// # Errors
///
/// The step's own, with its name and how long it took.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    match result {
        Ok(value) => {
            eprintln!("==> {name}: ok, {seconds:.1} s");
            Ok(value)
        }
        Err(error) => {
            eprintln!("==> {name}: FAILED after {seconds:.1} s");
            Err(error.context(format!("step {name}")))
        }
    }
}

/// `cargo` in the repository's root, with these arguments.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end; it shares our terminal.
///
/// # Errors
///
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    if !status.success() {
        let arguments: Vec<_> = command
            .get_args()
            .map(|argument| argument.to_string_lossy())
            .collect();
        bail!(
            "{} {}: {status}",
            command.get_program().to_string_lossy(),
            arguments.join(" ")
        );
    }
    Ok(())
}

/// The repository's root.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// Ends a task that needs root where there is none.
///
/// # Errors
///
/// When the caller is not root.
pub fn need_root(what: &str) -> Result<()> {
    let output = Command::new("id").arg("-u").output().context("run id")?;
    if output.stdout.trim_ascii() != b"0" {
        bail!(
            "{what} needs root, for network namespaces and kernel programs; run it as root or with `sudo -E`"
        );
    }
    Ok(())
}
