//! A pod and the traffic of it that is time-sensitive.

use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use tsn_common::{ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES};
use tsn_port::{PodAddresses, PodEnd, PodMode, VethEnd};

use super::{ClassReference, Interval, VhostUser};

/// The interface of a pod that does not name one.
const DEFAULT_INTERFACE: &str = "eth0";

/// A pod and the traffic of it that is time-sensitive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pod {
    /// Unique on the node: letters, digits, `-`, `_` and `.`, at most 63.
    pub name: String,
    /// Path of the pod's network namespace, such as `/var/run/netns/pod1` or `/proc/1234/ns/net`. A pod has either this or
    /// `vhost-user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<PathBuf>,
    /// The interface inside the namespace (default `eth0`): one end of a veth pair whose other end is in the node's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The socket of a pod that has no interface of the kernel but a virtio device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vhost_user: Option<VhostUser>,
    /// How its frames leave the node: `l2` (default), as they are, or `overlay`, as the kernel would route them. A pod with
    /// `vhost-user` has `l2`.
    #[serde(default)]
    pub mode: Mode,
    /// How many frames of this pod may wait in the scheduler, all classes together (default 512).
    #[serde(default = "frame_quota")]
    pub frame_quota: u32,
    /// What is time-sensitive, first match wins; everything else keeps the kernel's path. 1 to 16.
    pub streams: Vec<StreamSelection>,
}

impl Pod {
    /// Where its frames come from; `None` of a pod that the configuration's check refuses: it has no end, or two.
    pub fn end(&self) -> Option<PodEnd> {
        match (&self.netns, &self.vhost_user) {
            (Some(netns), None) => Some(PodEnd::Veth(VethEnd {
                netns: netns.clone(),
                interface: self
                    .interface
                    .clone()
                    .unwrap_or_else(|| DEFAULT_INTERFACE.to_owned()),
                addresses: PodAddresses::default(),
            })),
            (None, Some(socket)) => Some(PodEnd::VhostUser(socket.end())),
            _ => None,
        }
    }
}

pub(super) const fn frame_quota() -> u32 {
    512
}

/// How a pod's time-sensitive frames leave the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As they are, with the addresses that the pod gave them.
    #[default]
    L2,
    /// As the kernel would route them: to the next hop, or in the VXLAN tunnel that leads to the other node.
    Overlay,
}

impl From<Mode> for PodMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::L2 => Self::L2,
            Mode::Overlay => Self::Overlay,
        }
    }
}

/// Traffic that belongs together: how it is recognised and treated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StreamSelection {
    /// 1 to 63 printable characters, unique in the pod; a label of the metrics.
    pub name: String,
    /// All the fields given must match; an empty set matches everything.
    #[serde(rename = "match")]
    pub selector: Match,
    /// The traffic class, by number or name.
    pub traffic_class: ClassReference,
    /// What the socket's launch time means: `at` (default), `by` (a deadline), or `ignore`.
    #[serde(default)]
    pub launch_time: LaunchTimeUse,
    /// How much after its launch time a frame may still leave without being late (default 20 µs).
    #[serde(default = "late_tolerance")]
    pub late_tolerance: Interval,
    /// What happens to a late frame: `drop` (default) or `send`. Counted either way.
    #[serde(default)]
    pub late: LateAction,
    /// What the stream may send at most; frames beyond it are dropped. Absent: as much as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_meter: Option<FlowMeterSettings>,
}

impl StreamSelection {
    /// What a frame of the stream has in front of its service data unit, in bytes: the Ethernet header, and a VLAN tag if
    /// the stream is recognised by one.
    pub fn header_bytes(&self) -> u32 {
        let is_tagged = self.selector.vlan_id.is_some() || self.selector.pcp.is_some();
        let tag_bytes = if is_tagged { VLAN_TAG_BYTES } else { 0 };
        (ETHERNET_HEADER_BYTES + tag_bytes) as u32
    }
}

const fn late_tolerance() -> Interval {
    Interval::from_us(20)
}

/// The flow meter of a stream (IEEE 802.1Q-2022, 8.6.5.5; MEF 10.3): a token bucket with one rate, colour-blind, whose red
/// frames are dropped. Frames count as the pod sends them, from the destination address to the end of the FCS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FlowMeterSettings {
    /// In bit/s, at least 1.
    pub committed_information_rate: u64,
    /// In bytes, at least 64, the shortest frame. A frame that is longer than this is always dropped.
    pub committed_burst_size: u32,
}

/// What the socket's launch time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LaunchTimeUse {
    /// Leave at that time, not before.
    #[default]
    At,
    /// Leave as soon as possible, not after (deadline).
    By,
    /// As if there were none.
    Ignore,
}

/// What happens to a frame that is late beyond its tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LateAction {
    /// Dropped and counted.
    #[default]
    Drop,
    /// Sent and counted.
    Send,
}

/// How a stream is recognised. All the fields given must match.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Match {
    /// EtherType after any VLAN tags, 0x600 to 0xffff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ethertype: Option<u16>,
    /// VLAN id of the outer tag, 0 to 4094.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan_id: Option<u16>,
    /// Priority code point of the outer tag, 0 to 7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcp: Option<u8>,
    /// DSCP of IPv4 or IPv6, 0 to 63.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dscp: Option<u8>,
    /// UDP destination port, or a range `5000-5010`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp_destination_port: Option<PortRange>,
    /// `SO_PRIORITY` of the socket, 0 to 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
}

/// UDP ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl std::str::FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| {
            text.trim().parse::<u16>().map_err(|_| {
                format!("`{text}` is no UDP port; write one port (0 to 65535) or a range such as `5000-5010`")
            })
        };
        let range = Self {
            first: port(first)?,
            last: port(last)?,
        };
        if range.first > range.last {
            return Err(format!(
                "the range `{text}` is empty; write the smaller port first"
            ));
        }
        Ok(range)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWritten;
        impl Visitor<'_> for AsWritten {
            type Value = PortRange;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a UDP port, or a range such as `5000-5010`")
            }
            fn visit_u64<E: de::Error>(self, port: u64) -> Result<PortRange, E> {
                port.to_string().parse().map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<PortRange, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(AsWritten)
    }
}

impl JsonSchema for PortRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortRange".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A UDP port, or a range, both ends included.",
            "oneOf": [
                { "type": "integer", "minimum": 0, "maximum": 65535 },
                { "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$" },
            ],
        })
    }
}
