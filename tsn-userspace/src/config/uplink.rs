//! An uplink: the device that frames leave by, its traffic classes and its gates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BaseTime, CycleTimeSetting, GateStatesValue, Interval};

/// The device that frames leave by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Uplink {
    /// Name of the network device, such as `eth0`: 1 to 15 characters, without `/`, `:`, `,` and spaces. With DPDK also a PCI
    /// address such as `0000:03:00.0`, or a virtual device such as `net_virtio_user0,path=/run/switch.sock`.
    pub device: String,
    /// Link speed in Mb/s; read from the device when absent.
    pub link_speed: Option<u32>,
    /// Bytes that a frame takes on the wire beside its own: preamble, FCS and inter-frame gap (default 24).
    #[serde(default = "ethernet_overhead_bytes")]
    pub per_frame_overhead: u32,
    /// Minimum frames sent at start to measure the lead, to a group address that no bridge forwards (default 64; 0 for
    /// none, and no lead).
    #[serde(default = "lead_probes")]
    pub lead_probes: u32,
    /// The traffic classes in use; a class that is absent has the defaults and no name.
    #[serde(default)]
    pub traffic_classes: Vec<TrafficClassSettings>,
    /// The gates (IEEE 802.1Q 12.29, `gate-parameter-table`). Absent: all gates are open.
    #[serde(default)]
    pub gate_parameters: GateParameters,
}

impl Uplink {
    /// An uplink with nothing but its device: every setting has its default, all gates are open.
    pub fn on_device(device: &str) -> Self {
        Self {
            device: device.to_owned(),
            link_speed: None,
            per_frame_overhead: ethernet_overhead_bytes(),
            lead_probes: lead_probes(),
            traffic_classes: Vec::new(),
            gate_parameters: GateParameters::default(),
        }
    }
}

const fn ethernet_overhead_bytes() -> u32 {
    24
}

const fn lead_probes() -> u32 {
    64
}

/// One traffic class of an uplink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrafficClassSettings {
    /// 0 to 7; 7 has the highest priority.
    pub number: u8,
    /// A name to use instead of the number: 1 to 63 printable characters, not only digits; unique on the uplink.
    pub name: Option<String>,
    /// The longest service data unit in bytes, without Ethernet header, VLAN tag and FCS (`queue-max-sdu`); 0 or absent:
    /// the MTU.
    #[serde(default)]
    pub queue_max_sdu: u32,
    /// How many frames the class queues at most, 1 to 65536 (default 1024).
    #[serde(default = "queue_capacity")]
    pub capacity: u32,
    /// Whether a frame without a launch time is refused.
    #[serde(default)]
    pub launch_time_required: bool,
    /// Whether its frames are dropped when the clock is lost under `on-sync-loss: drop-critical`.
    #[serde(default)]
    pub critical: bool,
    /// DSCP, 0 to 63, of the IP header that the daemon puts around frames of overlay pods; absent: as the kernel would, by
    /// the settings of the VXLAN device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dscp: Option<u8>,
    /// Priority code point, 0 to 7, of the VLAN tag that the daemon puts into frames of overlay pods where their way leads
    /// over a VLAN of the uplink (default: the class's number).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcp: Option<u8>,
}

impl TrafficClassSettings {
    /// The class `number`, 0 to 7, with the defaults.
    pub fn numbered(number: u8) -> Self {
        Self {
            number,
            name: None,
            queue_max_sdu: 0,
            capacity: queue_capacity(),
            launch_time_required: false,
            critical: false,
            dscp: None,
            pcp: None,
        }
    }
}

pub(super) const fn queue_capacity() -> u32 {
    1_024
}

/// The gates of an uplink (IEEE 802.1Q 12.29.1, YANG `gate-parameter-table`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GateParameters {
    /// Whether the gate control list runs; if not, the gates stand as `admin-gate-states` says.
    pub gate_enabled: bool,
    /// The gates before the first cycle and while gates are disabled (default: all open).
    pub admin_gate_states: GateStatesValue,
    /// The instant at which the list starts, or a past one of which the start is a whole number of cycles away (TAI).
    pub admin_base_time: BaseTime,
    /// The cycle; absent: the sum of the intervals.
    pub admin_cycle_time: Option<CycleTimeSetting>,
    /// How much the last cycle before a change of schedule may be stretched.
    pub admin_cycle_time_extension: Interval,
    /// The gate control list; empty: the gates stand as `admin-gate-states` says.
    pub admin_control_list: Vec<GateControlEntry>,
}

impl Default for GateParameters {
    fn default() -> Self {
        Self {
            gate_enabled: true,
            admin_gate_states: GateStatesValue::Mask(0xff),
            admin_base_time: BaseTime::from_ns(0),
            admin_cycle_time: None,
            admin_cycle_time_extension: Interval::from_ns(0),
            admin_control_list: Vec::new(),
        }
    }
}

/// One entry of a gate control list (`gate-control-entry`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GateControlEntry {
    /// The gates during this entry: a mask, or the open classes by number or name.
    pub gate_states_value: GateStatesValue,
    /// How long the entry lasts; 0 counts as 1 ns (8.6.9.2.1).
    pub time_interval_value: Interval,
}
