//! Profiles: what pods that the CNI plugin attaches may have, and what a request leaves of one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pod::frame_quota;
use super::{ClassReference, ConfigurationError, Match, Mode, StreamSelection, printable};

/// What a pod may have that is attached by the CNI plugin. Whoever makes the pod chooses among the profiles that its
/// network allows, and may narrow the one chosen; classes, quota and the treatment of frames are always the profile's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    /// Unique on the node: letters, digits, `-`, `_` and `.`, at most 63.
    pub name: String,
    /// How the pods' frames leave the node: `l2` (default) or `overlay`. A pod on a vhost-user socket needs `l2`.
    #[serde(default)]
    pub mode: Mode,
    /// How many frames of each pod may wait in the scheduler, all classes together (default 512).
    #[serde(default = "frame_quota")]
    pub frame_quota: u32,
    /// What is time-sensitive, first match wins; everything else keeps the kernel's path. 1 to 16.
    pub streams: Vec<StreamSelection>,
}

/// What a request wants of a profile. By default all of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Narrowing {
    /// Only the streams of this traffic class.
    pub traffic_class: Option<ClassReference>,
    /// Only frames that also match this.
    pub selector: Match,
}

impl Profile {
    /// The streams that are left: those of the class asked for whose match allows all that the request's asks for, each
    /// with the fields of both. A frame goes to the first of these that it matches, and is treated as that one says.
    ///
    /// `class_names` are the uplink's; the profile is one that was checked against them.
    ///
    /// # Errors
    ///
    /// When nothing is left: the field, relative to the request, and what there is.
    pub fn narrowed(
        &self,
        by: &Narrowing,
        class_names: &[Option<String>; 8],
    ) -> Result<Vec<StreamSelection>, ConfigurationError> {
        let mut streams = self.streams.clone();
        if let Some(wanted) = &by.traffic_class {
            let class = wanted.resolve(class_names);
            streams.retain(|stream| stream.traffic_class.resolve(class_names) == class);
            if streams.is_empty() || class.is_none() {
                return Err(self.has_no_class(wanted));
            }
        }
        let left: Vec<_> = streams
            .iter()
            .filter_map(|stream| {
                let selector = stream.selector.narrowed(&by.selector)?;
                Some(StreamSelection {
                    selector,
                    ..stream.clone()
                })
            })
            .collect();
        if left.is_empty() {
            return Err(self.does_not_match(&streams));
        }
        Ok(left)
    }

    fn has_no_class(&self, wanted: &ClassReference) -> ConfigurationError {
        let mut classes: Vec<String> = Vec::new();
        for stream in &self.streams {
            let class = stream.traffic_class.to_string();
            if !classes.contains(&class) {
                classes.push(class);
            }
        }
        ConfigurationError {
            place: "traffic-class".to_owned(),
            reason: format!(
                "no stream of profile `{}` has class `{}`; it has [{}]",
                self.name,
                printable(&wanted.to_string()),
                classes.join(", ")
            ),
        }
    }

    fn does_not_match(&self, streams: &[StreamSelection]) -> ConfigurationError {
        let matches = streams.iter().map(|stream| {
            // Numbers and text are always JSON.
            let selector = serde_json::to_string(&stream.selector).unwrap_or_default();
            format!("{} matches {selector}", stream.name)
        });
        ConfigurationError {
            place: "match".to_owned(),
            reason: format!(
                "a request can set what a stream leaves open, or a part of its ports, and no more; of profile `{}`, {}",
                self.name,
                matches.collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

impl Match {
    /// The fields of both; `None` where `request` asks for what this does not allow.
    fn narrowed(&self, request: &Self) -> Option<Self> {
        let ports = match (self.udp_destination_port, request.udp_destination_port) {
            (Some(allowed), Some(wanted)) => (allowed.first <= wanted.first
                && wanted.last <= allowed.last)
                .then_some(Some(wanted)),
            (allowed, wanted) => Some(wanted.or(allowed)),
        };
        Some(Self {
            ethertype: either(self.ethertype, request.ethertype)?,
            vlan_id: either(self.vlan_id, request.vlan_id)?,
            pcp: either(self.pcp, request.pcp)?,
            dscp: either(self.dscp, request.dscp)?,
            udp_destination_port: ports?,
            priority: either(self.priority, request.priority)?,
        })
    }
}

/// The value that is given, by one or both; `None` where they are not the same.
fn either<T: PartialEq>(allowed: Option<T>, wanted: Option<T>) -> Option<Option<T>> {
    match (allowed, wanted) {
        (Some(allowed), Some(wanted)) => (allowed == wanted).then_some(Some(allowed)),
        (allowed, wanted) => Some(wanted.or(allowed)),
    }
}

#[cfg(test)]
mod tests;
