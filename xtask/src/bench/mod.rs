//! The benchmarks of the whole system: each subject beside its baseline, in turns, in the same minutes on the same cores.

mod arrival;
mod bed;
mod cost;
mod figures;
mod forwarding;
mod growth;
mod idle;
mod latency;
mod machine;
mod picture;
mod precision;
mod render;
mod search;
mod session;
mod table;

use std::{fs, io::stderr, path::PathBuf, process::Command, thread::available_parallelism};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;
use tsn_perf::process::{ProcessOptions, Stop};

use crate::step::{need_root, root, run as run_command, step};
use machine::Machine;
use session::{Effort, Session};
use table::Table;

/// Between these lines of `docs/benchmarks.md` the tables of the last run stand.
const RESULTS: [&str; 2] = ["<!-- results -->", "<!-- end of results -->"];

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                             # everything, some eight minutes; best on a machine at rest
  cargo xtask bench --only forwarding           # one of them
  cargo xtask bench --quick --output json       # a minute: shows that all works, not how well
  cargo xtask bench --docs                      # also renews docs/benchmarks.md and its picture")]
pub struct Options {
    /// Measure only this; may be repeated.
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Subject>,
    /// A minute instead of eight: short turns, few repetitions, and no cost unless it is asked for.
    #[arg(long)]
    quick: bool,
    /// Tables, or one JSON object with the machine and all tables, and nothing else.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Write a page with picture and tables.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the JSON object.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put tables and picture into docs/.
    #[arg(long)]
    docs: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Launch precision of the worker alone, with pods and queued frames.
    Precision,
    /// Arrival by launch time, from an application in a pod.
    Arrival,
    /// Forwarding rate.
    Forwarding,
    /// One-way latency.
    Latency,
    /// An idle daemon.
    Idle,
    /// What a frame costs in each step, and how that grows.
    Cost,
}

/// All that a run found.
#[derive(Serialize)]
struct Results {
    machine: Machine,
    tables: Vec<Table>,
}

/// Builds, measures, tells.
///
/// # Errors
///
/// When the caller is not root, or a step fails.
pub fn run(options: &Options) -> Result<()> {
    need_root("`cargo xtask bench`")?;
    // A process of its own, so that nothing of it gets into our standard output.
    run_command(
        Command::new(std::env::current_exe()?)
            .arg("build")
            .stdout(stderr()),
    )?;
    let stop = Stop::on_signals()?;
    let cores = available_parallelism()?.get();
    ensure!(
        cores > 1,
        "one core is not enough: worker and generator need one each"
    );
    let session = Session {
        worker_cpu: cores - 1,
        effort: if options.quick {
            Effort::QUICK
        } else {
            Effort::FULL
        },
        stop,
    };
    let mut machine = Machine::here();
    let run = if options.quick {
        "quick: it shows that all works, not how well"
    } else {
        "whole"
    };
    machine.facts.push(("Run", run.to_owned()));
    // Everything but the worker stays off the worker's core: what we start inherits this.
    ProcessOptions {
        cpu: Some(0),
        realtime: None,
    }
    .apply()?;
    let mut tables = Vec::new();
    for subject in Subject::value_variants() {
        if options.asks_for(*subject) {
            tables.extend(subject.measure(&session)?);
        }
    }
    check_complete(&tables)?;
    tell(options, &Results { machine, tables })
}

impl Options {
    /// Without `--only` all subjects; a quick run leaves out what cannot be quick.
    fn asks_for(&self, subject: Subject) -> bool {
        match self.only.as_slice() {
            [] => !self.quick || subject != Subject::Cost,
            only => only.contains(&subject),
        }
    }
}

/// A run that finds nothing of a subject has failed, whatever the figures are.
fn check_complete(tables: &[Table]) -> Result<()> {
    for Table {
        id, columns, rows, ..
    } in tables
    {
        ensure!(!rows.is_empty(), "table {id} has no rows");
        for row in rows {
            let subject = &row.subject;
            ensure!(
                row.figures.len() == columns.len() && row.figures.iter().any(Option::is_some),
                "table {id}: nothing was found of {subject}: was it kept from running?"
            );
        }
    }
    Ok(())
}

impl Subject {
    fn measure(self, session: &Session) -> Result<Vec<Table>> {
        match self {
            Self::Precision => {
                let found = step("launch precision", || precision::measure(session))?;
                Ok(vec![
                    precision::table(&found, session),
                    growth::table(&found),
                ])
            }
            Self::Arrival => step("arrival", || arrival::run(session)),
            Self::Forwarding => step("forwarding", || forwarding::run(session)),
            Self::Latency => step("latency", || latency::run(session)),
            Self::Idle => step("idle", || idle::run(session)),
            Self::Cost => step("cost", cost::run),
        }
    }
}

fn tell(options: &Options, results: &Results) -> Result<()> {
    let Results { machine, tables } = results;
    let json = serde_json::to_string_pretty(results)?;
    if let Some(file) = &options.json {
        write(file, &json)?;
    }
    let picture = picture::svg(tables);
    if let Some(file) = &options.report {
        write(file, &render::html(machine, tables, &picture))?;
    }
    if options.docs {
        let page = root().join("docs/benchmarks.md");
        let text = fs::read_to_string(&page).with_context(|| format!("read {}", page.display()))?;
        let renewed = renew(&text, &render::markdown(machine, tables))
            .with_context(|| format!("{} has not the lines {RESULTS:?}", page.display()))?;
        write(&page, &renewed)?;
        write(&root().join("docs/benchmarks.svg"), &picture)?;
    }
    match options.output {
        Output::Table => println!("{}", render::text(machine, tables)),
        Output::Json => println!("{json}"),
    }
    Ok(())
}

/// The page with these results in place of the old ones; `None` if it has no place for them.
fn renew(page: &str, results: &str) -> Option<String> {
    let [begin, end] = RESULTS;
    let (before, rest) = page.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n\n{results}\n{end}{after}"))
}

fn write(file: &PathBuf, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
    eprintln!("written: {}", file.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_results_which_are_renewed_there() {
        let page = fs::read_to_string(root().join("docs/benchmarks.md")).unwrap();
        let once = renew(&page, "one").unwrap();
        let twice = renew(&once, "two").unwrap();
        assert!(twice.contains("two") && !twice.contains("one\n\n<!--"));
        assert_eq!(renew("nothing", "one"), None);
    }
}
