//! A taprio command as an uplink.

use super::super::config::{
    BaseTime, GateControlEntry, GateParameters, GateStatesValue, Interval, TrafficClassSettings,
    Uplink,
};
use super::super::{Converted, FormatError, Loss, gates};
use super::command::{At, Command};
use super::words::{Word, commands};
use super::{HANDLE, identity_map, identity_queues};

/// Flags of taprio (linux/pkt_sched.h).
const TXTIME_ASSIST: u64 = 1;
const FULL_OFFLOAD: u64 = 2;

pub fn read(text: &str) -> Result<Converted<Uplink>, FormatError> {
    let is_taprio = |words: &Vec<Word>| words.iter().any(|word| word.text == "taprio");
    let (mut ours, others): (Vec<_>, Vec<_>) = commands(text).into_iter().partition(is_taprio);
    let words = match (ours.pop(), ours.first()) {
        (Some(words), None) => words,
        (None, _) => {
            return Err(FormatError::value(
                "taprio",
                "there is no `tc qdisc replace ... taprio` command (a line that begins with # is a comment)",
            ));
        }
        (Some(second), Some(_)) => {
            return Err(FormatError::value(
                second.first().map_or_else(String::new, Word::place),
                "another taprio command; keep one, since a configuration has one uplink",
            ));
        }
    };
    let mut losses: Vec<Loss> = others
        .iter()
        .map(|words| {
            let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            let place = words.first().map_or_else(String::new, Word::place);
            Loss::new(place, texts.join(" "), "only the taprio command is read")
        })
        .collect();
    let command = Command::parse(words)?;
    check_clock(&command)?;
    let document = uplink(&command)?;
    losses.extend(not_carried(&command)?);
    Ok(Converted { document, losses })
}

fn wrong<T>(at: &At<T>, reason: impl std::fmt::Display) -> FormatError {
    FormatError::value(at.word.place(), format!("{} {reason}", at.word.text))
}

/// The number of classes, if the command gives one: without it, it changes the schedule of a qdisc that is there.
fn number_of_classes(command: &Command) -> Result<Option<u8>, FormatError> {
    let Some(at) = &command.classes else {
        return Ok(None);
    };
    match u8::try_from(at.value) {
        Ok(classes) if (1..=8).contains(&classes) => Ok(Some(classes)),
        _ => Err(wrong(
            at,
            format!("{}: tsnd has 1 to 8 traffic classes", at.value),
        )),
    }
}

fn uplink(command: &Command) -> Result<Uplink, FormatError> {
    let Some(device) = &command.device else {
        return Err(FormatError::value(
            "taprio",
            "dev is missing: which device?",
        ));
    };
    let nanoseconds = |at: &Option<At<u64>>| at.as_ref().map_or(0, |at| at.value);
    let classes = number_of_classes(command)?;
    let cycle_time = match &command.cycle_time_ns {
        Some(At { value: 1.., word }) => {
            let ns = nanoseconds(&command.cycle_time_ns);
            Some(gates::fraction(&word.place(), ns)?)
        }
        _ => None, // 0 is what the kernel takes for none
    };
    Ok(Uplink {
        traffic_classes: traffic_classes(command, classes)?,
        gate_parameters: GateParameters {
            admin_base_time: BaseTime::from_ns(nanoseconds(&command.base_time_ns)),
            admin_cycle_time: cycle_time,
            admin_cycle_time_extension: Interval::from_ns(nanoseconds(
                &command.cycle_time_extension_ns,
            )),
            admin_control_list: control_list(command, classes)?,
            ..GateParameters::default()
        },
        ..Uplink::on_device(&device.value)
    })
}

fn traffic_classes(
    command: &Command,
    classes: Option<u8>,
) -> Result<Vec<TrafficClassSettings>, FormatError> {
    let limits: &[u64] = match &command.max_sdu_bytes {
        Some(at) => {
            let most = usize::from(classes.unwrap_or(8));
            if at.value.len() > most {
                return Err(wrong(
                    at,
                    format!("has more than the {most} values of num_tc"),
                ));
            }
            &at.value
        }
        None => &[],
    };
    let number = classes.map_or(limits.len(), usize::from);
    (0..8)
        .take(number)
        .zip(limits.iter().chain(std::iter::repeat(&0)))
        .map(|(class, limit)| {
            let queue_max_sdu = u32::try_from(*limit).map_err(|_| {
                FormatError::value("max-sdu", format!("{limit} bytes; at most {}", u32::MAX))
            })?;
            Ok(TrafficClassSettings {
                queue_max_sdu,
                ..TrafficClassSettings::numbered(class)
            })
        })
        .collect()
}

fn control_list(
    command: &Command,
    classes: Option<u8>,
) -> Result<Vec<GateControlEntry>, FormatError> {
    if command.entries.is_empty() {
        return Err(FormatError::value(
            "taprio",
            "sched-entry is missing; a schedule has at least one",
        ));
    }
    // Bits of classes beyond num_tc mean nothing to the kernel; `beyond_classes` names them.
    let existing = classes.map_or(u64::MAX, |classes| (1 << classes) - 1);
    let entry = |at: &At<(u64, u64)>| {
        let (mask, interval_ns) = at.value;
        let mask = u8::try_from(mask & existing).map_err(|_| {
            wrong(
                at,
                format!("{mask:x}: tsnd has 8 traffic classes, 00 to ff"),
            )
        })?;
        if interval_ns == 0 {
            return Err(wrong(
                at,
                "lasts 0 ns; the kernel takes none shorter than a frame of 60 bytes, 480 ns at 1 Gb/s",
            ));
        }
        Ok(GateControlEntry {
            gate_states_value: GateStatesValue::Mask(mask),
            time_interval_value: Interval::from_ns(interval_ns),
        })
    };
    command.entries.iter().map(entry).collect()
}

/// `tsnd` counts in CLOCK_TAI. A base time in another clock would be another instant.
fn check_clock(command: &Command) -> Result<(), FormatError> {
    let flags = command.flags.as_ref().map(|at| at.value);
    let full_offload = flags == Some(FULL_OFFLOAD);
    match &command.clock {
        None if full_offload => Ok(()),
        None => Err(FormatError::value(
            "taprio",
            "clockid is missing, which the kernel demands without full offload; write clockid CLOCK_TAI, and the \
             base-time in it",
        )),
        Some(at) if full_offload => Err(wrong(
            at,
            "goes with no full offload (flags 0x2), which the kernel refuses; remove one",
        )),
        Some(at) => {
            let name = at.value.to_ascii_uppercase();
            match name.strip_prefix("CLOCK_").unwrap_or(&name) {
                "TAI" => Ok(()),
                "REALTIME" | "MONOTONIC" | "BOOTTIME" => Err(wrong(
                    at,
                    format!(
                        "{}: tsnd counts in CLOCK_TAI; convert the base-time (TAI is ahead of REALTIME by the TAI-UTC \
                         offset, 37 s since 2017) and write clockid CLOCK_TAI",
                        at.value
                    ),
                )),
                _ => Err(wrong(at, format!("{}: is no clock; CLOCK_TAI", at.value))),
            }
        }
    }
}

/// The first mask with a bit of a class that does not exist.
fn beyond_classes(command: &Command, classes: u8) -> Option<Loss> {
    let is_beyond = |at: &&At<(u64, u64)>| at.value.0 >> classes != 0;
    let first = command.entries.iter().find(is_beyond)?;
    let all = command.entries.iter().filter(is_beyond).count();
    Some(Loss::new(
        format!("sched-entry in {}", first.word.place()),
        format!("{:02x}", first.value.0),
        format!(
            "num_tc {classes} has no classes beyond {}, whose gates mean nothing ({all} of the {} entries)",
            classes - 1,
            command.entries.len()
        ),
    ))
}

fn not_carried(command: &Command) -> Result<Vec<Loss>, FormatError> {
    let classes = number_of_classes(command)?.unwrap_or(8);
    let mut losses = Vec::new();
    losses.extend(beyond_classes(command, classes));
    if let Some(At { value, .. }) = &command.handle
        && value.trim_end_matches(':') != HANDLE
    {
        losses.push(Loss::new("handle", value, "tsnd is no qdisc"));
    }
    if let Some(at) = &command.map {
        if let Some(class) = at.value.iter().find(|class| **class >= classes.into()) {
            return Err(wrong(
                at,
                format!(
                    "has the traffic class {class}; num_tc allows 0 to {}",
                    classes - 1
                ),
            ));
        }
        let written: Vec<u64> = identity_map(classes).into_iter().map(u64::from).collect();
        let filled = at.value.iter().chain(std::iter::repeat(&0)).take(16);
        if !filled.eq(&written) {
            losses.push(Loss::new(
                "map",
                joined(&at.value),
                "the streams of the pods say which class a frame has, such as \
                 `{ match: { priority: 3 }, traffic-class: 0 }`",
            ));
        }
    }
    if let Some(At { value, .. }) = &command.queues
        && *value != identity_queues(classes)
    {
        let why = "tsnd queues by class itself and sends by one queue of the device";
        losses.push(Loss::new("queues", value.join(" "), why));
    }
    if let Some(at) = &command.flags {
        let why = match at.value {
            0 => None,
            TXTIME_ASSIST => {
                Some("txtime-assist: tsnd sends by its own clock and needs no etf qdisc")
            }
            FULL_OFFLOAD => Some(
                "full offload: the NIC's clock runs the gates there, CLOCK_TAI here; let phc2sys keep them together",
            ),
            flags => {
                return Err(wrong(
                    at,
                    format!(
                        "{flags:#x}: taprio knows 0x0, 0x1 (txtime-assist) and 0x2 (full offload)"
                    ),
                ));
            }
        };
        losses.extend(why.map(|why| Loss::new("flags", format!("{:#x}", at.value), why)));
    }
    if let Some(At {
        value: delay @ 1.., ..
    }) = &command.txtime_delay_ns
    {
        losses.push(Loss::new(
            "txtime-delay",
            format!("{delay} ns"),
            "of txtime-assist; tsnd measures its lead itself",
        ));
    }
    if let Some(At { value, .. }) = &command.preemption
        && value.iter().any(|class| class == "P")
    {
        losses.push(Loss::new(
            "fp",
            value.join(" "),
            "frame preemption, which tsnd cannot",
        ));
    }
    Ok(losses)
}

fn joined(numbers: &[u64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    numbers.join(" ")
}
