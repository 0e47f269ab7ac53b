//! The nodes of the module, with its types; RFC 7951 says how they are written.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

/// The one operation that needs no frame preemption (12.29.1.2.1).
pub const SET_GATE_STATES: &str = "ieee802-dot1q-sched:set-gate-states";

/// A data tree with interfaces.
#[derive(Serialize, Deserialize)]
pub struct Document {
    #[serde(rename = "ietf-interfaces:interfaces")]
    pub interfaces: Interfaces,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
pub struct Interfaces {
    pub interface: Vec<Interface>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
pub struct Interface {
    pub name: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub interface_type: Option<String>,
    #[serde(
        rename = "ieee802-dot1dc-sched-if:gate-parameter-table",
        skip_serializing_if = "Option::is_none"
    )]
    pub gates: Option<GateParameterTable>,
    #[serde(
        rename = "ieee802-dot1q-bridge:bridge-port",
        skip_serializing_if = "Option::is_none"
    )]
    pub bridge_port: Option<BridgePort>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
pub struct BridgePort {
    #[serde(
        rename = "ieee802-dot1q-sched-bridge:gate-parameter-table",
        skip_serializing_if = "Option::is_none"
    )]
    pub gates: Option<GateParameterTable>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Grouping `sched-parameters`. What starts with `oper` or is a [`Value`] is state, which is not written.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GateParameterTable {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queue_max_sdu_table: Vec<QueueMaxSdu>,
    #[serde(default)]
    pub gate_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_gate_states: Option<u8>,
    #[serde(default)]
    pub admin_control_list: ControlList,
    #[serde(default)]
    pub admin_cycle_time: Rational,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_cycle_time_extension: Option<u32>,
    #[serde(default)]
    pub admin_base_time: PtpTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_change: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported_list_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported_cycle_max: Option<Rational>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported_interval_max: Option<u32>,
    #[serde(skip_serializing)]
    pub oper_gate_states: Option<Value>,
    #[serde(skip_serializing)]
    pub oper_control_list: Option<Value>,
    #[serde(skip_serializing)]
    pub oper_cycle_time: Option<Value>,
    #[serde(skip_serializing)]
    pub oper_cycle_time_extension: Option<Value>,
    #[serde(skip_serializing)]
    pub oper_base_time: Option<Value>,
    #[serde(skip_serializing)]
    pub config_change_time: Option<Value>,
    #[serde(skip_serializing)]
    pub tick_granularity: Option<Value>,
    #[serde(skip_serializing)]
    pub current_time: Option<Value>,
    #[serde(skip_serializing)]
    pub config_pending: Option<Value>,
    #[serde(skip_serializing)]
    pub config_change_error: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QueueMaxSdu {
    pub traffic_class: u8,
    #[serde(default)]
    pub queue_max_sdu: u32,
    #[serde(skip_serializing)]
    pub transmission_overrun: Option<Value>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ControlList {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gate_control_entry: Vec<GateControlEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GateControlEntry {
    pub index: u32,
    pub operation_name: String,
    pub gate_states_value: u8,
    /// Not mandatory in the module, which gives it no default either: without it an entry says nothing.
    pub time_interval_value: u32,
}

/// Grouping `rational-grouping`.
#[derive(Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rational {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numerator: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denominator: Option<u32>,
}

impl Rational {
    pub const fn new(numerator: u32, denominator: u32) -> Self {
        Self {
            numerator: Some(numerator),
            denominator: Some(denominator),
        }
    }
}

/// Grouping `ptp-time-grouping`.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PtpTime {
    #[serde(default)]
    pub seconds: Uint64,
    #[serde(default)]
    pub nanoseconds: u32,
}

/// A `uint64`, which JSON holds as text (RFC 7951, 6.1).
#[derive(Default, Clone, Copy)]
pub struct Uint64(pub u64);

impl Serialize for Uint64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Uint64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Uint64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit number as text, such as \"17\" (RFC 7951, 6.1)")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Uint64, E> {
                text.parse()
                    .map(Uint64)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
