//! CHECK: whether the interface is recorded for this pod and attached.

use std::os::unix::fs::MetadataExt;

use crate::configuration::Configuration;
use crate::daemon::Daemon;
use crate::environment::Environment;
use crate::error::{Code, Error};

/// Succeeds if frames of the interface take the fast path. As the protocol wants it, an attachment that is on its way is
/// waited for, until the deadline.
///
/// # Errors
///
/// When they do not, whatever `failurePolicy` says: that is about ADD.
pub(super) fn check(environment: &Environment, configuration: &Configuration) -> Result<(), Error> {
    if configuration.previous_result.is_none() {
        let message = "`prevResult` is missing; CHECK needs the result of ADD";
        return Err(Error::new(Code::InvalidConfiguration, message));
    }
    let key = configuration.key(environment)?;
    let site = &configuration.site;
    let not_recorded = |why: String| {
        let directory = site.records.path().display();
        Error::new(
            Code::NotRecorded,
            format!("{key}: {why} (records of {directory})"),
        )
    };
    let Some(record) = site.records.load(&key)? else {
        return Err(not_recorded("never added, or deleted since".to_owned()));
    };
    let netns = environment.netns.display();
    match environment.netns.metadata() {
        Err(error) => Err(not_recorded(format!("CNI_NETNS {netns}: {error}"))),
        Ok(metadata) if metadata.ino() != record.netns_inode => Err(not_recorded(format!(
            "CNI_NETNS {netns} is another namespace than at ADD"
        ))),
        Ok(_) => Ok(Daemon::at(site.socket.clone(), site.deadline).check(&key)?),
    }
}
