//! ADD: leaves a record of what is wanted, and asks the daemon to make it so now.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::choice::{self, Sources};
use crate::configuration::{Configuration, FailurePolicy};
use crate::daemon::{Daemon, DaemonError};
use crate::device;
use crate::environment::{Arguments, Environment};
use crate::error::{Code, Error};
use crate::log;
use crate::record::{KubernetesPod, Record};
use crate::version::Version;

/// The namespace of the plugin itself, which is the host's.
const OWN_NETNS: &str = "/proc/self/ns/net";

/// Attaches the interface, and gives the result of the plugins before this one on.
///
/// # Errors
///
/// When the call or the configuration is wrong, and when the daemon does not take the pod where that is not to be passed
/// over. Nothing is left of it then.
pub(super) fn add(
    environment: &Environment,
    configuration: Configuration,
    version: Version,
) -> Result<String, Error> {
    let Some(previous) = &configuration.previous_result else {
        let message = "`prevResult` is missing; tsn-cni makes no interface of its own, put it behind a plugin that does";
        return Err(Error::new(Code::InvalidConfiguration, message));
    };
    let result = previous.in_version(version)?;
    let key = configuration.key(environment)?;
    let request = choice::choose(
        &configuration.offer,
        Sources {
            arguments: &environment.arguments,
            argument: configuration.argument,
            annotations: &configuration.annotations,
            interface: &key.interface,
        },
    )?;
    let record = Record {
        vhost_user: device::behind(&key.interface, &configuration.device, previous)?,
        network: key.network.clone(),
        container_id: key.container_id.clone(),
        interface: key.interface.clone(),
        netns: environment.netns.clone(),
        netns_inode: netns_inode(environment)?,
        mac: previous.mac(&key.interface)?,
        ips: previous.ips(&key.interface)?,
        pod: kubernetes_pod(&environment.arguments),
        request,
    };

    let site = configuration.site;
    site.records.store(&record)?;
    let daemon = Daemon::at(site.socket, site.deadline);
    let attached = match configuration.failure_policy {
        FailurePolicy::Open => daemon.attach(&key),
        FailurePolicy::Closed => daemon.attach_in_time(&key),
    };
    match attached {
        Ok(()) => Ok(result),
        Err(error) if may_wait(&error, configuration.failure_policy) => {
            log::line(format_args!(
                "ADD {key}: {error}; the pod has its ordinary path until tsnd takes it"
            ));
            Ok(result)
        }
        Err(error) => {
            if let Err(error) = site.records.remove(&key) {
                log::line(format_args!("ADD {key}: {error}"));
            }
            Err(error.into())
        }
    }
}

/// Whether the pod may start without the daemon, which is to take it later. What it refuses it will refuse later as well,
/// and a record that it does not see it will not see later.
fn may_wait(error: &DaemonError, policy: FailurePolicy) -> bool {
    let is_lasting = matches!(error, DaemonError::Refused(_) | DaemonError::NoRecord(_));
    policy == FailurePolicy::Open && !is_lasting
}

/// The inode of the pod's namespace.
fn netns_inode(environment: &Environment) -> Result<u64, Error> {
    let wrong = |reason: String| {
        let netns = environment.netns.display();
        Error::new(
            Code::InvalidEnvironment,
            format!("CNI_NETNS is `{netns}`: {reason}"),
        )
    };
    let identity = |path: &Path| -> io::Result<(u64, u64)> {
        let metadata = fs::metadata(path)?;
        Ok((metadata.dev(), metadata.ino()))
    };
    if !environment.netns.is_absolute() {
        return Err(wrong("it must be an absolute path".to_owned()));
    }
    let (device, inode) = identity(&environment.netns).map_err(|error| wrong(error.to_string()))?;
    let own = identity(Path::new(OWN_NETNS))
        .map_err(|error| Error::new(Code::Io, format!("cannot look at {OWN_NETNS}: {error}")))?;
    // All namespaces are files of one file system.
    if device != own.0 {
        return Err(wrong("it is no network namespace".to_owned()));
    }
    if inode == own.1 && !environment.netns_override {
        return Err(wrong("it is the host's own network namespace".to_owned()));
    }
    Ok(inode)
}

fn kubernetes_pod(arguments: &Arguments) -> Option<KubernetesPod> {
    Some(KubernetesPod {
        namespace: arguments.get("K8S_POD_NAMESPACE")?.to_owned(),
        name: arguments.get("K8S_POD_NAME")?.to_owned(),
        uid: arguments.get("K8S_POD_UID").unwrap_or_default().to_owned(),
    })
}
