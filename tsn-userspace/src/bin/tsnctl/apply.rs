//! `tsnctl apply`: a configuration file into the running daemon.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use hyper::Method;
use tsn_userspace::clock::tai_now;
use tsn_userspace::config::{Configuration, Interval};
use tsn_userspace::control::api::Applied;
use tsn_userspace::control::client::request;

use crate::Context;

/// Options of `tsnctl apply`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The configuration file (YAML).
    file: PathBuf,
    /// When the new list starts, instead of its admin-base-time: `+2s` from now, or TAI nanoseconds.
    #[arg(long, value_parser = instant_ns)]
    at: Option<u64>,
}

/// Applies the file, and says what that did.
pub async fn run(options: Options, context: &Context) -> Result<()> {
    let Options { file, at } = options;
    let configuration = Configuration::from_file(&file)?;
    let path = match at {
        Some(at) => format!("/v1/configuration?at-ns={at}"),
        None => "/v1/configuration".to_owned(),
    };
    let body = serde_json::to_vec(&configuration)?;
    let applied: Applied = request(&context.control, Method::PUT, &path, body).await?;
    context.print(&applied, applied_text)
}

/// Reads `+2s` from now, or TAI nanoseconds.
pub fn instant_ns(text: &str) -> Result<u64, String> {
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
