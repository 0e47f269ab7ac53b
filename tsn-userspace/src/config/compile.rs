//! From the words of the configuration to what the scheduler and the backend take.

mod pod;

use tsn_core::{
    ClassParameters, GateControlEntry, GateStates, Schedule, ScheduleError, ScheduleParameters,
    TrafficClass,
};

pub use pod::{CompiledPod, Treatment, compile_pod, compile_rules};
pub(super) use pod::{pod_in, profile_in};

use super::names::{check_name, check_uplink_device};
use super::{
    ClassReference, ConfigurationError, Faults, GateParameters, GateStatesValue, Uplink, printable,
    uplink,
};

/// An uplink as the worker takes it.
#[derive(Debug)]
pub struct CompiledUplink {
    /// Queues of the classes 0 to 7.
    pub classes: [ClassParameters; 8],
    /// Names of the classes 0 to 7.
    pub names: [Option<String>; 8],
    /// What the classes 0 to 7 write into headers that are put around their frames.
    pub markings: [Marking; 8],
    /// Bit i: frames of class i are dropped under `drop-critical`.
    pub critical: GateStates,
    /// The gates as configured.
    pub gates: CompiledGates,
}

/// What a traffic class writes into the headers that the daemon puts around the frames of overlay pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marking {
    /// DSCP of the outer IP header, 0 to 63; `None`: as the kernel would.
    pub dscp: Option<u8>,
    /// Priority code point of a VLAN tag, 0 to 7.
    pub pcp: u8,
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

/// Checks an uplink. `place` is its path in the document, for errors.
///
/// # Errors
///
/// The first value that cannot be used.
pub fn compile_uplink(place: &str, uplink: &Uplink) -> Result<CompiledUplink, ConfigurationError> {
    Faults::none_in(|faults| {
        check_link(place, uplink, faults);
        let classes = compile_classes(place, uplink, faults);
        let gates = gates_in(
            &format!("{place}.gate-parameters"),
            &uplink.gate_parameters,
            &classes.names,
            faults,
        );
        CompiledUplink {
            classes: classes.parameters,
            names: classes.names,
            markings: classes.markings,
            critical: classes.critical,
            gates,
        }
    })
}

/// Checks what an uplink has beside classes and gates.
pub(super) fn check_link(place: &str, uplink: &Uplink, faults: &mut Faults) {
    check_uplink_device(&format!("{place}.device"), &uplink.device, faults);
    if uplink.link_speed == Some(0) {
        faults.add(
            format!("{place}.link-speed"),
            "0 Mb/s; give the speed in Mb/s, or leave it out to read it from the device",
        );
    }
    if uplink.per_frame_overhead > 1_000 {
        faults.add(
            format!("{place}.per-frame-overhead"),
            format!(
                "{} bytes; at most 1000 (Ethernet has 24)",
                uplink.per_frame_overhead
            ),
        );
    }
    if uplink.lead_probes > 1_000 {
        faults.add(
            format!("{place}.lead-probes"),
            format!(
                "{} frames; at most 1000, which take a second",
                uplink.lead_probes
            ),
        );
    }
}

/// The traffic classes 0 to 7 of an uplink.
pub(super) struct CompiledClasses {
    pub parameters: [ClassParameters; 8],
    pub names: [Option<String>; 8],
    pub markings: [Marking; 8],
    pub critical: GateStates,
}

pub(super) fn compile_classes(
    place: &str,
    uplink: &Uplink,
    faults: &mut Faults,
) -> CompiledClasses {
    let mut parameters = [ClassParameters {
        capacity: uplink::queue_capacity(),
        queue_max_sdu_bytes: None,
        launch_time_required: false,
    }; 8];
    let mut names: [Option<String>; 8] = Default::default();
    let mut markings = std::array::from_fn(|number| Marking {
        dscp: None,
        pcp: number as u8,
    });
    let mut seen = 0u8;
    let mut critical = 0u8;
    for (index, class) in uplink.traffic_classes.iter().enumerate() {
        let place = format!("{place}.traffic-classes[{index}]");
        if let Some(name) = &class.name {
            let place = format!("{place}.name");
            check_name(&place, name, faults);
            if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
                faults.add(
                    &place,
                    format!("`{name}` could be taken for a number; give a name with a letter"),
                );
            }
            if names.iter().flatten().any(|taken| taken == name) {
                faults.add(
                    place,
                    format!(
                        "`{}` names two classes; names are unique on an uplink",
                        printable(name)
                    ),
                );
            }
        }
        if !(1..=65_536).contains(&class.capacity) {
            faults.add(
                format!("{place}.capacity"),
                format!("{} frames; 1 to 65536", class.capacity),
            );
        }
        if let Some(dscp @ 64..) = class.dscp {
            faults.add(format!("{place}.dscp"), format!("{dscp}; 0 to 63"));
        }
        if let Some(pcp @ 8..) = class.pcp {
            faults.add(format!("{place}.pcp"), format!("{pcp}; 0 to 7"));
        }
        let number = usize::from(class.number);
        if number > 7 {
            faults.add(
                format!("{place}.number"),
                format!("traffic class {number} does not exist; classes are 0 to 7"),
            );
            continue;
        }
        if seen & (1 << number) != 0 {
            faults.add(
                format!("{place}.number"),
                format!("traffic class {number} is given twice; keep one"),
            );
            continue;
        }
        seen |= 1 << number;
        names[number].clone_from(&class.name);
        critical |= u8::from(class.critical) << number;
        markings[number] = Marking {
            dscp: class.dscp,
            pcp: class.pcp.unwrap_or(class.number),
        };
        parameters[number] = ClassParameters {
            capacity: class.capacity,
            queue_max_sdu_bytes: (class.queue_max_sdu != 0).then_some(class.queue_max_sdu),
            launch_time_required: class.launch_time_required,
        };
    }
    CompiledClasses {
        parameters,
        names,
        markings,
        critical: GateStates(critical),
    }
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
    Faults::none_in(|faults| gates_in(place, gates, names, faults))
}

pub(super) fn gates_in(
    place: &str,
    gates: &GateParameters,
    names: &[Option<String>; 8],
    faults: &mut Faults,
) -> CompiledGates {
    let states = |place: String, value: &GateStatesValue, faults: &mut Faults| match value {
        GateStatesValue::Mask(mask) => GateStates(*mask),
        GateStatesValue::Open(open) => open.iter().fold(GateStates(0), |states, class| {
            let class = resolve(&place, class, names, faults);
            GateStates(states.0 | class.map_or(0, |class| 1 << class.as_u8()))
        }),
    };
    let admin_gate_states = states(
        format!("{place}.admin-gate-states"),
        &gates.admin_gate_states,
        faults,
    );
    let list = format!("{place}.admin-control-list");
    let mut entries = Vec::with_capacity(gates.admin_control_list.len());
    for (index, entry) in gates.admin_control_list.iter().enumerate() {
        entries.push(GateControlEntry {
            gate_states: states(
                format!("{list}[{index}].gate-states-value"),
                &entry.gate_states_value,
                faults,
            ),
            time_interval: entry.time_interval_value.into(),
        });
    }
    let schedule = if entries.is_empty() {
        None
    } else {
        Schedule::new(ScheduleParameters {
            base_time: gates.admin_base_time.instant(),
            cycle_time: gates.admin_cycle_time.map(Into::into),
            cycle_time_extension: gates.admin_cycle_time_extension.into(),
            entries,
        })
        .map_err(|error| faults.add(place_of(&error, place, &list), reason_of(&error)))
        .ok()
    };
    CompiledGates {
        // Without a list the gates stand as `admin-gate-states` says, also when one ran before.
        enabled: gates.gate_enabled && schedule.is_some(),
        admin_gate_states,
        schedule: schedule.map(Box::new),
    }
}

fn place_of(error: &ScheduleError, gates: &str, list: &str) -> String {
    match error {
        ScheduleError::NoEntries | ScheduleError::TooManyEntries { .. } => list.to_owned(),
        ScheduleError::ZeroDenominator | ScheduleError::CycleTooShort { .. } => {
            format!("{gates}.admin-cycle-time")
        }
        ScheduleError::IntervalsTooLong { entry, .. } => {
            format!("{list}[{entry}].time-interval-value")
        }
    }
}

/// The core names its own field first; the place says it in the words of the file.
fn reason_of(error: &ScheduleError) -> String {
    let message = error.to_string();
    match message.split_once(": ") {
        Some((_, reason)) => reason.to_owned(),
        None => message,
    }
}

fn resolve(
    place: &str,
    class: &ClassReference,
    names: &[Option<String>; 8],
    faults: &mut Faults,
) -> Option<TrafficClass> {
    let resolved = class.resolve(names);
    if resolved.is_none() {
        let known: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
        faults.add(
            place,
            format!(
                "there is no traffic class `{}`; 0 to 7, or one of [{}]",
                printable(&class.to_string()),
                known.join(", ")
            ),
        );
    }
    resolved
}
