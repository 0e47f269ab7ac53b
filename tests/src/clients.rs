//! The programs that run in nodes and pods: ours from cargo's target directory, and unmodified ones.

use std::{ffi::OsStr, path::PathBuf, process::Command, sync::OnceLock};

use anyhow::{Context, Result, bail};

use crate::{namespace::Namespace, process::Process};

/// The directory of our binaries, if it is not that of the release profile.
const DIRECTORY_VARIABLE: &str = "TSN_BIN_DIR";

/// The path of one of the workspace's binaries, such as `tsnd`, as it is shipped: built with the release profile, and
/// found in cargo's target directory above the running executable, or in `TSN_BIN_DIR`.
///
/// # Errors
///
/// When it has not been built, with the command that builds it.
pub fn binary(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().context("find the running executable")?;
    // target/debug/xtask, or target/debug/deps/test
    let targets = this
        .ancestors()
        .skip(2)
        .take(2)
        .map(|target| target.join("release"));
    let from_variable = std::env::var_os(DIRECTORY_VARIABLE).map(PathBuf::from);
    let candidates: Vec<PathBuf> = from_variable
        .into_iter()
        .chain(targets)
        .map(|directory| directory.join(name))
        .collect();
    match candidates.iter().find(|candidate| candidate.is_file()) {
        Some(found) => Ok(found.clone()),
        None => bail!(
            "{name} is in none of {candidates:?}; run `cargo xtask build` or set {DIRECTORY_VARIABLE}"
        ),
    }
}

/// A file that `cargo xtask setup` has unpacked, by its path below `target/tools`.
///
/// # Errors
///
/// When it is not there.
pub fn unpacked(path: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().context("find the running executable")?;
    this.ancestors()
        .map(|target| target.join("tools").join(path))
        .find(|candidate| candidate.exists())
        .with_context(|| format!("no target/tools/{path}; run `cargo xtask setup`"))
}

/// Prometheus's `promtool`, from where `cargo xtask setup` puts it or from the search path.
pub fn promtool() -> Command {
    let unpacked = unpacked("prometheus/usr/bin/promtool");
    Command::new(unpacked.unwrap_or_else(|_| "promtool".into()))
}

/// `tsn-perf` in a namespace, its subcommand and options still to be given.
///
/// # Errors
///
/// When it has not been built.
pub fn tsn_perf(namespace: &Namespace) -> Result<Command> {
    Ok(namespace.command(binary("tsn-perf")?))
}

/// Runs a Python program in a namespace.
///
/// # Errors
///
/// When there is no Python.
pub fn python<S: AsRef<OsStr>>(
    namespace: &Namespace,
    program: &str,
    arguments: &[S],
) -> Result<Process> {
    let mut command = namespace.command("/usr/bin/python3");
    command.arg("-c").arg(program).args(arguments);
    Process::spawn("python3", command)
}

/// Netsniff-ng's `trafgen` in a namespace: sends `count` frames made of `bytes`, one every `gap_us` microseconds.
///
/// # Errors
///
/// When it is not installed (`cargo xtask setup` does that).
pub fn trafgen(
    namespace: &Namespace,
    interface: &str,
    bytes: &[u8],
    count: u64,
    gap_us: u64,
) -> Result<Process> {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    let mut command = namespace.command(trafgen_path());
    command.args(["--no-sock-mem", "--cpus", "1", "--dev", interface]);
    command.args(["--num", &count.to_string(), "--gap", &format!("{gap_us}us")]);
    command.arg(format!("{{ {} }}", bytes.join(", ")));
    Process::spawn("trafgen", command)
}

/// Debian puts it where only root's search path leads.
fn trafgen_path() -> &'static str {
    static PATH: OnceLock<&str> = OnceLock::new();
    PATH.get_or_init(|| {
        let candidates = ["/usr/sbin/trafgen", "/usr/bin/trafgen"];
        candidates
            .into_iter()
            .find(|path| std::path::Path::new(path).is_file())
            .unwrap_or("trafgen")
    })
}
