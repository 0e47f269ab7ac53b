//! `tsnctl check`: looks a configuration file over before the daemon gets it.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tsn_userspace::check::{DaemonFigures, Environment, check, write_text};
use tsn_userspace::clock::tai_now;
use tsn_userspace::config::Interval;
use tsn_userspace::control::api::Status;

use crate::Context;

/// Exit status of a file with warnings, but without errors; 2 is wrong usage.
const WARNINGS: u8 = 3;

/// Options of `tsnctl check`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The configuration file (YAML).
    file: PathBuf,
    /// The longest payload of a frame in bytes, for classes without a shorter queue-max-sdu.
    #[arg(long, default_value = "1500", value_name = "BYTES")]
    mtu: u32,
    /// The time from the worker's decision to the frame on the wire, such as 5us; else the running daemon's.
    #[arg(long, value_name = "DURATION")]
    lead: Option<Interval>,
    /// How wrong the clock may be; else 1us, as of a good PTP source.
    #[arg(long, value_name = "DURATION")]
    clock_error: Option<Interval>,
    /// The link's speed in Mb/s for a file that does not give it; else the running daemon's.
    #[arg(long, value_name = "MBPS", value_parser = clap::value_parser!(u32).range(1..))]
    link_speed: Option<u32>,
}

/// Checks the file and shows what was found.
pub async fn run(options: Options, context: &Context) -> Result<ExitCode> {
    let file = options.file.display().to_string();
    let source = std::fs::read_to_string(&options.file)
        .with_context(|| format!("{file}: cannot be read"))?;
    let daemon = match context.get::<Status>("/v1/status").await {
        Ok(status) => Ok(DaemonFigures::from(status)),
        Err(error) => Err(why_silent(&error, context)),
    };
    let report = check(
        &source,
        &Environment {
            now: tai_now(),
            mtu_bytes: options.mtu,
            link_speed_mbps: options.link_speed,
            lead_ns: options.lead.map(|lead| lead.ns),
            clock_error_ns: options.clock_error.map(|error| error.ns),
            daemon,
        },
    );
    context.print(&report, |report| {
        let mut text = String::new();
        write_text(&mut text, report, &file, &source).map(|()| text)
    })?;
    Ok(match (report.errors, report.warnings) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(WARNINGS),
        _ => ExitCode::FAILURE,
    })
}

/// Why nothing is known of the daemon, in few words where there is none.
fn why_silent(error: &anyhow::Error, context: &Context) -> String {
    match error.downcast_ref().map(io::Error::kind) {
        Some(ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            format!("no tsnd listens on {}", context.control.display())
        }
        _ => format!("{error:#}"),
    }
}
