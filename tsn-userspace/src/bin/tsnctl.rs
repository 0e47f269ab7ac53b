//! The command line of the node daemon.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tsn_userspace::clock::tai_now;
use tsn_userspace::config::{Configuration, Interval};
use tsn_userspace::control::api::{Applied, PodStatus, Status};
use tsn_userspace::control::client::request;

/// Speaks to tsnd: applies a configuration while traffic runs, and shows what the daemon does.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The daemon's control socket.
    #[arg(long, global = true, default_value = "/run/tsnd/control.sock")]
    control: PathBuf,
    /// Text for people, JSON for machines.
    #[arg(long, global = true, value_enum, default_value = "text")]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Applies the gates and pods of a configuration file to the running daemon.
    ///
    /// The file is checked as a whole before any of it takes effect. A running gate control list stays in force until
    /// the new one's start. Pods that the file does not name stay.
    Apply {
        /// The configuration file (YAML).
        file: PathBuf,
        /// When the new list starts, instead of its admin-base-time: `+2s` from now, or TAI nanoseconds.
        #[arg(long, value_parser = instant_ns)]
        at: Option<u64>,
    },
    /// Shows clock, uplink, gates and classes.
    Status,
    /// Shows the pods and their streams.
    Pods,
}

fn instant_ns(text: &str) -> Result<u64, String> {
    match text.strip_prefix('+') {
        Some(duration) => {
            let ahead: Interval = duration.parse()?;
            tai_now()
                .as_nanos()
                .checked_add(ahead.ns)
                .ok_or_else(|| format!("`{text}` is too far ahead"))
        }
        None => text.parse().map_err(|_| {
            format!("`{text}` is no instant; write `+2s` from now, or TAI nanoseconds")
        }),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Arguments {
        control,
        output,
        command,
    } = Arguments::parse();
    match command {
        Command::Apply { file, at } => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("{}: cannot be read", file.display()))?;
            let configuration =
                Configuration::from_yaml(&text).with_context(|| file.display().to_string())?;
            let path = match at {
                Some(at) => format!("/v1/configuration?at-ns={at}"),
                None => "/v1/configuration".to_owned(),
            };
            let body = serde_json::to_vec(&configuration)?;
            let applied: Applied = request(&control, Method::PUT, &path, body).await?;
            print(output, &applied, applied_text)
        }
        Command::Status => get(&control, "/v1/status", output, status_text).await,
        Command::Pods => {
            get(&control, "/v1/pods", output, |pods: &Vec<PodStatus>| {
                pods_text(pods)
            })
            .await
        }
    }
}

async fn get<T: DeserializeOwned + Serialize>(
    control: &std::path::Path,
    path: &str,
    output: Output,
    text: impl Fn(&T) -> Result<String, std::fmt::Error>,
) -> Result<()> {
    let answer: T = request(control, Method::GET, path, Vec::new()).await?;
    print(output, &answer, text)
}

fn print<T: Serialize>(
    output: Output,
    answer: &T,
    text: impl Fn(&T) -> Result<String, std::fmt::Error>,
) -> Result<()> {
    use std::io::Write as _;
    let text = match output {
        Output::Text => text(answer)?,
        Output::Json => serde_json::to_string_pretty(answer)? + "\n",
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // The reader, such as `head`, has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => bail!("standard output: {error}"),
        Ok(()) => Ok(()),
    }
}

fn applied_text(applied: &Applied) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    match applied.config_change_time_ns {
        Some(at) => {
            let ahead_ns = at.saturating_sub(tai_now().as_nanos());
            writeln!(
                text,
                "gates     start at {at} ns TAI, in {:.3} s",
                ahead_ns as f64 / 1e9
            )?;
        }
        None => writeln!(text, "gates     unchanged")?,
    }
    for (what, pods) in [
        ("added", &applied.pods_added),
        ("changed", &applied.pods_changed),
        ("waiting", &applied.pods_waiting),
        ("kept", &applied.pods_kept),
    ] {
        if !pods.is_empty() {
            writeln!(text, "{what:<9} {}", pods.join(", "))?;
        }
    }
    Ok(text)
}

fn status_text(status: &Status) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let (clock, uplink, gates) = (&status.clock, &status.uplink, &status.gates);
    writeln!(
        text,
        "tsnd      {} on {}, {} pods",
        status.version, status.backend, status.pods
    )?;
    writeln!(
        text,
        "clock     {:?}, TAI-UTC {} s, error at most {} us",
        clock.state, clock.tai_utc_offset_s, clock.max_error_us
    )?;
    writeln!(
        text,
        "uplink    {} {}, {} Mb/s, lead {} ns over {} wake-ups",
        uplink.device,
        if uplink.up { "up" } else { "down" },
        uplink.link_speed,
        uplink.lead_ns,
        uplink.lead_observations
    )?;
    let gate = |class: u8| {
        if gates.oper_gate_states & 1 << class != 0 {
            'o'
        } else {
            'C'
        }
    };
    writeln!(
        text,
        "gates     {} (classes 7 to 0, o open, C closed){}, {} change errors",
        (0..8).rev().map(gate).collect::<String>(),
        if gates.config_pending {
            ", a change is pending"
        } else {
            ""
        },
        gates.config_change_error
    )?;
    writeln!(
        text,
        "stalls    {}, {:.3} ms in all, longest {:.3} ms, {} frames touched",
        status.stalls.count,
        status.stalls.total_ns as f64 / 1e6,
        status.stalls.longest_ns as f64 / 1e6,
        status.stalls.frames
    )?;
    writeln!(
        text,
        "\nclass            received       sent       late     queued    overrun  dropped"
    )?;
    for class in &status.classes {
        let name = class.name.as_deref().unwrap_or("");
        write!(
            text,
            "{} {name:<12} {:>10} {:>10} {:>10} {:>10} {:>10}  ",
            class.number,
            class.received,
            class.sent,
            class.sent_late,
            class.queued,
            class.transmission_overruns
        )?;
        write_drops(&mut text, &class.drops)?;
    }
    write!(text, "uplink drops: ")?;
    write_drops(&mut text, &uplink.drops)?;
    Ok(text)
}

fn write_drops(
    text: &mut String,
    drops: &std::collections::BTreeMap<String, u64>,
) -> Result<(), std::fmt::Error> {
    let named: Vec<String> = drops
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(cause, n)| format!("{n} {cause}"))
        .collect();
    writeln!(
        text,
        "{}",
        if named.is_empty() {
            "none".to_owned()
        } else {
            named.join(", ")
        }
    )
}

fn pods_text(pods: &[PodStatus]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for status in pods {
        let state = match &status.waits_for {
            None => "attached".to_owned(),
            Some(reason) => format!("not attached: {reason}"),
        };
        writeln!(
            text,
            "{} ({} in {}): {state}",
            status.pod.name,
            status.pod.interface,
            status.pod.netns.display()
        )?;
        write!(
            text,
            "  received {}, waiting {}, dropped: ",
            status.received, status.waiting
        )?;
        write_drops(&mut text, &status.drops)?;
        write!(text, "  kernel: ")?;
        write_drops(&mut text, &status.kernel)?;
        for (stream, selection) in status.streams.iter().zip(&status.pod.streams) {
            let errors = &stream.launch_errors;
            let mean_ns = errors
                .sum_ns
                .checked_div(errors.count() as i64)
                .unwrap_or_default();
            writeln!(
                text,
                "  {:<16} class {:<8} received {}, sent {}, late {}, stalled {}, refused {}, dropped {}, mean error {mean_ns} ns",
                stream.name,
                selection.traffic_class.to_string(),
                stream.received,
                stream.sent,
                stream.sent_late,
                stream.stalled,
                stream.refused,
                stream.dropped
            )?;
        }
    }
    if pods.is_empty() {
        writeln!(
            text,
            "no pods; add them to the configuration, or POST /v1/pods"
        )?;
    }
    Ok(text)
}
