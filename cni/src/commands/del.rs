//! DEL: has the interface detached, and removes its record.

use crate::configuration::{Input, Site};
use crate::daemon::Daemon;
use crate::environment::Environment;
use crate::error::Error;
use crate::log;
use crate::record::{self, Key};

/// Leaves nothing of the attachment, with as much of the input as can be read. That something is gone or wrong is no error:
/// what the plugin cannot do now, the daemon does when it sees that the record is missing.
///
/// # Errors
///
/// When a record is there and cannot be removed.
pub(super) fn del(environment: &Environment, input: Result<Input, Error>) -> Result<(), Error> {
    let site = site(input);
    let daemon = Daemon::at(site.socket.clone(), site.deadline);
    for key in keys(environment, &site) {
        if let Err(error) = daemon.detach(&key) {
            log::line(format_args!(
                "DEL {key}: {error}; tsnd detaches the pod when it sees the record gone"
            ));
        }
        site.records.remove(&key)?;
    }
    Ok(())
}

/// What can be read of where the daemon and the records are.
fn site(input: Result<Input, Error>) -> Site {
    let read = input.and_then(|mut input| {
        Site::take(&mut input, |error| {
            log::line(format_args!("DEL: {error}; the default is used"));
            Ok(())
        })
    });
    read.unwrap_or_else(|error| {
        log::line(format_args!("DEL: {error}; the defaults are used"));
        Site::default()
    })
}

/// What is to go: the interface in the network that the input names, or without one in all networks.
fn keys(environment: &Environment, site: &Site) -> Vec<Key> {
    let found = match &site.network {
        // Nothing can have been added under a wrong name.
        Some(network) => site
            .key(network, environment)
            .map(|key| vec![key])
            .map_err(record::Error::from),
        None => of_all_networks(environment, site),
    };
    found.unwrap_or_else(|error| {
        log::line(format_args!("DEL: {error}"));
        Vec::new()
    })
}

fn of_all_networks(environment: &Environment, site: &Site) -> Result<Vec<Key>, record::Error> {
    let interface = site.interface.as_ref().unwrap_or(&environment.interface);
    let keys = site.records.find(&environment.container_id, interface)?;
    for key in &keys {
        log::line(format_args!(
            "DEL {key}: found by container ID and interface alone"
        ));
    }
    Ok(keys)
}
