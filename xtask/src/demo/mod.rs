//! Two nodes, two pods on each, and the same traffic three times: by the kernel's own path, through `tsnd`, and through
//! a `tsnd` that is killed in the middle.

pub mod account;
mod json;
pub mod plan;
mod run;
pub mod spin;

use std::{fs, io::stderr, path::PathBuf, process::Command, thread::available_parallelism};

use anyhow::{Context, Result};
use clap::ValueEnum;
use tsn_perf::{
    distribution::Distribution,
    process::{ProcessOptions, Stop},
    report::{self, Report},
};
use tsn_tests::backend::Backend;

use crate::dpdk;
use crate::step::{need_root, run as run_command, step};
use run::{Conditions, Kind};

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Options {
    /// How long each of the three runs sends.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=30))]
    seconds: u64,
    /// The daemon's backend: afxdp or dpdk.
    #[arg(long, default_value_t = Backend::Afxdp)]
    backend: Backend,
    /// A table, or a JSON array with one object per run and stream and nothing else.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Where the report goes. Beside it, under the same name: its figures (.svg), its table (.csv), and its data
    /// (.json), which `tsn-perf report` draws again.
    #[arg(long, value_name = "FILE", default_value = "demo-report.html", value_parser = html_file)]
    report: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// Sets up, builds, runs, reports. What it makes on the machine it removes, also when it is interrupted.
///
/// # Errors
///
/// When the caller is not root, or a step fails.
pub fn run(options: &Options) -> Result<()> {
    need_root("`cargo xtask demo`")?;
    dpdk::check_is_built(options.backend)?;
    // A process of its own, so that nothing of it gets into our standard output.
    run_command(
        Command::new(std::env::current_exe()?)
            .arg("build")
            .stdout(stderr()),
    )?;
    let stop = Stop::on_signals()?;
    // Everything but the worker stays off the worker's core: what we start inherits this.
    let cpu = available_parallelism()?.get() - 1;
    ProcessOptions {
        cpu: Some(0),
        realtime: None,
    }
    .apply()?;

    let spin = step("bare spin loop", || {
        spin::measure(&ProcessOptions {
            cpu: Some(cpu),
            realtime: Some(plan::WORKER_PRIORITY),
        })
    })?;
    let conditions = Conditions {
        backend: options.backend,
        seconds: options.seconds,
        cpu,
        tolerance_ns: tolerance_ns(&spin),
        stop,
    };
    let one_run = |kind: Kind| step(&format!("run {}", kind.name()), || kind.run(&conditions));
    let runs = Kind::ALL
        .into_iter()
        .map(one_run)
        .collect::<Result<Vec<_>>>()?;

    let report = Report {
        title: "tsnd: the same traffic three times".to_owned(),
        cycle_ns: plan::CYCLE_NS,
        base_time_ns: 0,
        gates: plan::gates(),
        runs,
        notes: notes(&spin, conditions.tolerance_ns),
    };
    let files = [
        ("html", report::html(&report)),
        ("svg", report::svg(&report)),
        ("csv", report::figures_csv(&report)?),
        ("json", serde_json::to_string(&report)?),
    ];
    for (extension, text) in files {
        let file = options.report.with_extension(extension);
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    }
    match options.output {
        Output::Table => println!("{}", report::table(&report)),
        Output::Json => println!("{}", json::rows(&report.runs)?),
    }
    eprintln!(
        "report: {}",
        options
            .report
            .with_extension("{html,svg,csv,json}")
            .display()
    );
    Ok(())
}

fn html_file(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    match path.extension() {
        Some(extension) if extension == "html" => Ok(path),
        _ => Err("the report is a page; give a name that ends in .html".to_owned()),
    }
}

/// What the wire adds to a frame's way, on either side of a gate's edge: the bare loop's median.
fn tolerance_ns(spin: &Distribution) -> u64 {
    u64::try_from(spin.p50).unwrap_or(0)
}

fn notes(spin: &Distribution, tolerance_ns: u64) -> Vec<String> {
    let us = |ns: i64| format!("{:+.1}", ns as f64 / 1e3);
    vec![
        format!(
            "The bare spin loop, in the same minutes on the worker's core and with its priority, without other traffic: arrival less target \
             in µs: min {}, median {}, p90 {}, p99 {}, p99.9 {}, max {}.",
            us(spin.min),
            us(spin.p50),
            us(spin.p90),
            us(spin.p99),
            us(spin.p999),
            us(spin.max)
        ),
        format!(
            "Arrival is the kernel's receive timestamp at the far end of the wire. A frame is outside its gate if it \
             arrives more than {:.1} µs (the bare loop's median) before the gate opens or after it closes.",
            tolerance_ns as f64 / 1e3
        ),
        format!(
            "On time: at most {} µs from the launch time; for the flood: inside its gate.",
            account::ON_TIME_NS / 1_000
        ),
        "Stalled: the machine took the worker's core away while the frame was due. Such frames are counted and drawn \
         apart, and are in no other column but sent and received."
            .to_owned(),
    ]
}
