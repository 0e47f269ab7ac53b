//! `tsnctl plan`: the picture of a gate control list, or of a change from one to another.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::ColorChoice;
use tsn_core::TaiTime;
use tsn_programs::Ethtool;
use tsn_userspace::clock::tai_now;
use tsn_userspace::config::{Configuration, Interval};
use tsn_userspace::control::api::Status;
use tsn_userspace::plan::{Assumptions, Command, Plan, svg, take_running_base_time, terminal};

use crate::Context;
use crate::apply::instant_ns;

/// What is taken for the lead where nothing tells it.
const USUAL_LEAD: Interval = Interval::from_us(5);
/// What is taken for the speed of a link where nothing tells it.
const USUAL_LINK_SPEED_MBPS: u32 = 1_000;
/// The width of text that goes to no terminal.
const USUAL_WIDTH: usize = 100;

const USAGE: &str = "tsnctl plan [OPTIONS] FILE
       tsnctl plan [OPTIONS] --change OLD NEW [--at INSTANT]";
const EXAMPLES: &str = "\
Examples:
  tsnctl plan tsnd.yaml                                     one cycle, as text
  tsnctl plan tsnd.yaml --cycles 3 --svg plan.svg           three, and a picture for a document
  tsnctl plan --change tsnd.yaml new.yaml --at +2s          what `tsnctl apply new.yaml --at +2s` would do now
  tsnctl plan tsnd.yaml --output json                       all windows and figures, for a program";

/// Options of `tsnctl plan`.
#[derive(Debug, clap::Args)]
#[command(override_usage = USAGE, after_long_help = EXAMPLES)]
pub struct Options {
    /// The configuration file (YAML).
    #[arg(required_unless_present = "change", conflicts_with = "change")]
    file: Option<PathBuf>,
    /// Draws the cycles around a change from the gates of one file to those of another.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    change: Option<Vec<PathBuf>>,
    /// When the new list starts, instead of its admin-base-time: `+2s` from now, or TAI nanoseconds.
    #[arg(long, value_parser = instant_ns, conflicts_with = "file")]
    at: Option<u64>,
    /// Also writes the picture to this file, for a document or a browser.
    #[arg(long, value_name = "OUT.svg")]
    svg: Option<PathBuf>,
    /// How many cycles are drawn, on either side of a change [default: 1, of a change 2].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16))]
    cycles: Option<u32>,
    /// The width of the text in columns, 40 or more [default: that of the terminal, or 100].
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
    /// The longest service data unit of a class without queue-max-sdu, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1_500, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    mtu: u32,
    /// How much earlier the worker acts, and so how long after its opening a gate is used at the soonest [default: what
    /// the running daemon measured, or 5us].
    #[arg(long)]
    lead: Option<Interval>,
    /// Colours in the text.
    #[arg(long, value_enum, default_value = "auto")]
    color: ColorChoice,
}

/// Draws the file, or the change.
pub async fn run(options: Options, context: &Context) -> Result<()> {
    let files = match &options.change {
        Some(files) => files.as_slice(),
        None => options.file.as_slice(),
    };
    let mut configurations = files
        .iter()
        .map(|file| Configuration::from_file(file))
        .collect::<Result<Vec<_>, _>>()?;
    let place = || {
        files
            .iter()
            .map(|file| file.display().to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let plan = match configurations.as_mut_slice() {
        [old, new] => {
            let daemon = daemon(new, context).await;
            let (assumptions, mut notes) = assumptions(&options, new, daemon.as_ref());
            notes.extend(
                daemon.and_then(|daemon| take_running_base_time(old, &daemon.gates.parameters)),
            );
            let command = Command {
                now: tai_now(),
                at: options.at.map(TaiTime::from_nanos),
            };
            let cycles = options.cycles.unwrap_or(2);
            let plan = Plan::of_change(old, new, command, cycles, &assumptions);
            with_notes(plan.with_context(place)?, notes)
        }
        configurations => {
            let configuration = configurations.first().context("no file is given")?;
            let daemon = daemon(configuration, context).await;
            let (assumptions, notes) = assumptions(&options, configuration, daemon.as_ref());
            let cycles = options.cycles.unwrap_or(1);
            let plan = Plan::of(configuration, cycles, tai_now(), &assumptions);
            with_notes(plan.with_context(place)?, notes)
        }
    };
    if let Some(file) = &options.svg {
        std::fs::write(file, svg::render(&plan))
            .with_context(|| format!("{}: cannot be written", file.display()))?;
    }
    let to_terminal = std::io::stdout().is_terminal();
    let terminal_width = || {
        ratatui::crossterm::terminal::size()
            .ok()
            .map(|(width, _)| usize::from(width))
    };
    let width = options
        .width
        .or_else(|| to_terminal.then(terminal_width)?)
        .unwrap_or(USUAL_WIDTH);
    let colour = match options.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            std::io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
        }
    };
    context.print_as_it_is(&plan, |plan| Ok(terminal::render(plan, width, colour)))
}

fn device(configuration: &Configuration) -> &str {
    let uplink = configuration.uplinks.first();
    uplink.map_or("", |uplink| &uplink.device)
}

/// What the daemon that serves the file's uplink says, if one answers.
async fn daemon(configuration: &Configuration, context: &Context) -> Option<Status> {
    let status = context.get::<Status>("/v1/status").await.ok()?;
    (status.uplink.device == device(configuration)).then_some(status)
}

/// What the file does not tell: from the daemon or the device, or as usual.
fn assumptions(
    options: &Options,
    configuration: &Configuration,
    daemon: Option<&Status>,
) -> (Assumptions, Vec<String>) {
    let (lead, notes) = match (options.lead, daemon) {
        (Some(lead), _) => (lead, Vec::new()),
        (None, Some(status)) => (Interval::from_ns(status.uplink.lead_ns), Vec::new()),
        (None, None) => (
            USUAL_LEAD,
            vec![
                "the lead is assumed; give what `tsnctl status` shows on the node with --lead"
                    .to_owned(),
            ],
        ),
    };
    let speed = daemon.map(|status| status.uplink.link_speed);
    let speed = speed.or_else(|| Ethtool::read(device(configuration)).speed_mbps);
    let assumptions = Assumptions {
        link_speed_mbps: speed.unwrap_or(USUAL_LINK_SPEED_MBPS),
        mtu_bytes: options.mtu,
        lead: lead.into(),
    };
    (assumptions, notes)
}

fn with_notes(mut plan: Plan, notes: Vec<String>) -> Plan {
    plan.notes.extend(notes);
    plan
}
