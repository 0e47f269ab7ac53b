//! STATUS: whether pods can be added. An error makes the whole node not ready, so there is none unless it is asked for.

use crate::configuration::{Configuration, Input, Site};
use crate::daemon::Daemon;
use crate::error::{Code, Error};
use crate::log;

/// Succeeds, but for `strictStatus`.
///
/// # Errors
///
/// With `strictStatus`, when the configuration is wrong or no daemon serves.
pub(super) fn status(input: Input) -> Result<(), Error> {
    let site = Site::take(&mut input.clone(), |error| {
        log::line(format_args!("STATUS: {error}"));
        Ok(())
    })?;
    if !site.strict_status {
        return Ok(());
    }
    Configuration::read(input)?;
    serves(site)
}

fn serves(site: Site) -> Result<(), Error> {
    let Err(error) = Daemon::at(site.socket, site.deadline).status() else {
        return Ok(());
    };
    // Pods that are recorded still reach the network, but not at their times.
    let code = match site.records.keys() {
        Ok(keys) if keys.is_empty() => Code::NotAvailable,
        _ => Code::LimitedConnectivity,
    };
    Err(Error::new(code, error.to_string()))
}
