//! Kind `fit`: whether a frame may start, or is admitted at all.

use serde::Deserialize;
use serde_json::Value;
use tsn_core::*;

use crate::vector_file::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FitCase {
    link_speed_mbps: u32,
    per_frame_overhead_bytes: u32,
    schedule: Option<ScheduleCase>,
    /// The longest SDU of a class in octets.
    #[serde(default)]
    queue_max_sdu: ByClass<u32>,
    frames: Vec<FrameCase>,
    #[serde(default)]
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameCase {
    tc: u8,
    len: u32,
    /// When the frame arrives and wants to start.
    #[serde(default)]
    t: u64,
    /// When the class closes, in a case without a schedule.
    gate_close: Option<u64>,
    may_start: Option<bool>,
    admit: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    #[serde(default)]
    dynamic_max_sdu: ByClass<Option<u32>>,
}

pub fn check(body: Value) -> Outcome {
    let case: FitCase = parse(body)?;
    for frame in &case.frames {
        check_frame(&case, frame)
            .map_err(|message| format!("{} octets at {}: {message}", frame.len, frame.t))?;
    }
    for (key, expected) in &case.expect.dynamic_max_sdu {
        let (scheduler, now) = scheduler_at(&case, None, 0)?;
        let what = format!("dynamic_max_sdu of class {key}");
        expect_equal(
            &what,
            scheduler.dynamic_max_sdu(class_key(key)?, now),
            *expected,
        )?;
    }
    Ok(())
}

fn check_frame(case: &FitCase, frame: &FrameCase) -> Outcome {
    let class = class(frame.tc)?;
    let closing = frame.gate_close.map(|close| (1_u8 << frame.tc, close));
    let (mut scheduler, now) = scheduler_at(case, closing, frame.t)?;
    let admitted = scheduler.enqueue(now, untimed(class, frame.len)).is_ok();
    let started = scheduler.dequeue(now).is_some();
    if frame.admit.is_none() && frame.may_start.is_none() {
        return Err("the frame asks for nothing".to_owned());
    }
    if let Some(expected) = frame.admit {
        expect_equal("admit", admitted, expected)?;
    }
    if let Some(expected) = frame.may_start {
        expect_equal("may_start", started, expected)?;
    }
    Ok(())
}

/// A scheduler whose schedule is the case's, or one in which the given gates close at the given
/// instant.
fn scheduler_at(
    case: &FitCase,
    closing: Option<(u8, u64)>,
    t: u64,
) -> Result<(Scheduler<String>, TaiTime), String> {
    let mut scheduler = scheduler(
        link_speed(case.link_speed_mbps)?,
        case.per_frame_overhead_bytes,
        false,
    );
    let schedule = match (&case.schedule, closing) {
        (Some(schedule), None) => Some(schedule.build()?),
        (None, Some((states, close))) => Some(schedule_of(&[(states, close), (0, 1_000_000_000)])?),
        (None, None) => None,
        (Some(_), Some(_)) => return Err("both a schedule and a gate_close".to_owned()),
    };
    if let Some(schedule) = schedule {
        let change = scheduler.configure(at(0), schedule);
        expect_equal("superseded schedule", change.superseded.is_some(), false)?;
    }
    for (key, limit) in &case.queue_max_sdu {
        scheduler.set_queue_max_sdu(class_key(key)?, Some(*limit));
    }
    Ok((scheduler, at(t)))
}
