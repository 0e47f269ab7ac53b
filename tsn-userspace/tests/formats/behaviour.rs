//! What an uplink's gates do, told from its settings by a model of its own.

use tsn_userspace::config::{GateStatesValue, TrafficClassSettings, Uplink};

/// Everything that a switch or a qdisc would do by these settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    pub enabled: bool,
    pub before_start: u8,
    pub base_time_ns: u128,
    /// Nanoseconds, as a reduced fraction; none without a list.
    pub cycle: Option<(u128, u128)>,
    pub extension_ns: u64,
    /// Gate states and nanoseconds, equal neighbours joined, up to the end of the cycle rounded down.
    pub list: Vec<(u8, u128)>,
    pub max_sdu_bytes: [u32; 8],
}

/// Of an uplink whose gates are given by masks.
pub fn behaviour(uplink: &Uplink) -> Behaviour {
    let gates = &uplink.gate_parameters;
    let mask = |states: &GateStatesValue| match states {
        GateStatesValue::Mask(mask) => *mask,
        GateStatesValue::Open(_) => panic!("names are not made here"),
    };
    let intervals: Vec<(u8, u128)> = gates
        .admin_control_list
        .iter()
        .map(|entry| {
            let ns = u128::from(entry.time_interval_value.ns.max(1));
            (mask(&entry.gate_states_value), ns)
        })
        .collect();
    let sum: u128 = intervals.iter().map(|(_, ns)| ns).sum();
    let cycle = match gates.admin_cycle_time {
        Some(cycle) => (
            u128::from(cycle.numerator) * 1_000_000_000,
            u128::from(cycle.denominator),
        ),
        None => (sum, 1),
    };
    let mut max_sdu_bytes = [0; 8];
    for class in &uplink.traffic_classes {
        max_sdu_bytes[usize::from(class.number)] = class.queue_max_sdu;
    }
    Behaviour {
        enabled: gates.gate_enabled,
        before_start: mask(&gates.admin_gate_states),
        base_time_ns: gates.admin_base_time.instant().as_nanos().into(),
        cycle: (!intervals.is_empty()).then(|| reduced(cycle)),
        extension_ns: gates.admin_cycle_time_extension.ns,
        list: over_cycle(&intervals, cycle.0 / cycle.1),
        max_sdu_bytes,
    }
}

/// The states over one cycle: the last ones hold until its end, later ones never come.
fn over_cycle(intervals: &[(u8, u128)], cycle_ns: u128) -> Vec<(u8, u128)> {
    let mut list: Vec<(u8, u128)> = Vec::new();
    let mut at = 0;
    for (index, (states, ns)) in intervals.iter().enumerate() {
        let last = index + 1 == intervals.len();
        let end = if last {
            cycle_ns
        } else {
            cycle_ns.min(at + ns)
        };
        let runs = end.saturating_sub(at);
        at = end.max(at);
        match list.last_mut() {
            Some((before, length)) if before == states => *length += runs,
            _ if runs > 0 => list.push((*states, runs)),
            _ => {}
        }
    }
    list
}

fn reduced((a, b): (u128, u128)) -> (u128, u128) {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x, b / x)
}

/// A class with a limit alone.
pub fn class(number: u8, queue_max_sdu: u32) -> TrafficClassSettings {
    TrafficClassSettings {
        queue_max_sdu,
        ..TrafficClassSettings::numbered(number)
    }
}
