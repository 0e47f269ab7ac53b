//! A data tree of the YANG module as an uplink.

use serde_json::{Map, Value};

use super::super::config::{
    BaseTime, CycleTimeSetting, GateControlEntry, GateParameters, GateStatesValue, Interval,
    TrafficClassSettings, Uplink,
};
use super::super::{Converted, FormatError, Loss};
use super::shape::{
    ControlList, Document, GateParameterTable, Interface, Rational, SET_GATE_STATES,
};
use super::write::{ETHERNET, SUPPORTED_CYCLE_MAX, SUPPORTED_INTERVAL_MAX, SUPPORTED_LIST_MAX};

const INTERFACES: &str = "ietf-interfaces:interfaces";
const OF_ANOTHER_MODULE: &str = "another concern than the gates of the port";
const STATE: &str = "state of a running port, not configuration";

pub fn read(text: &str, device: Option<&str>) -> Result<Converted<Uplink>, FormatError> {
    let Document { interfaces, rest } = parse(text)?;
    let mut losses = not_read("", rest);
    losses.extend(not_read(&format!("{INTERFACES}/"), interfaces.rest));
    let scheduled: Vec<String> = interfaces
        .interface
        .iter()
        .filter(|interface| interface.is_scheduled())
        .map(|interface| interface.name.clone())
        .collect();
    let wanted = match (device, scheduled.as_slice()) {
        (Some(device), names) if names.iter().any(|name| name == device) => device,
        (None, [only]) => only,
        (_, []) => {
            return Err(FormatError::value(
                INTERFACES,
                "no interface has an ieee802-dot1dc-sched-if:gate-parameter-table",
            ));
        }
        (_, names) => {
            return Err(FormatError::value(
                INTERFACES,
                format!(
                    "choose one of the interfaces with gates: {}",
                    names.join(", ")
                ),
            ));
        }
    };
    let mut chosen = None;
    for interface in interfaces.interface {
        let path = format!("{INTERFACES}/interface[name='{}']", interface.name);
        if interface.name != wanted {
            losses.push(Loss::new(
                format!("{INTERFACES}/interface"),
                interface.name,
                "another interface than the one chosen",
            ));
        } else if chosen.is_some() {
            return Err(FormatError::value(path, "is there twice; keep one"));
        } else {
            chosen = Some(uplink(&path, interface, &mut losses)?);
        }
    }
    chosen
        .map(|document| Converted { document, losses })
        .ok_or_else(|| FormatError::value(INTERFACES, "there are none"))
}

fn parse(text: &str) -> Result<Document, FormatError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let document = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." {
            "the document".to_owned()
        } else {
            shortened(path)
        };
        FormatError::value(place, without_names(error.inner().to_string()))
    })?;
    json.end()
        .map_err(|error| FormatError::value("after the document", error.to_string()))?;
    Ok(document)
}

/// The beginning of a path, which endless nesting makes endless.
fn shortened(path: String) -> String {
    const LONGEST: usize = 300;
    match path.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &path[..end]),
        None => path,
    }
}

/// An unknown node without the list of all known ones.
fn without_names(reason: String) -> String {
    match reason.split_once(", expected one of") {
        Some((unknown, rest)) => {
            let at = rest.rfind(" at line ").map_or("", |at| &rest[at..]);
            format!("{unknown}, which the module does not have here{at}")
        }
        None => reason,
    }
}

fn not_read(path: &str, members: Map<String, Value>) -> Vec<Loss> {
    members
        .into_iter()
        .map(|(name, value)| Loss::new(format!("{path}{name}"), value, OF_ANOTHER_MODULE))
        .collect()
}

impl Interface {
    fn is_scheduled(&self) -> bool {
        let of_bridge = self
            .bridge_port
            .as_ref()
            .and_then(|port| port.gates.as_ref());
        self.gates.is_some() || of_bridge.is_some()
    }
}

fn uplink(path: &str, interface: Interface, losses: &mut Vec<Loss>) -> Result<Uplink, FormatError> {
    if let Some(other) = interface.interface_type.filter(|name| name != ETHERNET) {
        losses.push(Loss::new(
            format!("{path}/type"),
            other,
            "tsnd asks the device itself what it is",
        ));
    }
    losses.extend(not_read(&format!("{path}/"), interface.rest));
    let mut of_bridge = None;
    if let Some(port) = interface.bridge_port {
        let path = format!("{path}/ieee802-dot1q-bridge:bridge-port/");
        losses.extend(not_read(&path, port.rest));
        of_bridge = port.gates;
    }
    let table = match (interface.gates, of_bridge) {
        (Some(table), None) | (None, Some(table)) => table,
        _ => {
            return Err(FormatError::value(
                path,
                "has a gate-parameter-table of its own and one of its bridge-port; keep one",
            ));
        }
    };
    let path = format!("{path}/gate-parameter-table");
    losses.extend(state(&path, &table));
    losses.extend(limits(&path, &table));
    Ok(Uplink {
        traffic_classes: table
            .queue_max_sdu_table
            .iter()
            .map(|row| TrafficClassSettings {
                queue_max_sdu: row.queue_max_sdu,
                ..TrafficClassSettings::numbered(row.traffic_class)
            })
            .collect(),
        gate_parameters: GateParameters {
            gate_enabled: table.gate_enabled,
            admin_gate_states: GateStatesValue::Mask(table.admin_gate_states.unwrap_or(0xff)),
            admin_base_time: BaseTime::checked(
                table.admin_base_time.seconds.0,
                table.admin_base_time.nanoseconds,
            )
            .map_err(|reason| FormatError::value(format!("{path}/admin-base-time"), reason))?,
            admin_cycle_time: cycle_time(
                &format!("{path}/admin-cycle-time"),
                table.admin_cycle_time,
            )?,
            admin_cycle_time_extension: Interval::from_ns(
                table.admin_cycle_time_extension.unwrap_or(0).into(),
            ),
            admin_control_list: control_list(&path, table.admin_control_list)?,
        },
        ..Uplink::on_device(&interface.name)
    })
}

/// A numerator of 0, which is no time, stands for no cycle time: the module has no other way to say so.
fn cycle_time(path: &str, cycle: Rational) -> Result<Option<CycleTimeSetting>, FormatError> {
    match (cycle.numerator, cycle.denominator) {
        (None, None) | (Some(0), Some(_)) => Ok(None),
        (_, Some(0)) => Err(FormatError::value(
            path,
            "denominator is 0; it is 1 or more",
        )),
        (Some(numerator), Some(denominator)) => Ok(Some(CycleTimeSetting {
            numerator,
            denominator,
        })),
        _ => Err(FormatError::value(
            path,
            "has a numerator or a denominator alone; give both",
        )),
    }
}

fn control_list(path: &str, list: ControlList) -> Result<Vec<GateControlEntry>, FormatError> {
    let mut entries = list.gate_control_entry;
    // The list is ordered by the system, so its order in the document says nothing (RFC 7950, 7.7.1).
    entries.sort_by_key(|entry| entry.index);
    let place = |index| format!("{path}/admin-control-list/gate-control-entry[index='{index}']");
    if let Some(twice) = entries
        .windows(2)
        .find(|pair| pair[0].index == pair[1].index)
    {
        return Err(FormatError::value(
            place(twice[0].index),
            "is there twice; an index is unique in the list",
        ));
    }
    let entry = |entry: super::shape::GateControlEntry| match entry.operation_name.as_str() {
        SET_GATE_STATES => Ok(GateControlEntry {
            gate_states_value: GateStatesValue::Mask(entry.gate_states_value),
            time_interval_value: Interval::from_ns(entry.time_interval_value.into()),
        }),
        name @ ("ieee802-dot1q-sched:set-and-hold-mac"
        | "ieee802-dot1q-sched:set-and-release-mac") => Err(FormatError::value(
            place(entry.index) + "/operation-name",
            format!("`{name}` preempts frames, which tsnd cannot; use `{SET_GATE_STATES}`"),
        )),
        name => Err(FormatError::value(
            place(entry.index) + "/operation-name",
            format!("`{name}` is no operation of the module; use `{SET_GATE_STATES}`"),
        )),
    };
    entries.into_iter().map(entry).collect()
}

fn state(path: &str, table: &GateParameterTable) -> Vec<Loss> {
    let overruns = table.queue_max_sdu_table.iter().map(|row| {
        let class = row.traffic_class;
        let name = format!("queue-max-sdu-table[traffic-class='{class}']/transmission-overrun");
        (name, &row.transmission_overrun)
    });
    let nodes = [
        ("oper-gate-states", &table.oper_gate_states),
        ("oper-control-list", &table.oper_control_list),
        ("oper-cycle-time", &table.oper_cycle_time),
        (
            "oper-cycle-time-extension",
            &table.oper_cycle_time_extension,
        ),
        ("oper-base-time", &table.oper_base_time),
        ("config-change-time", &table.config_change_time),
        ("tick-granularity", &table.tick_granularity),
        ("current-time", &table.current_time),
        ("config-pending", &table.config_pending),
        ("config-change-error", &table.config_change_error),
    ];
    let nodes = nodes.map(|(name, value)| (name.to_owned(), value));
    overruns
        .chain(nodes)
        .filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some(Loss::new(format!("{path}/{name}"), value, STATE))
        })
        .collect()
}

/// What the document says of another port's limits, and of when to begin.
fn limits(path: &str, table: &GateParameterTable) -> Vec<Loss> {
    let mut losses = Vec::new();
    let mut other = |name: &str, value: Option<String>, why: &str| {
        losses.extend(value.map(|value| Loss::new(format!("{path}/{name}"), value, why)));
    };
    const OTHER_LIMIT: &str = "tsnd has limits of its own";
    let unequal = |value: Option<u32>, ours| value.filter(|v| *v != ours).map(|v| v.to_string());
    other(
        "supported-list-max",
        unequal(table.supported_list_max, SUPPORTED_LIST_MAX),
        OTHER_LIMIT,
    );
    let cycle_max = table
        .supported_cycle_max
        .filter(|max| *max != SUPPORTED_CYCLE_MAX);
    other(
        "supported-cycle-max",
        cycle_max.map(|max| {
            let (n, d) = (max.numerator.unwrap_or(0), max.denominator.unwrap_or(1));
            format!("{n}/{d} s")
        }),
        OTHER_LIMIT,
    );
    other(
        "supported-interval-max",
        unequal(table.supported_interval_max, SUPPORTED_INTERVAL_MAX),
        OTHER_LIMIT,
    );
    let held_back = table.config_change == Some(false);
    other(
        "config-change",
        held_back.then(|| "false".to_owned()),
        "tsnd starts a schedule when `tsnctl apply` is run",
    );
    losses
}
