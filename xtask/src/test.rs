//! All tests: what needs no root first, then end to end.

use std::path::Path;

use anyhow::{Result, bail};
use tsn_tests::backend::{Backend, OF_DPDK, OF_NO_BACKEND, VARIABLE};

use crate::{
    build,
    dpdk::{self, Backends},
    step::{cargo, need_root, run as run_command, step},
    test_programs::TestProgram,
};

/// The folder of the end-to-end tests.
const END_TO_END: &str = "tests";

/// The tests of the test bed itself.
const OWN_TESTS: &str = "tsn_tests";

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
    let programs = step("test programs", || TestProgram::build(dpdk::workspace()))?;
    let (end_to_end, of_crates): (Vec<_>, Vec<_>) = programs
        .into_iter()
        .filter(|program| !program.is_for_a_guest())
        .partition(|program| program.folder == Path::new(END_TO_END));
    let mut results = vec![
        step("tests of the crates", || {
            run_all(of_crates.iter().map(|program| program.run(filter, &[])))
        }),
        step("examples", || {
            let mut command = cargo(&["test", "--doc", "--no-fail-fast"]);
            run_command(command.args(dpdk::workspace()).args(filter))
        }),
    ];
    let mut of_no_backend = Vec::new();
    let mut of_dpdk = Vec::new();
    let mut of_each = Vec::new();
    for program in end_to_end {
        match program.name.as_str() {
            OWN_TESTS => of_no_backend.push(program),
            name if OF_NO_BACKEND.contains(&name) => of_no_backend.push(program),
            name if OF_DPDK.contains(&name) => of_dpdk.push(program),
            _ => of_each.push(program),
        }
    }
    results.push(step("end-to-end tests of no backend", || {
        run_end_to_end(&of_no_backend, Backend::Afxdp, filter)
    }));
    for backend in backends {
        results.push(step(&format!("end-to-end tests over {backend}"), || {
            let more: &[_] = match backend {
                Backend::Afxdp => &[],
                Backend::Dpdk => &of_dpdk,
            };
            run_all([&of_each[..], more].map(|tests| run_end_to_end(tests, backend, filter)))
        }));
    }
    run_all(results)
}

/// One after the other, each alone: they measure.
fn run_end_to_end(programs: &[TestProgram], backend: Backend, filter: Option<&str>) -> Result<()> {
    run_all(programs.iter().map(|program| {
        let arguments = filter.into_iter().chain(["--test-threads", "1"]);
        program.run(arguments, &[(VARIABLE, backend.name())])
    }))
}

/// Lets all come to their end; a failure hides no other.
fn run_all(results: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let failures: Vec<_> = results
        .into_iter()
        .filter_map(|result| result.err().map(|error| format!("{error:#}")))
        .collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_failure_hides_no_other() {
        assert!(run_all(vec![Ok(()), Ok(())]).is_ok());
        let results = vec![
            Err(anyhow!("over afxdp")),
            Ok(()),
            Err(anyhow!("over dpdk")),
        ];
        let error = run_all(results).unwrap_err().to_string();
        assert_eq!(error, "over afxdp\nover dpdk");
    }

    #[test]
    fn what_does_not_run_over_each_backend_is_there() {
        let tests = crate::step::root().join(END_TO_END).join("tests");
        for name in OF_NO_BACKEND.iter().chain(&OF_DPDK) {
            assert!(tests.join(name).with_extension("rs").is_file(), "{name}");
        }
    }
}
