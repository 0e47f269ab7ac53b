//! The benchmarks of the whole system: each subject beside its baseline, in turns, in the same minutes on the same cores.

mod arrival;
mod attachments;
mod bed;
mod cost;
mod dpdk;
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
mod subject;
mod table;

use std::{fs, io::stderr, path::PathBuf, process::Command, thread::available_parallelism};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;
use tsn_perf::process::{ProcessOptions, Stop};
use tsn_tests::backend::Backend;

use crate::dpdk::check_is_built;
use crate::step::{need_root, root, run as run_command};
use machine::Machine;
use session::{Effort, Session};
use subject::Subject;
use table::Table;

/// Between these lines of a page the tables of the last run stand.
const RESULTS: [&str; 2] = ["<!-- results -->", "<!-- end of results -->"];

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                             # everything, some eight minutes; best on a machine at rest
  cargo xtask bench --only forwarding           # one of them
  cargo xtask bench --only attachments          # pods that come and go for five minutes, and five without
  cargo xtask bench --backend dpdk              # the DPDK backend, some three minutes
  cargo xtask bench --quick --output json       # a minute: shows that all works, not how well
  cargo xtask bench --docs                      # also renews docs/benchmarks.md and its picture")]
pub struct Options {
    /// Measure tsnd over this: afxdp or dpdk; what is measured of DPDK stands beside AF_XDP.
    #[arg(long, default_value_t = Backend::Afxdp)]
    backend: Backend,
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
    check_is_built(options.backend)?;
    // A process of its own, so that nothing of it gets into our standard output.
    run_command(
        Command::new(std::env::current_exe()?)
            .arg("build")
            .stdout(stderr()),
    )?;
    let subjects = options.subjects()?;
    let stop = Stop::on_signals()?;
    let cores = available_parallelism()?.get();
    ensure!(
        cores > 1,
        "one core is not enough: worker and generator need one each"
    );
    let (hugepages, pages) = match options.backend {
        Backend::Afxdp => (None, None),
        Backend::Dpdk => {
            let (hugepages, pages) = dpdk::hugepages();
            (hugepages, Some(pages))
        }
    };
    let session = Session {
        worker_cpu: cores - 1,
        effort: if options.quick {
            Effort::QUICK
        } else {
            Effort::FULL
        },
        stop,
        hugepages: hugepages.is_some(),
    };
    let mut machine = Machine::here();
    let run = if options.quick {
        "quick: it shows that all works, not how well"
    } else {
        "whole"
    };
    machine.facts.push(("Run", run.to_owned()));
    machine
        .facts
        .extend(pages.map(|pages| ("Hugepages", pages)));
    // Everything but the worker stays off the worker's core: what we start inherits this.
    ProcessOptions {
        cpu: Some(0),
        realtime: None,
    }
    .apply()?;
    let mut tables = Vec::new();
    for subject in subjects {
        tables.extend(subject.measure(options.backend, &session)?);
    }
    check_complete(&tables)?;
    tell(options, &Results { machine, tables })
}

impl Options {
    /// Without `--only` the subjects of the backend that such a run has.
    fn subjects(&self) -> Result<Vec<Subject>> {
        let all = Subject::of(self.backend);
        if let Some(subject) = self.only.iter().find(|subject| !all.contains(subject)) {
            bail!("--only: {subject:?} is not measured over this backend; of it there are {all:?}");
        }
        let asked_for = |subject: &Subject| match self.only.as_slice() {
            [] => subject.is_of_run(self.backend, self.quick),
            only => only.contains(subject),
        };
        Ok(all.iter().copied().filter(asked_for).collect())
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
        let [page, picture_file] = page_of(options.backend);
        let page = root().join("docs").join(page);
        let text = fs::read_to_string(&page).with_context(|| format!("read {}", page.display()))?;
        let renewed = renew(&text, &render::markdown(machine, tables))
            .with_context(|| format!("{} has not the lines {RESULTS:?}", page.display()))?;
        write(&page, &renewed)?;
        write(&root().join("docs").join(picture_file), &picture)?;
    }
    match options.output {
        Output::Table => println!("{}", render::text(machine, tables)),
        Output::Json => println!("{json}"),
    }
    Ok(())
}

/// Where `--docs` puts the results: a page and its picture, in `docs/`.
const fn page_of(backend: Backend) -> [&'static str; 2] {
    match backend {
        Backend::Afxdp => ["benchmarks.md", "benchmarks.svg"],
        Backend::Dpdk => ["benchmarks-dpdk.md", "benchmarks-dpdk.svg"],
    }
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
    fn each_page_has_a_place_for_results_which_are_renewed_there() {
        for backend in Backend::ALL {
            let [page, picture] = page_of(backend);
            let page = fs::read_to_string(root().join("docs").join(page)).unwrap();
            let once = renew(&page, "one").unwrap();
            let twice = renew(&once, "two").unwrap();
            assert!(twice.contains("two") && !twice.contains("one\n\n<!--"));
            assert!(page.contains(picture));
        }
        assert_eq!(renew("nothing", "one"), None);
    }
}
