//! Kind `launch` (also spelled `txtime`): frames with launch times, by the rules of the kernel's
//! ETF.

use serde::Deserialize;
use serde_json::Value;
use tsn_core::*;

use crate::vector_file::*;

/// The frames arrive this long after the start: a launch time of "start" is past by then.
const ARRIVAL_NS: u64 = 1_000;
const FRAME_BYTES: u32 = 60;
/// A frame that is not refused may wait for its gate and for those in front of it.
const PATIENCE: Nanoseconds = Nanoseconds::from_nanos(10_000_000_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LaunchCases {
    cases: Vec<LaunchCase>,
    #[serde(default = "microseconds")]
    unit: String,
    schedule: Option<ScheduleCase>,
    link_speed_mbps: Option<u32>,
    per_frame_overhead_bytes: Option<u32>,
    #[serde(default)]
    tc: u8,
}

fn microseconds() -> String {
    "us after start".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LaunchCase {
    /// Name and launch time, in the order of arrival.
    send: Vec<(String, Option<u64>)>,
    /// Name and departure, in the order of departure.
    expect: Vec<(String, u64)>,
    /// What the sender of a refused frame is told.
    error: Option<String>,
}

pub fn check(body: Value) -> Outcome {
    let cases: LaunchCases = parse(body)?;
    let unit_ns = match cases.unit.as_str() {
        "us after start" => 1_000,
        "ns after start" | "ns" => 1,
        unit => return Err(format!("unknown unit: {unit}")),
    };
    for (index, case) in cases.cases.iter().enumerate() {
        run(&cases, case, unit_ns).map_err(|message| format!("case {index}: {message}"))?;
    }
    Ok(())
}

fn run(cases: &LaunchCases, case: &LaunchCase, unit_ns: u64) -> Outcome {
    // Where the case does not name a link, frames take (almost) no time on it.
    let endless = LinkSpeed::from_bits_per_second(u64::MAX).ok_or("link speed")?;
    let speed = cases.link_speed_mbps.map_or(Ok(endless), link_speed)?;
    let overhead = cases
        .per_frame_overhead_bytes
        .unwrap_or(ETHERNET_OVERHEAD_BYTES);
    let mut scheduler = scheduler(speed, overhead, true);
    if let Some(schedule) = &cases.schedule {
        let change = scheduler.configure(at(0), schedule.build()?);
        expect_equal("superseded schedule", change.superseded.is_some(), false)?;
    }

    let mut refused = Vec::new();
    for (name, launch) in &case.send {
        let launch_ns = launch.map(|units| units * unit_ns);
        let past = launch_ns.is_some_and(|ns| ns < ARRIVAL_NS);
        let tolerance = if past { Nanoseconds::ZERO } else { PATIENCE };
        let arrival = Arrival {
            frame: name.clone(),
            launch: launch_ns.map_or(Launch::None, |ns| Launch::At(at(ns))),
            late: LatePolicy {
                tolerance,
                action: LateAction::Drop,
            },
            ..untimed(class(cases.tc)?, FRAME_BYTES)
        };
        refused.extend(
            scheduler
                .enqueue(at(ARRIVAL_NS), arrival)
                .err()
                .map(|refused| refused.cause),
        );
    }
    let known = [DropCause::MissingLaunchTime, DropCause::LaunchTimePast];
    if let Some(cause) = refused.iter().find(|cause| !known.contains(cause)) {
        return Err(format!("a frame was refused for {cause}"));
    }
    expect_equal(
        "an error is reported",
        !refused.is_empty(),
        case.error.is_some(),
    )?;

    let mut now = at(ARRIVAL_NS);
    let mut departures = Vec::new();
    while let Some(event) = scheduler.next_event(now) {
        now = event;
        if let Some(departure) = scheduler.dequeue(now) {
            departures.push((departure.frame, departure.start.as_nanos() / unit_ns));
        }
    }
    expect_equal("departures", departures, case.expect.clone())
}
