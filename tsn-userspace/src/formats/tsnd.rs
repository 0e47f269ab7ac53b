//! The configuration file of `tsnd`: read as a whole, written with its uplink alone.

use super::config::{
    BaseTime, ClassReference, ClockSettings, Configuration, CycleTimeSetting, GateParameters,
    GateStatesValue, Interval, TrafficClassSettings, Uplink, WorkerSettings,
};
use super::loss::changed_settings;
use super::{Converted, FormatError, Loss, gates};

pub(super) fn read(text: &str) -> Result<Converted<Uplink>, FormatError> {
    let mut configuration = Configuration::from_yaml(text)?;
    let mut losses: Vec<Loss> = configuration
        .pods
        .iter()
        .enumerate()
        .map(|(index, pod)| {
            Loss::new(
                format!("pods[{index}]"),
                &pod.name,
                "pods and their streams are of this node; the other formats describe a port's gates",
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
    Ok(Converted {
        document: configuration.uplinks.remove(0), // there is exactly one: the configuration was checked
        losses,
    })
}

/// A whole file with this uplink, and without pods.
pub(super) fn write(uplink: &Uplink) -> String {
    let mut lines = vec![
        "# The gates and classes of an uplink. Add the pods and their streams before use."
            .to_owned(),
        String::new(),
        "uplinks:".to_owned(),
        format!("  - device: {}", scalar(&uplink.device)),
    ];
    let default = Uplink::on_device(&uplink.device);
    if let Some(speed) = uplink.link_speed {
        lines.push(format!("    link-speed: {speed}"));
    }
    if uplink.per_frame_overhead != default.per_frame_overhead {
        lines.push(format!(
            "    per-frame-overhead: {}",
            uplink.per_frame_overhead
        ));
    }
    if uplink.lead_probes != default.lead_probes {
        lines.push(format!("    lead-probes: {}", uplink.lead_probes));
    }
    if !uplink.traffic_classes.is_empty() {
        lines.push("    traffic-classes:".to_owned());
        let classes = uplink.traffic_classes.iter();
        lines.extend(classes.map(|class| format!("      - {}", flow(&class_members(class)))));
    }
    lines.push("    gate-parameters:".to_owned());
    lines.extend(gate_lines(&uplink.gate_parameters));
    lines.join("\n") + "\n"
}

fn class_members(class: &TrafficClassSettings) -> Vec<(&'static str, String)> {
    let default = TrafficClassSettings::numbered(class.number);
    let mut members = vec![("number", class.number.to_string())];
    if let Some(name) = &class.name {
        members.push(("name", scalar(name)));
    }
    if class.queue_max_sdu != default.queue_max_sdu {
        members.push(("queue-max-sdu", class.queue_max_sdu.to_string()));
    }
    if class.capacity != default.capacity {
        members.push(("capacity", class.capacity.to_string()));
    }
    if class.launch_time_required {
        members.push(("launch-time-required", "true".to_owned()));
    }
    if class.critical {
        members.push(("critical", "true".to_owned()));
    }
    members
}

fn gate_lines(gates: &GateParameters) -> Vec<String> {
    let BaseTime {
        seconds,
        nanoseconds,
    } = gates.admin_base_time;
    let default = GateParameters::default();
    let mut members = Vec::new();
    if gates.gate_enabled != default.gate_enabled {
        members.push(("gate-enabled", gates.gate_enabled.to_string()));
    }
    if gates.admin_gate_states != default.admin_gate_states {
        members.push(("admin-gate-states", open_classes(&gates.admin_gate_states)));
    }
    let base_time = format!("{{ seconds: {seconds}, nanoseconds: {nanoseconds} }}");
    members.push(("admin-base-time", base_time));
    if let Some(cycle) = gates.admin_cycle_time {
        members.push(("admin-cycle-time", cycle_time(cycle)));
    }
    if gates.admin_cycle_time_extension.ns != 0 {
        let extension = interval(gates.admin_cycle_time_extension);
        members.push(("admin-cycle-time-extension", extension));
    }
    let list = if gates.admin_control_list.is_empty() {
        " []"
    } else {
        ""
    };
    let lines = members
        .into_iter()
        .map(|(name, value)| format!("      {name}: {value}"))
        .chain([format!("      admin-control-list:{list}")]);
    let entries = gates.admin_control_list.iter().map(|entry| {
        let members = [
            ("gate-states-value", open_classes(&entry.gate_states_value)),
            ("time-interval-value", interval(entry.time_interval_value)),
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
