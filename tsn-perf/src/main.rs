//! The command line of the talker, the listener and the report.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use tsn_perf::listen::{self, ListenOptions};
use tsn_perf::process::Stop;
use tsn_perf::report::{self, Report};
use tsn_perf::talk::{self, TalkOptions};

/// Sends and receives time-critical frames as any application would, and says how well they kept their time.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Talk {
        #[command(flatten)]
        options: Box<TalkOptions>,
        #[command(flatten)]
        output: Output,
    },
    Listen {
        #[command(flatten)]
        options: Box<ListenOptions>,
        #[command(flatten)]
        output: Output,
    },
    Report(ReportOptions),
}

/// Print a report's table, and draw it
///
/// The data are what `cargo xtask demo` leaves beside its report, or what your own tool writes.
///
///     tsn-perf report demo-report.json --html page.html --svg figures.svg --frames-csv frames.csv
#[derive(Args)]
#[command(verbatim_doc_comment)]
struct ReportOptions {
    /// The data: JSON with the fields of `tsn_perf::report::Report`
    data: PathBuf,
    /// Write one self-contained page: figures, tables and notes, light or dark as the reader's system is
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the figures as one SVG document
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the table of figures as CSV: a line for each stream of each run
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the frames as CSV: a line for each
    #[arg(long, value_name = "FILE")]
    frames_csv: Option<PathBuf>,
}

#[derive(Args)]
struct Output {
    /// How to print the summary
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, help_heading = "Output")]
    output: OutputFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum OutputFormat {
    /// A table
    Human,
    /// One JSON object
    Json,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tsn-perf: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Talk { options, output } => {
            output.print(&talk::run(&options, &Stop::on_signals()?)?)
        }
        Command::Listen { options, output } => {
            output.print(&listen::run(&options, &Stop::on_signals()?)?)
        }
        Command::Report(options) => options.run(),
    }
}

impl ReportOptions {
    fn run(&self) -> anyhow::Result<()> {
        let data = self.data.display();
        let text = std::fs::read(&self.data).with_context(|| format!("cannot read {data}"))?;
        let report: Report = serde_json::from_slice(&text)
            .with_context(|| format!("{data} is not a report's data"))?;
        write(&self.html, || Ok(report::html(&report)))?;
        write(&self.svg, || Ok(report::svg(&report)))?;
        write(&self.csv, || Ok(report::figures_csv(&report)?))?;
        write(&self.frames_csv, || Ok(report::frames_csv(&report)?))?;
        print_all(&report::table(&report))
    }
}

fn write(
    file: &Option<PathBuf>,
    text: impl FnOnce() -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let Some(file) = file else {
        return Ok(());
    };
    std::fs::write(file, text()?).with_context(|| format!("cannot write {}", file.display()))
}

impl Output {
    fn print(&self, summary: &(impl Serialize + Display)) -> anyhow::Result<()> {
        match self.output {
            OutputFormat::Human => print_all(&summary.to_string()),
            OutputFormat::Json => print_all(&(serde_json::to_string_pretty(summary)? + "\n")),
        }
    }
}

fn print_all(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to stdout")
}
