//! All tests: what needs no root first, then end to end.

use anyhow::Result;

use crate::{
    build,
    step::{cargo, need_root, run as run_command, step},
};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// Run only tests whose name contains this.
    #[arg(long)]
    filter: Option<String>,
}

/// Sets up, builds, and runs them. The end-to-end tests run one after the other, since they measure.
///
/// # Errors
///
/// At the first step that fails; at once when the caller is not root.
pub fn run(options: &Options) -> Result<()> {
    need_root("the end-to-end part of `cargo xtask test`")?;
    build::run()?;
    let filter = options.filter.as_deref();
    step("tests of the crates", || {
        let crates = [
            "test",
            "--workspace",
            "--exclude",
            "tsn-ebpf",
            "--exclude",
            "tsn-tests",
            "--no-fail-fast",
        ];
        run_command(cargo(&crates).args(filter))
    })?;
    step("end-to-end tests", || {
        let mut command = cargo(&["test", "--package", "tsn-tests", "--no-fail-fast"]);
        command.args(filter).args(["--", "--test-threads", "1"]);
        run_command(&mut command)
    })
}
