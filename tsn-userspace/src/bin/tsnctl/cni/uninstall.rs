//! `tsnctl cni uninstall`.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tsn_cni::record::{DEFAULT_DIRECTORY, Directory, Record};
use tsn_userspace::cni_install::{PLUGIN_TYPE, plan_uninstall, uninstall};

use super::{Directories, show};
use crate::Context;

/// Options of `tsnctl cni uninstall`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    directories: Directories,
    /// Where the plugin leaves its records of the pods that it attached.
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_DIRECTORY)]
    record_directory: PathBuf,
    /// Only show what would be changed in the networks' lists.
    #[arg(long)]
    dry_run: bool,
    /// Remove the binary also while pods are attached by it.
    #[arg(long)]
    force: bool,
}

/// Takes the plugin away: its entries first, as pods would fail to start with an entry whose binary is gone.
pub async fn run(options: Options, context: &Context) -> Result<()> {
    let Directories {
        configuration_directory,
        binary_directory,
    } = options.directories;
    if options.dry_run {
        return show(&plan_uninstall(&configuration_directory)?, context);
    }
    let changes = uninstall(&configuration_directory).await?;
    context.print(&changes, |changes| {
        let places = changes.iter().map(|change| change.path.display());
        Ok(places
            .map(|path| format!("{PLUGIN_TYPE}: taken out of {path}\n"))
            .collect())
    })?;
    let binary = binary_directory.join(PLUGIN_TYPE);
    if !options.force {
        refuse_while_needed(&binary, &options.record_directory)?;
    }
    match fs::remove_file(&binary) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", binary.display()))
        }
        _ => Ok(()),
    }
}

/// Whether the pod is there still: once the entry is out of the list, a runtime calls the plugin no more, and the records
/// of pods that end after that stay.
fn has_pod(record: &Record) -> bool {
    fs::metadata(&record.netns).is_ok_and(|metadata| metadata.ino() == record.netns_inode)
}

fn refuse_while_needed(binary: &Path, records: &Path) -> Result<()> {
    // A record that cannot be read may be of any pod.
    let attached = Directory::at(records)
        .list()
        .with_context(|| format!("{} cannot be read", records.display()))?
        .iter()
        .filter(|(_, record)| record.as_ref().map_or(true, has_pod))
        .count();
    if attached > 0 && binary.exists() {
        bail!(
            "{} stays, since pods that it attached need it for their end ({attached} interfaces in {}); drain the node and \
             do this again, or give --force",
            binary.display(),
            records.display()
        );
    }
    Ok(())
}
