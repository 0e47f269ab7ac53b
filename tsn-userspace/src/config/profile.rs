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

/// The EtherTypes of frames that have a DSCP or a UDP port: IPv4 and IPv6.
pub(crate) const ETHERTYPES_OF_IP: [u16; 2] = [0x0800, 0x86dd];

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
    /// with the fields of both. A frame goes to the first of these that it matches, which is the first that it matches in
    /// the whole profile too: the order of the streams is part of what the profile allows.
    ///
    /// `class_names` are the uplink's; the profile is one that was checked against them.
    ///
    /// # Errors
    ///
    /// When nothing is left, or when a stream that is left would take frames of an earlier one that is not: the field,
    /// relative to the request, and what there is.
    pub fn narrowed(
        &self,
        by: &Narrowing,
        class_names: &[Option<String>; 8],
    ) -> Result<Vec<StreamSelection>, ConfigurationError> {
        let is_of_class = |stream: &StreamSelection| match &by.traffic_class {
            Some(wanted) => {
                stream.traffic_class.resolve(class_names) == wanted.resolve(class_names)
            }
            None => true,
        };
        let of_class: Vec<_> = self
            .streams
            .iter()
            .filter(|stream| is_of_class(stream))
            .collect();
        if let (Some(wanted), []) = (&by.traffic_class, &*of_class) {
            return Err(self.has_no_class(wanted));
        }
        let (mut left, mut left_out): (Vec<StreamSelection>, Vec<&StreamSelection>) =
            Default::default();
        for stream in &self.streams {
            let narrowed = stream.selector.narrowed(&by.selector);
            let Some(selector) = narrowed.filter(|_| is_of_class(stream)) else {
                left_out.push(stream);
                continue;
            };
            let mut hidden_by = left_out
                .iter()
                .filter(|earlier| earlier.selector.meets(&selector));
            if let Some(earlier) = hidden_by.next() {
                let place = if is_of_class(earlier) {
                    "match"
                } else {
                    "traffic-class"
                };
                return Err(self.would_widen(place, earlier, stream));
            }
            left.push(StreamSelection {
                selector,
                ..stream.clone()
            });
        }
        if left.is_empty() {
            return Err(self.does_not_match(&of_class));
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

    fn would_widen(
        &self,
        place: &str,
        left_out: &StreamSelection,
        later: &StreamSelection,
    ) -> ConfigurationError {
        ConfigurationError {
            place: place.to_owned(),
            reason: format!(
                "stream {later} of profile `{profile}` would get frames that are {left_out}'s, which the request leaves out; \
                 ask with `match` for what {left_out} does not match, or leave {left_out} in",
                profile = self.name,
                later = later.name,
                left_out = left_out.name,
            ),
        }
    }

    fn does_not_match(&self, streams: &[&StreamSelection]) -> ConfigurationError {
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

    /// Whether a frame can match both.
    fn meets(&self, other: &Self) -> bool {
        let ports_meet = match (self.udp_destination_port, other.udp_destination_port) {
            (Some(one), Some(other)) => one.first <= other.last && other.first <= one.last,
            _ => true,
        };
        let is_of_ip = |one: &Self| one.dscp.is_some() || one.udp_destination_port.is_some();
        let needs_ip = is_of_ip(self) || is_of_ip(other);
        ports_meet
            && either(self.ethertype, other.ethertype).is_some_and(|ethertype| {
                !needs_ip || ethertype.is_none_or(|it| ETHERTYPES_OF_IP.contains(&it))
            })
            && either(self.vlan_id, other.vlan_id).is_some()
            && either(self.pcp, other.pcp).is_some()
            && either(self.dscp, other.dscp).is_some()
            && either(self.priority, other.priority).is_some()
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
