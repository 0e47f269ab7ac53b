//! Runs tests on kernels, several at a time, and sums up what became of them.

mod prepare;
mod report;
mod select;
mod slots;
mod unit;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

pub use report::{Report, Row};
pub use select::Selection;

use crate::{
    Kernel, Outcome, Program, Test, TimeMode,
    accelerator::{Accelerator, Choice},
    kernels::{self, Unpacked},
    programs::{self, Programs},
    qemu::Qemu,
};
use slots::Slots;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many threads the guests may take together; a test that takes more runs alone.
    pub jobs: usize,
    /// Whether to look for newer packages of the kernels.
    pub update: bool,
}

/// What all tests of a run have in common.
struct Context {
    qemu: Qemu,
    accelerator: Accelerator,
    init: Vec<u8>,
    programs: Programs,
    /// Those that could be provided, and why the others could not.
    kernels: BTreeMap<Kernel, Result<Unpacked, String>>,
}

/// Runs tests, each on a kernel, with the programs of their [`files`]. Whatever becomes of one, the others run.
///
/// # Errors
///
/// When nothing can be run: the guests' first process cannot be built, or another run has its files in the same place.
pub fn run(
    qemu: Qemu,
    units: &[(Kernel, Test)],
    programs: Programs,
    options: &Options,
) -> Result<Report> {
    let start = Instant::now();
    let _alone = be_alone()?;
    let mut source = kernels::Source::default();
    let mut kernels = BTreeMap::new();
    for (kernel, _) in units {
        kernels.entry(*kernel).or_insert_with(|| {
            let unpacked = source.provide(*kernel, options.update);
            match &unpacked {
                Ok(unpacked) => eprintln!("==> kernel {kernel}: {}", unpacked.about.release),
                Err(error) => eprintln!("==> kernel {kernel}: {error:#}"),
            }
            unpacked.map_err(|error| format!("{error:#}"))
        });
    }
    eprintln!("==> build the guests' first process");
    let mut context = Context {
        qemu,
        accelerator: Accelerator::Tcg,
        init: programs::build_init()?,
        programs,
        kernels,
    };
    let choice = Choice::make(|| context.try_kvm())?;
    eprintln!("==> {}; guests run by {choice}", context.qemu.version);
    context.accelerator = choice.accelerator;

    let slots = Slots::new(options.jobs);
    let rows: Vec<Row> = thread::scope(|scope| {
        // A thread takes its place before it is made, so that tests start in their order.
        let threads: Vec<_> = units
            .iter()
            .map(|(kernel, test)| {
                let taken = slots.take(weight(test));
                let context = &context;
                scope.spawn(move || {
                    let row = context.run_test(*kernel, test);
                    drop(taken);
                    row
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|row| row.expect("it does not panic")).collect()
    });
    Ok(Report {
        qemu: context.qemu.version.clone(),
        accelerator: choice.to_string(),
        kernels: context.releases(),
        rows,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Waits for nobody: a second run would remove the first one's files. The lock lasts as long as the file is open.
fn be_alone() -> Result<File> {
    let runs = crate::places::runs();
    fs::create_dir_all(&runs)?;
    let lock = File::create(runs.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!(
            "another run is at work in {}: wait for its end, or run in another checkout",
            runs.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).context("lock the runs' directory"),
    }
}

impl Context {
    fn releases(&self) -> BTreeMap<Kernel, String> {
        let kernels = self.kernels.iter();
        kernels
            .filter_map(|(kernel, unpacked)| {
                let unpacked = unpacked.as_ref().ok()?;
                Some((*kernel, unpacked.about.release.clone()))
            })
            .collect()
    }
}

/// All files of tests that they need.
pub fn files(units: &[(Kernel, Test)]) -> BTreeSet<crate::TestFile> {
    let mut files = BTreeSet::new();
    for (_, test) in units {
        let in_guests = test.guests.iter().flat_map(|guest| &guest.programs);
        let in_guests = in_guests.filter_map(|program| match program {
            Program::Tests(file) => Some(file),
            Program::Shell(_) => None,
        });
        for file in in_guests.chain(&test.host) {
            files.insert(crate::TestFile {
                arguments: Vec::new(),
                ..file.clone()
            });
        }
    }
    files
}

/// How many threads its guests keep busy.
fn weight(test: &Test) -> usize {
    let threads = |guest: &crate::Guest| match test.time {
        TimeMode::Wall => guest.cpus as usize,
        TimeMode::Work | TimeMode::Virtual => 1,
    };
    test.guests.iter().map(threads).sum()
}

/// Tells what became of a test, in one line.
fn announce(row: &Row) {
    let verdict = if row.as_expected { "ok" } else { "FAILED" };
    let expected = match row.outcome {
        Outcome::Passed => "",
        _ if row.as_expected && !row.outcome.is_good() => " (as expected)",
        _ => "",
    };
    eprintln!(
        "==> {}/{}: {verdict}, {:.0} s: {}{expected}",
        row.kernel, row.test, row.seconds, row.outcome
    );
}
