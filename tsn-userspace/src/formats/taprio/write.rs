//! An uplink as a taprio command.

use super::super::config::Uplink;
use super::super::gates::{Gates, split_to_32_bits, whole_ns};
use super::super::loss::settings_of_tsnd;
use super::super::{Converted, FormatError, Loss};
use super::{HANDLE, identity_map, identity_queues};

/// iproute2's tc puts an entry of 28 bytes each into a message of 1024 bytes, beside up to 340 bytes of the rest.
const ENTRIES_THAT_TC_SENDS: usize = 24;
const TOO_LONG_FOR_TC: &str = "tc of iproute2 has room for 24 to 29 entries: it drops the rest of these, with `message exceeded bound of 1024`";
/// Without FCS (ETH_ZLEN). The kernel refuses an entry that is shorter than such a frame takes.
const SHORTEST_FRAME_BYTES: u64 = 60;
/// Taken where the configuration leaves the speed to the device.
const USUAL_SPEED_MBPS: u32 = 1_000;

const PLACE: &str = "uplinks[0].gate-parameters";

pub fn write(uplink: &Uplink) -> Result<Converted<String>, FormatError> {
    let gates = Gates::of(uplink)?;
    let parameters = &uplink.gate_parameters;
    check_device(&uplink.device)?;
    if !parameters.gate_enabled || gates.entries.is_empty() {
        return Err(FormatError::value(
            PLACE,
            "no gate control list is in force (gate-enabled, admin-control-list); taprio always runs one",
        ));
    }
    let mut losses = settings_of_tsnd(uplink);
    if gates.admin_gate_states != 0xff {
        losses.push(Loss::new(
            format!("{PLACE}.admin-gate-states"),
            format!("{:#04x}", gates.admin_gate_states),
            "taprio has no gate states for the time before the list starts",
        ));
    }
    let classes = number_of_classes(uplink, &gates);
    let mut arguments = vec![
        format!("num_tc {classes}"),
        format!("map {}", joined(identity_map(classes))),
        format!("queues {}", identity_queues(classes).join(" ")),
        format!(
            "base-time {}",
            signed(
                "admin-base-time",
                parameters.admin_base_time.instant().as_nanos()
            )?
        ),
    ];
    let mut entries: Vec<(u8, u64)> = gates
        .entries
        .iter()
        .map(|(states, ns)| (*states, (*ns).max(1))) // 0 runs for 1 ns (8.6.9.2.1), which the kernel refuses
        .collect();
    let mut cycle_ns = None;
    if let Some(cycle) = parameters.admin_cycle_time {
        let (ns, exact) = whole_ns(cycle);
        if !exact {
            losses.push(Loss::new(
                format!("{PLACE}.admin-cycle-time"),
                format!("{}/{} s", cycle.numerator, cycle.denominator),
                format!("taprio counts whole nanoseconds; with the {ns} written, its cycles come ever earlier"),
            ));
        }
        fill(&mut entries, ns);
        cycle_ns = Some(ns);
    }
    losses.extend(too_short(
        &entries,
        uplink.link_speed.unwrap_or(USUAL_SPEED_MBPS),
    ));
    let entries = split_to_32_bits(&entries)?;
    let mut warning = String::new();
    if entries.len() > ENTRIES_THAT_TC_SENDS {
        warning = format!("# {TOO_LONG_FOR_TC}.\n");
        losses.push(Loss::new(
            format!("{PLACE}.admin-control-list"),
            format!("{} entries", entries.len()),
            TOO_LONG_FOR_TC,
        ));
    }
    for (states, ns) in entries {
        arguments.push(format!("sched-entry S {states:02x} {ns}"));
    }
    arguments.extend(cycle_ns.map(|ns| format!("cycle-time {ns}")));
    let extension_ns = parameters.admin_cycle_time_extension.ns;
    if extension_ns != 0 {
        let extension = signed("admin-cycle-time-extension", extension_ns)?;
        arguments.push(format!("cycle-time-extension {extension}"));
    }
    let limits = max_sdu(uplink, classes);
    if limits.iter().any(|limit| *limit != 0) {
        arguments.push(format!("max-sdu {}", joined(limits)));
    }
    arguments.push("clockid CLOCK_TAI".to_owned());
    let head = format!(
        "tc qdisc replace dev {} parent root handle {HANDLE} taprio",
        uplink.device
    );
    Ok(Converted {
        document: format!("{warning}{head} \\\n    {}\n", arguments.join(" \\\n    ")),
        losses,
    })
}

/// The command is made to be pasted: a name must mean itself to a shell.
fn check_device(device: &str) -> Result<(), FormatError> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.:@".contains(c);
    if device.chars().all(harmless) && !device.starts_with('-') {
        return Ok(());
    }
    Err(FormatError::value(
        "uplinks[0].device",
        format!("`{device}` cannot be pasted into a shell; letters, digits and -_.:@ can"),
    ))
}

/// Up to the highest class that is configured or whose gate opens: beyond it, nothing is ever sent.
fn number_of_classes(uplink: &Uplink, gates: &Gates) -> u8 {
    let ever_open = gates
        .entries
        .iter()
        .fold(0, |open, (states, _)| open | states);
    let configured = uplink.traffic_classes.iter().map(|class| class.number + 1);
    let opened = (8 - ever_open.leading_zeros()) as u8;
    configured.chain([opened, 1]).max().unwrap_or(8)
}

fn max_sdu(uplink: &Uplink, classes: u8) -> Vec<u32> {
    (0..classes)
        .map(|number| {
            let class = uplink
                .traffic_classes
                .iter()
                .find(|class| class.number == number);
            class.map_or(0, |class| class.queue_max_sdu)
        })
        .collect()
}

/// The first entry that the kernel refuses for its length; it counts in whole picoseconds for each byte.
fn too_short(entries: &[(u8, u64)], speed_mbps: u32) -> Option<Loss> {
    let shortest_ns = SHORTEST_FRAME_BYTES * (8_000_000 / u64::from(speed_mbps)).max(17) / 1_000;
    let is_short = |(_, ns): &(u8, u64)| *ns < shortest_ns;
    let first = entries.iter().position(is_short)?;
    let all = entries.iter().filter(|entry| is_short(entry)).count();
    Some(Loss::new(
        format!("{PLACE}.admin-control-list[{first}].time-interval-value"),
        format!("{} ns", entries[first].1),
        format!(
            "the kernel refuses an entry that is shorter than a frame of {SHORTEST_FRAME_BYTES} bytes, {shortest_ns} \
             ns at {speed_mbps} Mb/s ({all} of the {} here); make it longer, or join it to its neighbour",
            entries.len()
        ),
    ))
}

/// Makes the entries last exactly as long as the cycle: the last states hold, what begins after its end never runs.
fn fill(entries: &mut Vec<(u8, u64)>, cycle_ns: u64) {
    let mut rest = cycle_ns;
    let mut run = 0;
    for (_, ns) in entries.iter_mut() {
        if rest == 0 {
            break;
        }
        *ns = (*ns).min(rest);
        rest -= *ns;
        run += 1;
    }
    entries.truncate(run);
    if let Some((_, ns)) = entries.last_mut() {
        *ns += rest;
    }
}

fn signed(field: &str, ns: u64) -> Result<i64, FormatError> {
    i64::try_from(ns).map_err(|_| {
        FormatError::value(
            format!("{PLACE}.{field}"),
            format!("{ns} ns; taprio holds at most {}", i64::MAX),
        )
    })
}

fn joined<T: ToString>(numbers: impl IntoIterator<Item = T>) -> String {
    let numbers: Vec<String> = numbers
        .into_iter()
        .map(|number| number.to_string())
        .collect();
    numbers.join(" ")
}
