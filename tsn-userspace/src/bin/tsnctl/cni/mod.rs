//! `tsnctl cni`: the plugin's place on a node.

mod install;
mod uninstall;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use tsn_userspace::cni_install::Change;

use crate::Context;

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Puts tsn-cni among the node's CNI plugins and chains it into the pods' network.
    ///
    /// Copies the binary, then adds an entry to the end of an existing configuration list, of which nothing else is
    /// changed. The list is that of --network, or the first one by name as runtimes take it, but for Multus' own and
    /// loopback's. Done again, it changes what differs from the options, and nothing else.
    ///
    /// Exit status: 0 the plugin is in its place, 1 it is not.
    #[command(verbatim_doc_comment)]
    Install(install::Options),
    /// Takes the plugin's entries out of the node's networks, and its binary away.
    ///
    /// All entries, whoever wrote them, as pods of a network that names the plugin do not start without its binary; all
    /// else in the lists stays as it is. While pods that it attached are there, its binary stays for them.
    ///
    /// Exit status: 0 nothing of the plugin is left, 1 something is.
    #[command(verbatim_doc_comment)]
    Uninstall(uninstall::Options),
}

/// Where a node's container runtime looks; in a container, where that is mounted.
#[derive(Debug, clap::Args)]
struct Directories {
    /// Where the runtime reads its networks from.
    #[arg(long, value_name = "DIRECTORY", default_value = "/etc/cni/net.d")]
    configuration_directory: PathBuf,
    /// Where the runtime looks for plugins.
    #[arg(long, value_name = "DIRECTORY", default_value = "/opt/cni/bin")]
    binary_directory: PathBuf,
}

/// Does it.
pub async fn run(command: Command, context: &Context) -> Result<ExitCode> {
    match command {
        Command::Install(options) => install::run(options, context).await?,
        Command::Uninstall(options) => uninstall::run(options, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what would be changed.
fn show(changes: &[Change], context: &Context) -> Result<()> {
    context.print_as_it_is(&changes, |changes| {
        Ok(changes.iter().map(|change| change.diff()).collect())
    })
}
