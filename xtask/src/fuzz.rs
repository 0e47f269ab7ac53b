//! Fuzzing with libFuzzer on a stable toolchain, without cargo-fuzz.
//!
//! cargo-fuzz's own contribution is a set of compiler flags. Those that ask for coverage are passes of LLVM, which a
//! stable compiler takes too; the sanitizers, which it does not, find nothing in code without `unsafe`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::step::{cargo, root, run as run_command, step};

/// Instruments every edge with a counter that libFuzzer reads, and comparisons so that it learns their operands.
const COVERAGE_FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1";

/// A run that reached fewer places than this has no live coverage counters and proved nothing.
const LEAST_COVERAGE: u64 = 10;

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub struct Options {
    /// How long all targets run together, one after the other.
    #[arg(long, default_value_t = 180)]
    pub seconds: usize,
    /// Only this target of fuzz/fuzz_targets.
    #[arg(long)]
    pub target: Option<String>,
}

/// Builds all targets of `fuzz/` and runs each.
///
/// # Errors
///
/// When a target crashes, cannot be built, or ran without coverage.
pub fn run(options: &Options) -> Result<()> {
    let fuzz = root().join("fuzz");
    let names = match &options.target {
        Some(name) => vec![name.clone()],
        None => targets(&fuzz)?,
    };
    let host = host_triple()?;
    let build = [
        "build",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--release",
        "--bins",
    ];
    step("fuzz targets", || {
        // A target triple, even the host's, keeps the flags away from build scripts.
        run_command(
            cargo(&build)
                .args(["--target", &host, "--target-dir", "fuzz/target"])
                .env("RUSTFLAGS", COVERAGE_FLAGS),
        )
    })?;
    let binaries = fuzz.join("target").join(host).join("release");
    // libFuzzer takes 0 for no end.
    let seconds = (options.seconds / names.len().max(1)).max(1);
    for name in names {
        step(&format!("fuzz {name} for {seconds} s"), || {
            fuzz_one(&fuzz, &binaries, &name, seconds)
        })?;
    }
    Ok(())
}

fn targets(fuzz: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(fuzz.join("fuzz_targets")).context("list fuzz/fuzz_targets")?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn fuzz_one(fuzz: &Path, binaries: &Path, name: &str, seconds: usize) -> Result<()> {
    let corpus = made(fuzz.join("target/corpus").join(name))?;
    let artifacts = made(fuzz.join("target/artifacts").join(name))?;
    let mut command = Command::new(binaries.join(name));
    command.arg(&corpus);
    let seeds = fuzz.join("seeds").join(name);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args(["-print_final_stats=1", "-rss_limit_mb=2048", "-timeout=10"]);
    let output = command
        .output()
        .with_context(|| format!("start {}", binaries.join(name).display()))?;
    let log = String::from_utf8_lossy(&output.stderr);
    // A line that begins with `#` tells of progress; there are thousands.
    let said: String = log
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    if !output.status.success() {
        bail!(
            "{name}: {}\n{said}the input is in {}",
            output.status,
            artifacts.display()
        );
    }
    let done = log
        .lines()
        .rev()
        .find(|line| line.contains("DONE"))
        .unwrap_or_default();
    eprintln!("{done}");
    if coverage(done).is_none_or(|coverage| coverage < LEAST_COVERAGE) {
        bail!("{name} ran without coverage, so its run proves nothing:\n{said}");
    }
    Ok(())
}

/// The number after `cov:` of a status line of libFuzzer.
fn coverage(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace();
    words.find(|word| *word == "cov:")?;
    words.next()?.parse().ok()
}

fn made(directory: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    Ok(directory)
}

fn host_triple() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::coverage;

    #[test]
    fn coverage_is_read_from_a_status_line() {
        assert_eq!(
            coverage("#1024\tDONE   cov: 57 ft: 101 corp: 9/120b"),
            Some(57)
        );
        assert_eq!(coverage("#1024\tDONE   ft: 101"), None);
    }
}
