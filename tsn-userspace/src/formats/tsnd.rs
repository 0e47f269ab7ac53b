//! The configuration file of `tsnd`: read as a whole, written with its uplink alone.

use super::config::{
    BaseTime, ClassReference, ClockSettings, Configuration, CycleTimeSetting, DpdkSettings,
    GateControlEntry, GateParameters, GateStatesValue, Interval, TrafficClassSettings, Uplink,
    WorkerSettings,
};
use super::loss::changed_settings;
use super::{Converted, FormatError, Loss, gates};

pub(super) fn read(text: &str) -> Result<Converted<Uplink>, FormatError> {
    let mut configuration = Configuration::from_yaml(text)?;
    let mut losses: Vec<Loss> = configuration
        .stream_lists()
        .map(|list| {
            Loss::new(
                list.place,
                list.owner,
                "pods, profiles and their streams are of this node; the other formats describe a port's gates",
            )
        })
        .collect();
    const WHY: &str = "a setting of tsnd's own";
    let (worker, clock) = (&configuration.worker, &configuration.clock);
    losses.extend(changed_settings(
        "worker",
        worker,
        &WorkerSettings::default(),
        WHY,
    ));
    losses.extend(changed_settings(
        "clock",
        clock,
        &ClockSettings::default(),
        WHY,
    ));
    losses.extend(changed_settings(
        "dpdk",
        &configuration.dpdk,
        &DpdkSettings::default(),
        WHY,
    ));
    Ok(Converted {
        document: configuration.uplinks.remove(0), // there is exactly one: the configuration was checked
        losses,
    })
}

/// A whole file with this uplink, and without pods.
pub(super) fn write(uplink: &Uplink) -> String {
    // Field by field, so that a new one cannot be forgotten here.
    let Uplink {
        device,
        link_speed,
        per_frame_overhead,
        lead_probes,
        traffic_classes,
        gate_parameters,
    } = uplink;
    let mut lines = vec![
        "# The gates and classes of an uplink. Add the pods and their streams before use."
            .to_owned(),
        String::new(),
        "uplinks:".to_owned(),
        format!("  - device: {}", scalar(device)),
    ];
    let default = Uplink::on_device(device);
    if let Some(speed) = link_speed {
        lines.push(format!("    link-speed: {speed}"));
    }
    if *per_frame_overhead != default.per_frame_overhead {
        lines.push(format!("    per-frame-overhead: {per_frame_overhead}"));
    }
    if *lead_probes != default.lead_probes {
        lines.push(format!("    lead-probes: {lead_probes}"));
    }
    if !traffic_classes.is_empty() {
        lines.push("    traffic-classes:".to_owned());
        let classes = traffic_classes.iter();
        lines.extend(classes.map(|class| format!("      - {}", flow(&class_members(class)))));
    }
    lines.push("    gate-parameters:".to_owned());
    lines.extend(gate_lines(gate_parameters));
    lines.join("\n") + "\n"
}

fn class_members(class: &TrafficClassSettings) -> Vec<(&'static str, String)> {
    let TrafficClassSettings {
        number,
        name,
        queue_max_sdu,
        capacity,
        launch_time_required,
        critical,
        dscp,
        pcp,
    } = class;
    let default = TrafficClassSettings::numbered(*number);
    let mut members = vec![("number", number.to_string())];
    if let Some(name) = name {
        members.push(("name", scalar(name)));
    }
    if *queue_max_sdu != default.queue_max_sdu {
        members.push(("queue-max-sdu", queue_max_sdu.to_string()));
    }
    if *capacity != default.capacity {
        members.push(("capacity", capacity.to_string()));
    }
    if *launch_time_required != default.launch_time_required {
        members.push(("launch-time-required", launch_time_required.to_string()));
    }
    if *critical != default.critical {
        members.push(("critical", critical.to_string()));
    }
    for (name, value) in [("dscp", dscp), ("pcp", pcp)] {
        members.extend(value.map(|value| (name, value.to_string())));
    }
    members
}

fn gate_lines(gates: &GateParameters) -> Vec<String> {
    let GateParameters {
        gate_enabled,
        admin_gate_states,
        admin_base_time: BaseTime {
            seconds,
            nanoseconds,
        },
        admin_cycle_time,
        admin_cycle_time_extension,
        admin_control_list,
    } = gates;
    let default = GateParameters::default();
    let mut members = Vec::new();
    if *gate_enabled != default.gate_enabled {
        members.push(("gate-enabled", gate_enabled.to_string()));
    }
    if *admin_gate_states != default.admin_gate_states {
        members.push(("admin-gate-states", open_classes(admin_gate_states)));
    }
    let base_time = format!("{{ seconds: {seconds}, nanoseconds: {nanoseconds} }}");
    members.push(("admin-base-time", base_time));
    if let Some(cycle) = admin_cycle_time {
        members.push(("admin-cycle-time", cycle_time(*cycle)));
    }
    if *admin_cycle_time_extension != default.admin_cycle_time_extension {
        let extension = interval(*admin_cycle_time_extension);
        members.push(("admin-cycle-time-extension", extension));
    }
    let list = if admin_control_list.is_empty() {
        " []"
    } else {
        ""
    };
    let lines = members
        .into_iter()
        .map(|(name, value)| format!("      {name}: {value}"))
        .chain([format!("      admin-control-list:{list}")]);
    let entries = admin_control_list.iter().map(|entry| {
        let GateControlEntry {
            gate_states_value,
            time_interval_value,
        } = entry;
        let members = [
            ("gate-states-value", open_classes(gate_states_value)),
            ("time-interval-value", interval(*time_interval_value)),
        ];
        format!("        - {}", flow(&members))
    });
    lines.chain(entries).collect()
}

fn flow(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    format!("{{ {} }}", members.join(", "))
}

fn open_classes(states: &GateStatesValue) -> String {
    let classes: Vec<String> = match states {
        GateStatesValue::Mask(0xff) => return "0xff".to_owned(),
        GateStatesValue::Mask(mask) => (0..8)
            .filter(|class| mask & 1 << class != 0)
            .map(|class| class.to_string())
            .collect(),
        GateStatesValue::Open(open) => open
            .iter()
            .map(|class| match class {
                ClassReference::Number(number) => number.to_string(),
                ClassReference::Name(name) => scalar(name),
            })
            .collect(),
    };
    format!("[{}]", classes.join(", "))
}

/// As a duration where that says the same fraction.
fn cycle_time(cycle: CycleTimeSetting) -> String {
    let (ns, exact) = gates::whole_ns(cycle);
    let duration = Interval::from_ns(ns);
    if exact && CycleTimeSetting::from_interval(duration) == Ok(cycle) {
        return interval(duration);
    }
    let CycleTimeSetting {
        numerator,
        denominator,
    } = cycle;
    format!("{{ numerator: {numerator}, denominator: {denominator} }}")
}

/// In the largest unit that needs no fraction.
fn interval(Interval { ns }: Interval) -> String {
    [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")]
        .into_iter()
        .find(|(scale, _)| ns != 0 && ns.is_multiple_of(*scale))
        .map_or(format!("{ns}ns"), |(scale, unit)| {
            format!("{}{unit}", ns / scale)
        })
}

/// A text as YAML: plain if it cannot be taken for anything else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let escaped = text.chars().map(|c| match c {
        ' '..='~' if c != '"' && c != '\\' => c.to_string(),
        _ => format!("\\U{:08x}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}
