//! Clock, uplink, lead and stalls, in the order in which linuxptp's users look for them.

use ratatui::text::Line;
use tsn_userspace::clock::SyncState;
use tsn_userspace::control::api::Status;
use tsn_userspace::durations::rounded_duration;

use super::text::{alarm, count, cut, error, flow};
use crate::watch::model::{Model, Sample};

/// Pods that are named when they are not attached; there may be many.
const MESSAGES: usize = 3;

/// That the daemon does not answer.
pub fn failure(model: &Model, width: usize) -> Vec<Line<'static>> {
    let Some(reason) = &model.failure else {
        return Vec::new();
    };
    let known = if model.latest.is_some() {
        "; what is below was before"
    } else {
        ""
    };
    let words: Vec<String> = format!("no answer, trying again: {reason}{known}")
        .split(' ')
        .map(str::to_owned)
        .collect();
    flow(&words, " ", width).into_iter().map(alarm).collect()
}

/// The pods whose frames are not steered into the daemon, and why.
pub fn not_attached(sample: &Sample, width: usize) -> Vec<Line<'static>> {
    let waiting = sample.pods.iter().filter_map(|pod| {
        let reason = pod.waits_for.as_ref()?;
        Some(format!("pod {} is not attached: {reason}", pod.pod.name))
    });
    let mut messages: Vec<String> = waiting.collect();
    let more = messages.len().saturating_sub(MESSAGES);
    if more > 0 {
        messages.truncate(MESSAGES - 1);
        messages.push(format!("{} more pods are not attached", more + 1));
    }
    let lines = messages.into_iter().map(|text| alarm(cut(text, width)));
    lines.collect()
}

/// The header.
pub fn lines(model: &Model, status: &Status, width: usize) -> Vec<Line<'static>> {
    let (clock, uplink, stalls) = (&status.clock, &status.uplink, &status.stalls);
    let state = match clock.state {
        SyncState::FreeRun => "FREE-RUN",
        SyncState::Locked => "locked",
        SyncState::Holdover => "HOLDOVER",
        SyncState::Lost => "LOST",
    };
    let max_error_ns = clock.max_error_us.unsigned_abs().saturating_mul(1_000);
    let segments = [
        format!(
            "clock {state} offset {} max error {} TAI-UTC {}s",
            error(Some(clock.offset_ns)),
            rounded_duration(max_error_ns),
            clock.tai_utc_offset_s
        ),
        format!(
            "{} {} {}Mb/s",
            uplink.device,
            if uplink.up { "up" } else { "DOWN" },
            uplink.link_speed
        ),
        format!("lead {}", rounded_duration(uplink.lead_ns)),
        format!(
            "stalls {} (+{} now) longest {}",
            count(stalls.count),
            model.new_stalls(),
            rounded_duration(stalls.longest_ns)
        ),
        format!(
            "buffers {}/{} free",
            uplink.free_frame_buffers, uplink.frame_buffers
        ),
        format!("{} pods", status.pods),
        cut(format!("tsnd {} {}", status.version, status.backend), width),
    ];
    flow(&segments, " │ ", width)
        .into_iter()
        .map(Line::from)
        .collect()
}
