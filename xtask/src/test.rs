//! All tests: what needs no root first, then end to end.

use std::fs;

use anyhow::{Context, Result, bail};
use tsn_tests::backend::{Backend, VARIABLE};

use crate::{
    build,
    dpdk::{self, Backends},
    step::{cargo, need_root, root, run as run_command, step},
};

/// Of the end-to-end tests, those to which it is the same by what backend frames leave. They run once.
const OF_NO_BACKEND: [&str; 12] = [
    "alerts",
    "bad_configuration",
    "bad_requests",
    "bed",
    "capabilities",
    "cni_daemon",
    "cni_multus",
    "convert",
    "doctor",
    "logs",
    "overlay_bed",
    "watch",
];

/// Those of what only the DPDK backend has.
const OF_DPDK: [&str; 4] = ["dpdk_bed", "dpdk_start", "ovs_dpdk", "vhost_user"];

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// Run only tests whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// The daemon's backend in the end-to-end tests: afxdp or dpdk, or one after the other: all, as far as they are built.
    #[arg(long, default_value_t)]
    backend: Backends,
}

/// Sets up, builds, and runs them. The end-to-end tests run one after the other, since they measure.
///
/// # Errors
///
/// At once when the caller is not root or the build fails; at the end when tests fail, which hide no others.
pub fn run(options: &Options) -> Result<()> {
    need_root("the end-to-end part of `cargo xtask test`")?;
    build::run()?;
    let backends = options.backend.built()?;
    let filter = options.filter.as_deref();
    let mut results = vec![step("tests of the crates", || {
        let mut command = cargo(&["test", "--no-fail-fast"]);
        command.args(dpdk::workspace());
        command.args(["--exclude", "tsn-tests", "--exclude", "tsn-vm-tests"]);
        run_command(command.args(filter))
    })];
    results.push(step("the runner of virtual machines", || {
        run_command(cargo(&["test", "--package", "tsn-vm-tests", "--lib"]).args(filter))
    }));
    let (once, each): (Vec<_>, Vec<_>) = end_to_end_tests()?
        .into_iter()
        .partition(|name| OF_NO_BACKEND.contains(&name.as_str()));
    let (of_dpdk, each): (Vec<_>, Vec<_>) = each
        .into_iter()
        .partition(|name| OF_DPDK.contains(&name.as_str()));
    results.push(step("examples of the test bed", || {
        run_command(cargo(&["test", "--package", "tsn-tests", "--doc"]).args(filter))
    }));
    results.push(step("end-to-end tests of no backend", || {
        end_to_end(&["--lib"], &once, Backend::Afxdp, filter)
    }));
    for backend in backends {
        let mut tests = each.clone();
        if backend == Backend::Dpdk {
            tests.extend_from_slice(&of_dpdk);
        }
        let name = format!("end-to-end tests over {backend}");
        results.push(step(&name, || end_to_end(&[], &tests, backend, filter)));
    }
    all_passed(results)
}

fn all_passed(results: Vec<Result<()>>) -> Result<()> {
    let failures: Vec<_> = results
        .into_iter()
        .filter_map(|result| result.err().map(|error| format!("{error:#}")))
        .collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// Their names: each is a file.
fn end_to_end_tests() -> Result<Vec<String>> {
    let directory = root().join("tests/tests");
    let files = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
    let mut names = Vec::new();
    for file in files {
        let file = file?.file_name();
        let name = file.to_str().and_then(|name| name.strip_suffix(".rs"));
        names.extend(name.map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn end_to_end(
    targets: &[&str],
    tests: &[String],
    backend: Backend,
    filter: Option<&str>,
) -> Result<()> {
    let mut command = cargo(&["test", "--package", "tsn-tests", "--no-fail-fast"]);
    command.env(VARIABLE, backend.name()).args(targets);
    for name in tests {
        command.args(["--test", name]);
    }
    command.args(filter).args(["--", "--test-threads", "1"]);
    run_command(&mut command)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_failure_hides_no_other() {
        assert!(all_passed(vec![Ok(()), Ok(())]).is_ok());
        let results = vec![
            Err(anyhow!("over afxdp")),
            Ok(()),
            Err(anyhow!("over dpdk")),
        ];
        let error = all_passed(results).unwrap_err().to_string();
        assert_eq!(error, "over afxdp\nover dpdk");
    }

    #[test]
    fn what_does_not_run_over_each_backend_is_there() {
        let all = end_to_end_tests().unwrap();
        let missing = OF_NO_BACKEND
            .iter()
            .chain(&OF_DPDK)
            .find(|name| !all.iter().any(|test| test == *name));
        assert_eq!(missing, None);
        assert!(all.len() > OF_NO_BACKEND.len() + OF_DPDK.len());
    }
}
