//! Tests in virtual machines; all but the command line is in `tsn-vm-tests`.

use std::{num::NonZero, process::ExitCode, thread};

use anyhow::Result;
use tsn_vm_tests::{
    Built, Kernel, Programs, Test,
    qemu::Qemu,
    report,
    runner::{self, Selection},
    suite,
};

use crate::{
    build, dpdk,
    step::{need_root, root, step},
    test_programs::TestProgram,
};

/// Nothing was run, since something is missing or was asked for wrongly; as clap ends then.
const UNUSABLE: u8 = 2;

/// Options of `cargo xtask vm-test`.
#[derive(clap::Args)]
pub struct Options {
    /// Only on this kernel, such as 6.12-rt; may be given several times.
    #[arg(long)]
    kernel: Vec<Kernel>,
    /// Only tests whose name begins with this; may be given several times.
    #[arg(long)]
    test: Vec<String>,
    /// Only a choice of them that takes minutes.
    #[arg(long)]
    quick: bool,
    /// Run nothing; tell what tests there are, what they show, and on what kernels they run (`*`: in the quick matrix).
    #[arg(long)]
    list: bool,
    /// How many threads the guests may take together; a test that takes more runs alone. Default: one for each core.
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// Fetch the kernels anew, in the versions of today.
    #[arg(long)]
    update: bool,
    /// Make the pages of docs/ that show figures of the guests, from what the runs left, this one included.
    #[arg(long)]
    write_docs: bool,
    /// The summary's form.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// The form of a summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A table.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// Builds the programs, unless `TSN_BIN_DIR` says where they are, and runs the tests.
///
/// # Errors
///
/// When the build fails. What fails in a guest is in the exit code: 1; without a usable QEMU it is 2.
pub fn run(options: &Options) -> Result<ExitCode> {
    let tests = suite::tests();
    let selection = Selection {
        kernels: options.kernel.clone(),
        tests: options.test.clone(),
        quick: options.quick,
    };
    let units = match selection.of(&tests) {
        Ok(units) => units,
        Err(error) => return Ok(unusable(&error)),
    };
    if options.list {
        list(&tests, &units);
        return Ok(ExitCode::SUCCESS);
    }
    let qemu = match Qemu::find() {
        Ok(qemu) => qemu,
        Err(error) => return Ok(unusable(&error.into())),
    };
    need_root("`cargo xtask vm-test`")?;
    let packages = if std::env::var_os("TSN_BIN_DIR").is_some() {
        // Little is built here, and of the packages of the tests no more than needed.
        ["tsn-tests", "tsn-vm-tests", "tsn-programs"]
            .into_iter()
            .flat_map(|name| ["--package", name])
            .collect()
    } else {
        build::run()?;
        dpdk::workspace()
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let options_of_run = runner::Options {
        jobs: options.jobs.map_or(cores, NonZero::get),
        update: options.update,
    };
    let programs = step("tests that run in guests", || {
        build_programs(&packages, &units)
    })?;
    let summary = runner::run(qemu, &units, programs, &options_of_run)?;
    match options.output {
        Output::Text => println!("{summary}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&summary)?),
    }
    if options.write_docs && !summary.is_good() {
        eprintln!("==> the pages of docs/ stay as they are, since tests failed");
    } else if options.write_docs {
        for page in report::write_docs()? {
            eprintln!("==> wrote {}", page.display());
        }
    }
    Ok(if summary.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds the files of tests that the guests run.
fn build_programs(packages: &[&str], units: &[(Kernel, Test)]) -> Result<Programs> {
    let files = runner::files(units);
    if files.is_empty() {
        return Ok(Programs::default());
    }
    let names = files.iter().flat_map(|file| ["--test", &file.file]);
    let built = TestProgram::build(packages.iter().copied().chain(names))?;
    let built = built.into_iter().map(|program| Built {
        directory: root().join(program.folder),
        name: program.name,
        program: program.executable,
    });
    Ok(built.collect())
}

fn unusable(error: &anyhow::Error) -> ExitCode {
    eprintln!("cargo xtask vm-test: {error:#}");
    ExitCode::from(UNUSABLE)
}

fn list(tests: &[Test], units: &[(Kernel, Test)]) {
    for test in tests {
        let kernels: Vec<_> = units
            .iter()
            .filter(|(_, unit)| unit.name == test.name)
            .map(|(kernel, _)| {
                let quick = if test.quick.contains(kernel) { "*" } else { "" };
                format!("{kernel}{quick}")
            })
            .collect();
        if !kernels.is_empty() {
            println!("{}: {}\n    {}", test.name, test.shows, kernels.join(" "));
        }
    }
}
