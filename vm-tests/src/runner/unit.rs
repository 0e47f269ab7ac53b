//! One test on one kernel.

use std::{
    fs,
    io::ErrorKind,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result};

use super::{Context, Row, announce};
use crate::{
    Kernel, Machine, Outcome, Test, TestFile, companion, console,
    guest::{FIGURES_FILE, recorded_lacks},
    machine, outcome, places,
};

impl Context {
    /// Runs it as often as it wants, and tells what became of it.
    pub fn run_test(&self, kernel: Kernel, test: &Test) -> Row {
        let start = Instant::now();
        let directory = places::runs().join(kernel.name()).join(&test.name);
        let outcome = self.outcome(kernel, test, &directory);
        // What is wrong with the runner itself must not keep the other tests from running.
        let outcome = outcome.unwrap_or_else(|error| Outcome::Refused {
            reason: format!("{error:#}"),
        });
        let row = Row {
            kernel,
            test: test.name.clone(),
            as_expected: test.expected.is_met_by(&outcome),
            outcome,
            seconds: start.elapsed().as_secs_f64(),
            directory: directory.display().to_string(),
        };
        announce(&row);
        row
    }

    fn outcome(&self, kernel: Kernel, test: &Test, directory: &Path) -> Result<Outcome> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}", directory.display()));
            }
            _ => {}
        }
        let first = self.run_once(kernel, test, directory)?;
        for run in 2..=test.runs {
            if !first.is_good() {
                break;
            }
            let again = directory.join(format!("run-{run}"));
            let outcome = self.run_once(kernel, test, &again)?;
            if !outcome.is_good() {
                return Ok(outcome);
            }
            let files = [directory, again.as_path()].map(|run| run.join(FIGURES_FILE));
            let [one, other] = files.each_ref().map(|file| fs::read(file).ok());
            if one != other {
                let files = files.map(|file| file.display().to_string()).to_vec();
                return Ok(Outcome::Differs { files });
            }
        }
        Ok(first)
    }

    fn run_once(&self, kernel: Kernel, test: &Test, directory: &Path) -> Result<Outcome> {
        fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        let machines = (0..test.guests.len())
            .map(|number| self.machine(kernel, test, number, directory))
            .collect::<Result<Vec<_>>>()?;
        let outcome = match &test.host {
            Some(file) => self.run_host(kernel, test, file, &machines[0])?,
            None => boot_all(&machines)?,
        };
        if !outcome.is_good() {
            return Ok(outcome);
        }
        for machine in &machines {
            // Large, and of use only to boot a failed one again.
            fs::remove_file(&machine.initramfs).context("remove the initramfs")?;
        }
        let what = recorded_lacks(directory);
        if what.is_empty() {
            return Ok(outcome);
        }
        Ok(Outcome::Lacks { what })
    }

    /// Runs a test on the host that boots the machine.
    fn run_host(
        &self,
        kernel: Kernel,
        test: &Test,
        file: &TestFile,
        machine: &Machine,
    ) -> Result<Outcome> {
        let description = machine.output.join("machine.json");
        fs::write(&description, serde_json::to_vec_pretty(machine)?)?;
        let built = self.programs.get(file)?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&built.program)
            .args(["--test-threads", "1", "--nocapture"])
            .args(&file.arguments)
            .current_dir(&built.directory)
            .env(companion::MACHINE_VARIABLE, &description)
            .env(crate::guest::OUTPUT_VARIABLE, &machine.output)
            .env(tsn_tests::evidence::VARIABLE, &machine.output)
            .env(crate::guest::KERNEL_VARIABLE, kernel.name())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start the test on the host by setpriv")?;
        let output = child.stdout.take().context("its output")?;
        let errors = child.stderr.take().context("its errors")?;
        let prefix = format!("{} host", machine.name);
        let log = machine.output.join("host.log");
        let errors_log = machine.output.join("host-errors.log");
        thread::scope(|scope| {
            let output = scope.spawn(|| console::follow(output, &prefix, &log));
            let errors = scope.spawn(|| console::follow(errors, &prefix, &errors_log));
            let ended = machine::wait_or_kill(&mut child, test.limit);
            let output = output.join().expect("it does not panic")?;
            errors.join().expect("it does not panic")?;
            Ok(outcome::of_program(&output, ended?, test.limit))
        })
    }
}

/// Boots machines together. The first that failed tells what became of the test.
fn boot_all(machines: &[Machine]) -> Result<Outcome> {
    let outcomes: Vec<Result<Outcome>> = thread::scope(|scope| {
        let threads: Vec<_> = machines
            .iter()
            .map(|machine| scope.spawn(|| machine.boot()))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|outcome| outcome.expect("it does not panic"))
            .collect()
    });
    for outcome in outcomes {
        let outcome = outcome?;
        if !outcome.is_good() {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Passed)
}
