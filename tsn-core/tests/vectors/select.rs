//! Kind `select`: which of several classes sends.

use crate::vector_file::*;
use serde::Deserialize;
use serde_json::Value;

const ONE_SECOND_NS: u64 = 1_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectCase {
    link_speed_mbps: u32,
    per_frame_overhead_bytes: u32,
    /// The gates that are open at `t`.
    gates: u8,
    t: u64,
    /// When open gates close; those not named never do.
    #[serde(default)]
    gate_close: ByClass<u64>,
    /// The length in octets of the head of each class's queue.
    heads: ByClass<u32>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    send_tc: Option<u8>,
}

pub fn check(body: Value) -> Outcome {
    let case: SelectCase = parse(body)?;
    let mut scheduler = scheduler(
        link_speed(case.link_speed_mbps)?,
        case.per_frame_overhead_bytes,
        false,
    );
    let change = scheduler.configure(at(0), schedule_of(&closing_gates(&case)?)?);
    expect_equal("ConfigChangeTime", change.config_change_time, at(0))?;

    let now = at(case.t);
    for (key, length) in &case.heads {
        scheduler
            .enqueue(now, untimed(class_key(key)?, *length))
            .map_err(|refused| format!("head of class {key} refused: {}", refused.cause))?;
    }
    let sent = scheduler
        .dequeue(now)
        .map(|departure| departure.class.as_u8());
    expect_equal("send_tc", sent, case.expect.send_tc)
}

/// Entries in which the gates close when the case says so, and all gates are open in the end, so
/// that every head is admitted.
fn closing_gates(case: &SelectCase) -> Result<Vec<(u8, u64)>, String> {
    let mut closings = Vec::new();
    for (key, close) in &case.gate_close {
        closings.push((*close, class_key(key)?));
    }
    closings.sort();
    let mut list = Vec::new();
    let (mut states, mut since) = (case.gates, 0);
    for (close, class) in closings {
        if close > since {
            list.push((states, close - since));
        }
        states &= !(1 << class.as_u8());
        since = close;
    }
    list.push((states, ONE_SECOND_NS));
    list.push((0xff, ONE_SECOND_NS));
    Ok(list)
}
