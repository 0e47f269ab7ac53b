//! The network configuration: the plugin's own part is read strictly, and of the rest what the specification puts there
//! (CNI specification 1.1.0, "Section 1" and "Section 3").

mod fields;
mod site;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub(crate) use fields::Fields;
pub(crate) use site::Site;

use crate::choice::{Annotations, ClassName, Offer};
use crate::environment::Environment;
use crate::error::{Code, Error};
use crate::previous_result::PreviousResult;
use crate::record::{InvalidKey, Key};
use crate::version::Version;

/// What containerd and CRI-O give of a pod's annotations to plugins with the capability of this name.
const ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";
/// Both spellings of the attachments that GC must leave alone: the specification's, and that of its first drafts.
const VALID_ATTACHMENTS: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

/// The input, in two: what the specification and Multus put there, and the plugin's own part.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    protocol: Fields,
    own: Fields,
}

impl Input {
    /// Takes it apart, without a look at the values.
    ///
    /// # Errors
    ///
    /// [`Code::Undecodable`] for anything but an object.
    pub(crate) fn decode(json: &[u8]) -> Result<Self, Error> {
        let values: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(json).map_err(|error| {
                let message = "standard input must be a network configuration, a JSON object";
                Error::new(Code::Undecodable, format!("{message}: {error}"))
            })?;
        let (protocol, own) = values.into_iter().partition(|(name, _)| is_protocol(name));
        Ok(Self {
            protocol: Fields::new("", protocol),
            own: Fields::new("", own),
        })
    }

    /// The version that it asks for.
    ///
    /// # Errors
    ///
    /// [`Code::IncompatibleVersion`] for one that is not spoken; a configuration without a version has 0.1.0.
    pub(crate) fn version(&mut self) -> Result<Version, Error> {
        let asked = self.protocol.take::<String>("cniVersion")?;
        let asked = asked.as_deref().unwrap_or("0.1.0");
        Version::parse(asked).ok_or_else(|| {
            let list = Version::list();
            let message = format!("cniVersion {asked} is not supported; there are {list}");
            Error::new(Code::IncompatibleVersion, message)
        })
    }
}

fn is_protocol(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "cniVersion",
        "cniVersions",
        "name",
        "type",
        "capabilities",
        "args",
        "runtimeConfig",
        "prevResult",
        "ipMasq",
        "ipam",
        "dns",
        "disableCheck",
        "disableGC",
        "loadOnlyInlinedPlugins",
        // Multus puts the device of a resource here, twice.
        "deviceID",
        "pciBusID",
    ];
    name.starts_with("cni.dev/") || NAMES.contains(&name)
}

/// What happens to a pod when the daemon does not take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FailurePolicy {
    /// It has its ordinary path until the daemon takes it.
    #[default]
    Open,
    /// ADD fails.
    Closed,
}

/// An attachment that GC must leave alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ValidAttachment {
    #[serde(rename = "containerID")]
    pub(crate) container_id: String,
    #[serde(rename = "ifname")]
    pub(crate) interface: String,
}

/// What the runtime tells of the device behind the interface.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceHints {
    /// As a device plugin names it.
    pub(crate) id: Option<String>,
    /// Where it may be described.
    pub(crate) information: Option<PathBuf>,
}

/// A network configuration.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) network: String,
    pub(crate) site: Site,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) offer: Offer,
    /// `args.cni.tsnd`.
    pub(crate) argument: Option<BTreeMap<String, Box<RawValue>>>,
    pub(crate) annotations: Annotations,
    pub(crate) device: DeviceHints,
    pub(crate) previous_result: Option<PreviousResult>,
    /// `None` if the input says nothing of attachments.
    pub(crate) valid_attachments: Option<Vec<ValidAttachment>>,
}

impl Configuration {
    /// Reads the input.
    ///
    /// # Errors
    ///
    /// [`Code::UnsupportedField`] and [`Code::InvalidConfiguration`] with the field's name.
    pub(crate) fn read(mut input: Input) -> Result<Self, Error> {
        let site = Site::take(&mut input, Err)?;
        let Some(network) = site.network.clone() else {
            return Err(invalid("`name` is missing; it is the network's name"));
        };
        let Input {
            mut protocol,
            mut own,
        } = input;
        let offer = Offer {
            profile: own.take("profile")?.ok_or_else(|| {
                invalid("`profile` is missing; it names a profile of tsnd's configuration")
            })?,
            selectable_profiles: own.take("selectableProfiles")?.unwrap_or_default(),
            traffic_class: own.take::<ClassName>("trafficClass")?.map(|class| class.0),
            selector: own.take::<Map<String, Value>>("match")?.unwrap_or_default(),
        };
        let failure_policy = own.take("failurePolicy")?.unwrap_or_default();
        own.finish()?;

        let mut arguments = Fields::new("args.", protocol.take_object("args")?);
        let mut arguments = Fields::new("args.cni.", arguments.take_object("cni")?);
        let mut runtime = Fields::new("runtimeConfig.", protocol.take_object("runtimeConfig")?);
        let injected_device = protocol.take("deviceID")?;
        Ok(Self {
            network,
            site,
            failure_policy,
            offer,
            argument: arguments.take("tsnd")?,
            annotations: runtime.take(ANNOTATIONS)?.unwrap_or_default(),
            device: DeviceHints {
                id: runtime.take("deviceID")?.or(injected_device),
                information: runtime.take("CNIDeviceInfoFile")?,
            },
            previous_result: protocol.take("prevResult")?.map(PreviousResult::new),
            valid_attachments: valid_attachments(&mut protocol)?,
        })
    }

    /// The interface that is meant: the configured one, or else that of the call.
    ///
    /// # Errors
    ///
    /// When the network's name, the container ID or the interface cannot be one.
    pub(crate) fn key(&self, environment: &Environment) -> Result<Key, Error> {
        match self.site.key(&self.network, environment) {
            Err(error @ InvalidKey::Interface(_)) if self.site.interface.is_some() => {
                Err(invalid(error.to_string()))
            }
            key => Ok(key?),
        }
    }
}

/// All attachments under both names; `None` if neither is there. A list without entries is `null` where Go writes it.
fn valid_attachments(protocol: &mut Fields) -> Result<Option<Vec<ValidAttachment>>, Error> {
    let mut found = None;
    for name in VALID_ATTACHMENTS {
        if protocol.has(name) {
            let some: Option<Vec<ValidAttachment>> = protocol.take(name)?;
            found
                .get_or_insert_with(Vec::new)
                .extend(some.unwrap_or_default());
        }
    }
    Ok(found)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidConfiguration, message)
}

#[cfg(test)]
mod tests;
