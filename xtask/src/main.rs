//! Every developer task: `cargo xtask --help`.

mod artifacts;
mod bench;
mod bench_program;
mod build;
mod ci;
mod demo;
mod dpdk;
mod ebpf;
mod fuzz;
mod instructions;
mod setup;
mod step;
mod test;
mod test_programs;
mod unpack;
mod vm_test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Every developer task of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find or install what the build needs: kernel-program toolchain, bpf-linker, Debian packages.
    Setup(setup::Options),
    /// Build the kernel programs.
    Ebpf,
    /// Set up, and build the programs as they are shipped: tsnd, tsnctl, tsn-cni, tsn-perf.
    Build,
    /// Set up, build, and run all tests. Needs root for the end-to-end part.
    Test(test::Options),
    /// The same traffic through the kernel's path, through tsnd, and through a tsnd that is killed. Needs root.
    Demo(demo::Options),
    /// Fuzz everything that parses.
    Fuzz(fuzz::Options),
    /// Benchmarks of the whole system, each subject beside its baseline. Needs root.
    Bench(bench::Options),
    /// Count the instructions that a frame takes; fail if a step differs from the record by more than 5 %.
    Instructions(instructions::Options),
    /// Tests in virtual machines: other kernels, other devices, virtual time. Needs root and QEMU (`setup --vm`).
    VmTest(vm_test::Options),
    /// What continuous integration runs: formatting, clippy, rustdoc, fuzzing, tests.
    Ci,
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().task {
        Task::VmTest(options) => return vm_test::run(&options),
        Task::Setup(options) => setup::run_all(&options),
        Task::Ebpf => ebpf::run(),
        Task::Build => build::run(),
        Task::Test(options) => test::run(&options),
        Task::Demo(options) => demo::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Instructions(options) => instructions::run(&options),
        Task::Ci => ci::run(),
    }?;
    Ok(ExitCode::SUCCESS)
}
