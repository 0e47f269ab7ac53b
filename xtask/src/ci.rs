//! What continuous integration runs.

use anyhow::Result;
use tsn_tests::backend::Backend;

use crate::{
    dpdk::{self, Backends},
    ebpf, fuzz, instructions, setup,
    step::{cargo, need_root, run as run_command, step},
};

/// Runs all checks; the tests come last, as the commands that the README names.
///
/// # Errors
///
/// At the first step that fails.
pub fn run() -> Result<()> {
    need_root("`cargo xtask ci`")?;
    step("setup", setup::run)?;
    step("kernel programs", ebpf::run)?;
    step("formatting", || {
        run_command(&mut cargo(&["fmt", "--all", "--check"]))?;
        run_command(&mut cargo(&[
            "fmt",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--check",
        ]))
    })?;
    step("clippy", || {
        let mut command = cargo(&["clippy", "--all-targets"]);
        command.args(dpdk::workspace());
        run_command(command.args(["--", "--deny", "warnings"]))
    })?;
    if dpdk::is_installed() {
        step("the daemon without DPDK", || {
            let mut clippy = cargo(&["clippy", "--all-targets"]);
            clippy.args(dpdk::workspace_without());
            run_command(clippy.args(["--", "--deny", "warnings"]))?;
            let mut test = cargo(&["test", "--test", "without_dpdk"]);
            run_command(test.args(dpdk::workspace_without()))
        })?;
    }
    step("rustdoc", || {
        let mut command = cargo(&["doc", "--no-deps"]);
        command.args(dpdk::workspace());
        run_command(command.env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    step("fuzzing", || {
        fuzz::run(&fuzz::Options {
            seconds: 90,
            target: None,
        })
    })?;
    step("instructions of a frame", || {
        instructions::run(&instructions::Options::default())
    })?;
    step("cargo xtask demo", || {
        run_command(&mut cargo(&["xtask", "demo"]))
    })?;
    for backend in Backends::All.built()? {
        if backend != Backend::Afxdp {
            step(&format!("cargo xtask demo, {backend}"), || {
                let mut demo = cargo(&["xtask", "demo", "--seconds", "2"]);
                demo.args(["--backend", backend.name()]);
                run_command(demo.args(["--report", "target/demo-report.html"]))
            })?;
        }
        step(&format!("cargo xtask bench --quick, {backend}"), || {
            let arguments = ["xtask", "bench", "--quick", "--backend", backend.name()];
            run_command(&mut cargo(&arguments))
        })?;
    }
    step("cargo xtask test", || {
        run_command(&mut cargo(&["xtask", "test"]))
    })?;
    step("cargo xtask setup --vm", setup::vm)?;
    step("cargo xtask vm-test --quick", || {
        run_command(&mut cargo(&["xtask", "vm-test", "--quick"]))
    })
}
