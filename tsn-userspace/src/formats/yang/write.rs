//! An uplink as a data tree of the YANG module.

use tsn_core::MAX_ENTRIES;

use super::super::config::Uplink;
use super::super::gates::{Gates, fraction, split_to_32_bits};
use super::super::loss::settings_of_tsnd;
use super::super::{Converted, FormatError, Loss};
use super::shape::{
    ControlList, Document, GateControlEntry, GateParameterTable, Interface, Interfaces, PtpTime,
    QueueMaxSdu, Rational, SET_GATE_STATES, Uint64,
};

/// What `tsnd` can do. The module's `must` statements compare with these, so a document without them is not valid.
pub const SUPPORTED_LIST_MAX: u32 = MAX_ENTRIES as u32;
pub const SUPPORTED_CYCLE_MAX: Rational = Rational::new(u32::MAX, 1);
pub const SUPPORTED_INTERVAL_MAX: u32 = u32::MAX;
/// What the module `iana-if-type` calls an Ethernet interface.
pub const ETHERNET: &str = "iana-if-type:ethernetCsmacd";

const PLACE: &str = "uplinks[0].gate-parameters";

pub fn write(uplink: &Uplink) -> Result<Converted<String>, FormatError> {
    let gates = Gates::of(uplink)?;
    let parameters = &uplink.gate_parameters;
    let mut losses = settings_of_tsnd(uplink);
    let cycle_time = match parameters.admin_cycle_time {
        Some(cycle) => Rational::new(cycle.numerator, cycle.denominator),
        None if gates.entries.is_empty() => Rational::new(0, 1),
        None => {
            let sum = fraction(&format!("{PLACE}.admin-cycle-time"), gates.sum_ns())?;
            Rational::new(sum.numerator, sum.denominator)
        }
    };
    let extension_ns = parameters.admin_cycle_time_extension.ns;
    let extension = u32::try_from(extension_ns).ok();
    if extension.is_none() {
        losses.push(Loss::new(
            format!("{PLACE}.admin-cycle-time-extension"),
            format!("{extension_ns} ns"),
            format!("more than the {} ns that the module holds", u32::MAX),
        ));
    }
    let entries = split_to_32_bits(&gates.entries)?;
    let table = GateParameterTable {
        queue_max_sdu_table: uplink
            .traffic_classes
            .iter()
            .map(|class| QueueMaxSdu {
                traffic_class: class.number,
                queue_max_sdu: class.queue_max_sdu,
                transmission_overrun: None,
            })
            .collect(),
        gate_enabled: parameters.gate_enabled,
        admin_gate_states: Some(gates.admin_gate_states),
        admin_control_list: ControlList {
            gate_control_entry: (0..)
                .zip(entries)
                .map(
                    |(index, (gate_states_value, time_interval_value))| GateControlEntry {
                        index,
                        operation_name: SET_GATE_STATES.to_owned(),
                        gate_states_value,
                        time_interval_value,
                    },
                )
                .collect(),
        },
        admin_cycle_time: cycle_time,
        admin_cycle_time_extension: extension,
        admin_base_time: PtpTime {
            seconds: Uint64(parameters.admin_base_time.seconds),
            nanoseconds: parameters.admin_base_time.nanoseconds,
        },
        config_change: Some(true),
        supported_list_max: Some(SUPPORTED_LIST_MAX),
        supported_cycle_max: Some(SUPPORTED_CYCLE_MAX),
        supported_interval_max: Some(SUPPORTED_INTERVAL_MAX),
        ..GateParameterTable::default()
    };
    let document = Document {
        interfaces: Interfaces {
            interface: vec![Interface {
                name: uplink.device.clone(),
                interface_type: Some(ETHERNET.to_owned()),
                gates: Some(table),
                bridge_port: None,
                rest: Default::default(),
            }],
            rest: Default::default(),
        },
        rest: Default::default(),
    };
    let document = serde_json::to_string_pretty(&document)
        .map_err(|error| FormatError::value("yang", error.to_string()))?;
    Ok(Converted {
        document: document + "\n",
        losses,
    })
}
