//! `tsnctl cni install`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tsn_userspace::cni_install::{Entry, Installation, PLUGIN_TYPE, watch};

use super::{Directories, show};
use crate::Context;

/// Options of `tsnctl cni install`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    entry: Option<Entry>,
    /// Only copy the binary: networks that name the plugin themselves, such as those of Multus, need no more.
    #[arg(long, conflicts_with_all = ["Entry", "network"], required_unless_present = "profile")]
    binary_only: bool,
    #[command(flatten)]
    directories: Directories,
    /// The network that it is chained into, by name.
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// The plugin's binary; else tsn-cni beside tsnctl.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Only show what would be changed in the network's list.
    #[arg(long, conflicts_with = "watch")]
    dry_run: bool,
    /// Stay, wait for the network's list if there is none yet, and repair what other add-ons rewrite.
    #[arg(long)]
    watch: bool,
    /// With --watch: at SIGTERM, take the entry out of the network's list again, if it says what these options say; the
    /// binary stays for the pods that are there.
    #[arg(long, requires = "watch")]
    uninstall_on_exit: bool,
}

/// Puts the plugin in its place.
pub async fn run(options: Options, context: &Context) -> Result<()> {
    let binary = match options.binary {
        Some(binary) => binary,
        None => std::env::current_exe()
            .context("cannot tell where tsnctl is; give --binary")?
            .with_file_name(PLUGIN_TYPE),
    };
    let installation = Installation {
        binary,
        binary_directory: options.directories.binary_directory,
        configuration_directory: options.directories.configuration_directory,
        network: options.network,
        entry: options.entry,
    };
    if options.dry_run {
        return show(installation.plan()?.as_slice(), context);
    }
    if options.watch {
        return keep(&installation, options.uninstall_on_exit).await;
    }
    let change = installation.install().await?;
    context.print(&change, |change| {
        Ok(match change {
            None => format!("{PLUGIN_TYPE}: in its place\n"),
            Some(change) if change.is_none() => {
                format!("{PLUGIN_TYPE}: is already in {}\n", change.path.display())
            }
            Some(change) => format!("{PLUGIN_TYPE}: added to {}\n", change.path.display()),
        })
    })
}

/// Keeps it there until a signal.
async fn keep(installation: &Installation, uninstall_on_exit: bool) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        failed = watch(installation, tell) => match failed? {},
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    if uninstall_on_exit && let Some(change) = installation.take_out().await? {
        tell(&format!("taken out of {}", change.path.display()));
    }
    Ok(())
}

/// Tells people, if they listen.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{PLUGIN_TYPE}: {}", crate::shown(text));
}
