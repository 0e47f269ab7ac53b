//! What the kinds of cases have in common.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tsn_core::*;

/// What a check comes to: nothing, or what is wrong.
pub type Outcome = Result<(), String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleCase {
    base_time: u64,
    list: Vec<(u8, u64)>,
    cycle_time: Option<CycleTimeCase>,
    #[serde(default)]
    cycle_time_extension: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CycleTimeCase {
    numerator: u32,
    denominator: u32,
}

/// JSON keys of a map are strings; these are class numbers.
pub type ByClass<T> = BTreeMap<String, T>;

pub fn parse<T: DeserializeOwned>(body: Value) -> Result<T, String> {
    serde_json::from_value(body).map_err(|error| error.to_string())
}

pub fn class(number: u8) -> Result<TrafficClass, String> {
    TrafficClass::new(number).ok_or(format!("{number} is no traffic class"))
}

pub fn class_key(key: &str) -> Result<TrafficClass, String> {
    class(
        key.parse()
            .map_err(|_| format!("{key} is no traffic class"))?,
    )
}

pub fn at(ns: u64) -> TaiTime {
    TaiTime::from_nanos(ns)
}

pub fn expect_equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: found {found:?}, expected {expected:?}"))
    }
}

impl ScheduleCase {
    pub fn build(&self) -> Result<Box<Schedule>, String> {
        schedule(
            self.base_time,
            &self.list,
            self.cycle_time.as_ref(),
            self.cycle_time_extension,
        )
    }
}

/// A schedule of the given entries from instant zero on, its cycle the sum of the intervals.
pub fn schedule_of(list: &[(u8, u64)]) -> Result<Box<Schedule>, String> {
    schedule(0, list, None, 0)
}

fn schedule(
    base_time: u64,
    list: &[(u8, u64)],
    cycle_time: Option<&CycleTimeCase>,
    cycle_time_extension: u64,
) -> Result<Box<Schedule>, String> {
    let entry = |&(states, interval)| GateControlEntry {
        gate_states: GateStates(states),
        time_interval: Nanoseconds::from_nanos(interval),
    };
    let parameters = ScheduleParameters {
        base_time: at(base_time),
        cycle_time: cycle_time.map(
            |&CycleTimeCase {
                 numerator,
                 denominator,
             }| CycleTime {
                numerator,
                denominator,
            },
        ),
        cycle_time_extension: Nanoseconds::from_nanos(cycle_time_extension),
        entries: list.iter().map(entry).collect(),
    };
    Schedule::new(parameters)
        .map(Box::new)
        .map_err(|error| error.to_string())
}

/// A scheduler with all gates open, its frames named by strings.
pub fn scheduler(
    link_speed: LinkSpeed,
    overhead_bytes: u32,
    launch_time_required: bool,
) -> Scheduler<String> {
    Scheduler::new(SchedulerParameters {
        link_speed,
        per_frame_overhead_bytes: overhead_bytes,
        admin_gate_states: GateStates::ALL_OPEN,
        classes: [ClassParameters {
            capacity: 64,
            queue_max_sdu_bytes: None,
            launch_time_required,
        }; 8],
    })
}

pub fn link_speed(mbps: u32) -> Result<LinkSpeed, String> {
    LinkSpeed::from_mbps(mbps).ok_or("link_speed_mbps: 0".to_owned())
}

/// A frame without a launch time, named after its class.
pub fn untimed(class: TrafficClass, length_bytes: u32) -> Arrival<String> {
    Arrival {
        frame: class.to_string(),
        length_bytes,
        sdu_bytes: length_bytes.saturating_sub(14),
        class,
        launch: Launch::None,
        late: LatePolicy {
            tolerance: Nanoseconds::ZERO,
            action: LateAction::Drop,
        },
        stream: 0,
    }
}
