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
    /// Draw a report's data as one HTML page, and print its table
    Report {
        /// The data: JSON with the fields of `tsn_perf::report::Report`
        data: PathBuf,
        /// Where to write the page
        #[arg(long, value_name = "FILE")]
        html: PathBuf,
    },
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
        Command::Report { data, html } => {
            let text =
                std::fs::read(&data).with_context(|| format!("cannot read {}", data.display()))?;
            let report: Report = serde_json::from_slice(&text)
                .with_context(|| format!("{} is not a report's data", data.display()))?;
            std::fs::write(&html, report::html(&report))
                .with_context(|| format!("cannot write {}", html.display()))?;
            print_all(&report::table(&report))
        }
    }
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
