//! GC: leaves nothing of attachments that the runtime no longer knows.

use crate::configuration::{Configuration, ValidAttachment};
use crate::daemon::Daemon;
use crate::error::{Code, Error};
use crate::log;
use crate::record::Key;

/// Detaches what this network has beside the valid attachments, and removes its records.
///
/// # Errors
///
/// When the input has no list of attachments: then nothing is removed. When a record cannot be removed: then the others are.
pub(super) fn gc(configuration: &Configuration) -> Result<(), Error> {
    let Some(valid) = &configuration.valid_attachments else {
        let message = "`cni.dev/valid-attachments` is missing; nothing was removed";
        return Err(Error::new(Code::InvalidConfiguration, message));
    };
    let site = &configuration.site;
    // A configured interface is not that of the call, which the runtime's list has.
    let by_container = site.interface.is_some();
    let mut keys = site.records.keys()?;
    keys.retain(|key| {
        key.network == configuration.network
            && !valid.iter().any(|one| covers(one, key, by_container))
    });

    let daemon = Daemon::at(site.socket.clone(), site.deadline);
    let mut failure = None;
    for key in keys {
        log::line(format_args!("GC {key}: is no valid attachment any more"));
        if let Err(error) = daemon.detach(&key) {
            log::line(format_args!(
                "GC {key}: {error}; tsnd detaches the pod when it sees the record gone"
            ));
        }
        if let Err(error) = site.records.remove(&key) {
            log::line(format_args!("GC {key}: {error}"));
            failure.get_or_insert(error);
        }
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

fn covers(valid: &ValidAttachment, key: &Key, by_container: bool) -> bool {
    valid.container_id == key.container_id && (by_container || valid.interface == key.interface)
}
