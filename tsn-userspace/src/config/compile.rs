//! From the words of the configuration to what the scheduler and the backend take.

use tsn_common::{MAX_RULES, Rule, RuleFields};
use tsn_core::{
    ClassParameters, GateControlEntry, GateStates, LateAction as CoreLateAction, LatePolicy,
    Schedule, ScheduleParameters, TrafficClass,
};
use tsn_port::PodAttachment;

use super::{
    ClassReference, ConfigurationError, GateParameters, GateStatesValue, LateAction, LaunchTimeUse,
    Match, Pod, Uplink, uplink,
};

/// An uplink as the worker takes it.
#[derive(Debug)]
pub struct CompiledUplink {
    /// Queues of the classes 0 to 7.
    pub classes: [ClassParameters; 8],
    /// Names of the classes 0 to 7.
    pub names: [Option<String>; 8],
    /// Bit i: frames of class i are dropped under `drop-critical`.
    pub critical: GateStates,
    /// The gates as configured.
    pub gates: CompiledGates,
}

/// Gate parameters as the scheduler takes them.
#[derive(Debug)]
pub struct CompiledGates {
    /// Whether the list runs.
    pub enabled: bool,
    /// The gates before the first cycle and while disabled.
    pub admin_gate_states: GateStates,
    /// The list; `None` if it is empty.
    pub schedule: Option<Box<Schedule>>,
}

/// How frames of one stream are treated.
#[derive(Debug, Clone, Copy)]
pub struct Treatment {
    /// The queue.
    pub class: TrafficClass,
    /// What a launch time means.
    pub launch_time: LaunchTimeUse,
    /// What is late, and what becomes of it.
    pub late: LatePolicy,
}

/// A pod as the backend and the worker take it.
#[derive(Debug)]
pub struct CompiledPod {
    /// For the backend.
    pub attachment: PodAttachment,
    /// For the worker: one for each of the attachment's rules.
    pub treatments: Vec<Treatment>,
}

/// Checks an uplink. `place` is its path in the document, for errors.
///
/// # Errors
///
/// The first value that cannot be used.
pub fn compile_uplink(place: &str, uplink: &Uplink) -> Result<CompiledUplink, ConfigurationError> {
    check_device_name(&format!("{place}.device"), &uplink.device)?;
    if uplink.link_speed == Some(0) {
        return Err(ConfigurationError::value(
            format!("{place}.link-speed"),
            "0 Mb/s; give the speed in Mb/s, or leave it out to read it from the device",
        ));
    }
    if uplink.per_frame_overhead > 1_000 {
        return Err(ConfigurationError::value(
            format!("{place}.per-frame-overhead"),
            format!(
                "{} bytes; at most 1000 (Ethernet has 24)",
                uplink.per_frame_overhead
            ),
        ));
    }
    if uplink.lead_probes > 1_000 {
        return Err(ConfigurationError::value(
            format!("{place}.lead-probes"),
            format!(
                "{} frames; at most 1000, which take a second",
                uplink.lead_probes
            ),
        ));
    }
    let mut classes = [ClassParameters {
        capacity: uplink::queue_capacity(),
        queue_max_sdu_bytes: None,
        launch_time_required: false,
    }; 8];
    let mut names: [Option<String>; 8] = Default::default();
    let mut seen = 0u8;
    let mut critical = 0u8;
    for (index, class) in uplink.traffic_classes.iter().enumerate() {
        let place = format!("{place}.traffic-classes[{index}]");
        let number = usize::from(class.number);
        if number > 7 {
            return Err(ConfigurationError::value(
                format!("{place}.number"),
                format!("traffic class {number} does not exist; classes are 0 to 7"),
            ));
        }
        if seen & (1 << number) != 0 {
            return Err(ConfigurationError::value(
                format!("{place}.number"),
                format!("traffic class {number} is given twice; keep one"),
            ));
        }
        seen |= 1 << number;
        if let Some(name) = &class.name {
            if name.is_empty() || name.bytes().all(|b| b.is_ascii_digit()) {
                return Err(ConfigurationError::value(
                    format!("{place}.name"),
                    format!("`{name}` could be taken for a number; give a name with a letter"),
                ));
            }
            if names.iter().flatten().any(|taken| taken == name) {
                return Err(ConfigurationError::value(
                    format!("{place}.name"),
                    format!("`{name}` names two classes; names are unique on an uplink"),
                ));
            }
        }
        if !(1..=65_536).contains(&class.capacity) {
            return Err(ConfigurationError::value(
                format!("{place}.capacity"),
                format!("{} frames; 1 to 65536", class.capacity),
            ));
        }
        names[number].clone_from(&class.name);
        critical |= u8::from(class.critical) << number;
        classes[number] = ClassParameters {
            capacity: class.capacity,
            queue_max_sdu_bytes: (class.queue_max_sdu != 0).then_some(class.queue_max_sdu),
            launch_time_required: class.launch_time_required,
        };
    }
    let gates = compile_gates(
        &format!("{place}.gate-parameters"),
        &uplink.gate_parameters,
        &names,
    )?;
    Ok(CompiledUplink {
        classes,
        names,
        critical: GateStates(critical),
        gates,
    })
}

/// Checks gate parameters; `names` are the uplink's class names.
///
/// # Errors
///
/// The first value that cannot be used.
pub fn compile_gates(
    place: &str,
    gates: &GateParameters,
    names: &[Option<String>; 8],
) -> Result<CompiledGates, ConfigurationError> {
    let states = |place: String, value: &GateStatesValue| match value {
        GateStatesValue::Mask(mask) => Ok(GateStates(*mask)),
        GateStatesValue::Open(open) => open.iter().try_fold(GateStates(0), |states, class| {
            let class = resolve(&place, class, names)?;
            Ok(GateStates(states.0 | 1 << class.as_u8()))
        }),
    };
    let admin_gate_states = states(
        format!("{place}.admin-gate-states"),
        &gates.admin_gate_states,
    )?;
    let mut entries = Vec::with_capacity(gates.admin_control_list.len());
    for (index, entry) in gates.admin_control_list.iter().enumerate() {
        entries.push(GateControlEntry {
            gate_states: states(
                format!("{place}.admin-control-list[{index}].gate-states-value"),
                &entry.gate_states_value,
            )?,
            time_interval: entry.time_interval_value.into(),
        });
    }
    let schedule = if entries.is_empty() {
        None
    } else {
        let parameters = ScheduleParameters {
            base_time: gates.admin_base_time.instant(),
            cycle_time: gates.admin_cycle_time.map(Into::into),
            cycle_time_extension: gates.admin_cycle_time_extension.into(),
            entries,
        };
        let schedule = Schedule::new(parameters)
            .map_err(|error| ConfigurationError::value(place, error.to_string()))?;
        Some(Box::new(schedule))
    };
    Ok(CompiledGates {
        // Without a list the gates stand as `admin-gate-states` says, also when one ran before.
        enabled: gates.gate_enabled && schedule.is_some(),
        admin_gate_states,
        schedule,
    })
}

/// Checks a pod against the uplink that it uses. `place` is its path in the document, for errors.
///
/// # Errors
///
/// The first value that cannot be used.
pub fn compile_pod(
    place: &str,
    pod: &Pod,
    names: &[Option<String>; 8],
) -> Result<CompiledPod, ConfigurationError> {
    let name_is_safe = !pod.name.is_empty()
        && pod.name.len() <= 63
        && !pod.name.starts_with('.')
        && pod
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !name_is_safe {
        return Err(ConfigurationError::value(
            format!("{place}.name"),
            format!(
                "`{}`; 1 to 63 letters, digits, `-`, `_` and `.`, not beginning with `.`",
                pod.name
            ),
        ));
    }
    if !pod.netns.is_absolute() {
        return Err(ConfigurationError::value(
            format!("{place}.netns"),
            format!(
                "`{}` is no absolute path; such as /var/run/netns/pod1",
                pod.netns.display()
            ),
        ));
    }
    check_device_name(&format!("{place}.interface"), &pod.interface)?;
    if !(1..=65_536).contains(&pod.frame_quota) {
        return Err(ConfigurationError::value(
            format!("{place}.frame-quota"),
            format!("{} frames; 1 to 65536", pod.frame_quota),
        ));
    }
    if !(1..=MAX_RULES).contains(&pod.streams.len()) {
        return Err(ConfigurationError::value(
            format!("{place}.streams"),
            format!("there are {}; 1 to {MAX_RULES}", pod.streams.len()),
        ));
    }
    let mut rules = Vec::with_capacity(pod.streams.len());
    let mut treatments = Vec::with_capacity(pod.streams.len());
    for (index, stream) in pod.streams.iter().enumerate() {
        let place = format!("{place}.streams[{index}]");
        if stream.name.is_empty() || pod.streams[..index].iter().any(|s| s.name == stream.name) {
            return Err(ConfigurationError::value(
                format!("{place}.name"),
                format!(
                    "`{}` is empty or taken; names are unique in a pod",
                    stream.name
                ),
            ));
        }
        let class = resolve(
            &format!("{place}.traffic-class"),
            &stream.traffic_class,
            names,
        )?;
        rules.push(rule(&format!("{place}.match"), &stream.selector, class)?);
        treatments.push(Treatment {
            class,
            launch_time: stream.launch_time,
            late: LatePolicy {
                tolerance: stream.late_tolerance.into(),
                action: match stream.late {
                    LateAction::Drop => CoreLateAction::Drop,
                    LateAction::Send => CoreLateAction::Send,
                },
            },
        });
    }
    let attachment = PodAttachment {
        name: pod.name.clone(),
        netns: pod.netns.clone(),
        interface: pod.interface.clone(),
        rules,
    };
    Ok(CompiledPod {
        attachment,
        treatments,
    })
}

fn check_device_name(place: &str, name: &str) -> Result<(), ConfigurationError> {
    if (1..=15).contains(&name.len()) && !name.contains(['/', '\0', ' ']) {
        return Ok(());
    }
    Err(ConfigurationError::value(
        place,
        format!("`{name}` is no device name; 1 to 15 characters, such as eth0"),
    ))
}

fn resolve(
    place: &str,
    class: &ClassReference,
    names: &[Option<String>; 8],
) -> Result<TrafficClass, ConfigurationError> {
    let number = match class {
        ClassReference::Number(number) => Some(*number),
        ClassReference::Name(wanted) => names
            .iter()
            .position(|name| name.as_deref() == Some(wanted))
            .map(|number| number as u8),
    };
    number.and_then(TrafficClass::new).ok_or_else(|| {
        let known: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
        ConfigurationError::value(
            place,
            format!(
                "there is no traffic class `{class}`; 0 to 7, or one of [{}]",
                known.join(", ")
            ),
        )
    })
}

fn rule(place: &str, selector: &Match, class: TrafficClass) -> Result<Rule, ConfigurationError> {
    let mut rule = Rule {
        traffic_class: class.as_u8(),
        ..Rule::default()
    };
    let wrong = |field: &str, value: u32, limits: &str| {
        ConfigurationError::value(format!("{place}.{field}"), format!("{value}; {limits}"))
    };
    if let Some(ethertype) = selector.ethertype {
        if ethertype < 0x600 {
            return Err(wrong(
                "ethertype",
                ethertype.into(),
                "an EtherType is 0x600 or more",
            ));
        }
        rule.fields |= RuleFields::ETHERTYPE;
        rule.ethertype = ethertype;
    }
    if let Some(vlan_id) = selector.vlan_id {
        if vlan_id > 4094 {
            return Err(wrong("vlan-id", vlan_id.into(), "0 to 4094"));
        }
        rule.fields |= RuleFields::VLAN_ID;
        rule.vlan_id = vlan_id;
    }
    if let Some(pcp) = selector.pcp {
        if pcp > 7 {
            return Err(wrong("pcp", pcp.into(), "0 to 7"));
        }
        rule.fields |= RuleFields::PCP;
        rule.pcp = pcp;
    }
    if let Some(dscp) = selector.dscp {
        if dscp > 63 {
            return Err(wrong("dscp", dscp.into(), "0 to 63"));
        }
        rule.fields |= RuleFields::DSCP;
        rule.dscp = dscp;
    }
    if let Some(ports) = selector.udp_destination_port {
        rule.fields |= RuleFields::UDP_PORT;
        rule.udp_port_first = ports.first;
        rule.udp_port_last = ports.last;
    }
    if let Some(priority) = selector.priority {
        rule.fields |= RuleFields::PRIORITY;
        rule.priority = priority;
    }
    Ok(rule)
}
