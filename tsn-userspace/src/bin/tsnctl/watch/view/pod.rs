//! One pod: what came from it, what became of it, and how exact a stream of it is.

use ratatui::text::Line;
use tsn_port::PodEnd;
use tsn_userspace::worker::histogram::{BOUNDS_NS, LaunchErrors};

use super::streams;
use super::text::{alarm, bar, count, error, flow, rate, title};
use crate::drops::named;
use crate::watch::keys::Look;
use crate::watch::model::Model;

/// Width of a bucket's bound and its number of frames.
const LABEL: usize = 22;

/// The pod in about so many lines.
pub fn lines(
    model: &Model,
    look: &Look,
    name: &str,
    width: usize,
    height: usize,
) -> Vec<Line<'static>> {
    let Some((status, received_per_s)) = model.pod(name) else {
        return vec![alarm(format!("pod {name} has been removed"))];
    };
    let segments = [
        format!("pod {name}"),
        status
            .pod
            .end()
            .map(|end| end.to_string())
            .unwrap_or_default(),
        match &status.waits_for {
            None => "attached".to_owned(),
            Some(reason) => format!("NOT ATTACHED: {reason}"),
        },
        format!(
            "received {} ({}/s)",
            count(status.received),
            rate(received_per_s)
        ),
        format!("waiting {} of {}", status.waiting, status.pod.frame_quota),
        format!(
            "receive ring {} of {}",
            status.receive_ring_waiting, status.receive_ring_slots
        ),
    ];
    let mut lines: Vec<Line<'static>> = flow(&segments, " │ ", width)
        .into_iter()
        .map(Line::from)
        .collect();
    let is_delivered_to = matches!(status.pod.end(), Some(PodEnd::VhostUser(_)));
    let beside = if is_delivered_to {
        ("not delivered", &status.delivery_drops)
    } else {
        ("kernel programs", &status.kernel)
    };
    for (what, counters) in [("dropped", &status.drops), beside] {
        let counted = named(counters);
        let first = format!("{what}: {}", counted.first().map_or("none", String::as_str));
        let rest = counted.iter().skip(1).cloned();
        let segments: Vec<String> = std::iter::once(first).chain(rest).collect();
        lines.extend(flow(&segments, ", ", width).into_iter().map(Line::from));
    }

    let rows = look.ordered(model);
    let left = height.saturating_sub(lines.len());
    let for_streams = (rows.len() + 1).min(left / 2).max(2);
    lines.extend(streams::lines(model, look, width, for_streams));
    if let Some(row) = rows.get(look.selected_in(&rows)) {
        let left = height.saturating_sub(lines.len());
        lines.extend(histogram(
            &row.stream.name,
            &row.stream.launch_errors,
            width,
            left,
        ));
    }
    lines
}

/// The buckets between the first and the last that have frames.
fn histogram(
    stream: &str,
    errors: &LaunchErrors,
    width: usize,
    height: usize,
) -> Vec<Line<'static>> {
    let frames = errors.count();
    let heading = format!(
        "{stream}: departure - launch time of {} frames since the start",
        count(frames)
    );
    let mut lines = vec![title(super::text::cut(heading, width))];
    let filled = |(_, frames): &(usize, &u64)| **frames > 0;
    let mut buckets = errors.buckets.iter().enumerate();
    let (Some((first, _)), last) = (buckets.find(filled), buckets.rfind(filled)) else {
        lines.push(Line::from("no frame with a launch time has left yet"));
        return lines;
    };
    let last = last.map_or(first, |(last, _)| last);
    let most = errors.buckets.iter().copied().max().unwrap_or(1);
    let room = height.saturating_sub(1).max(1);
    let all_fit = last - first < room;
    let shown = if all_fit { last + 1 - first } else { room - 1 };
    lines.extend((first..first + shown).map(|bucket| {
        let bound = match BOUNDS_NS.get(bucket) {
            Some(upper) => format!("≤ {}", error(Some(*upper))),
            None => format!("> {}", error(BOUNDS_NS.last().copied())),
        };
        let frames = errors.buckets[bucket];
        let bar = bar(frames as f64 / most as f64, width.saturating_sub(LABEL + 1));
        Line::from(
            format!("{bound:>11} {:>8}  {bar}", count(frames))
                .trim_end()
                .to_owned(),
        )
    }));
    if !all_fit {
        let hidden: u64 = errors.buckets[first + shown..].iter().sum();
        lines.push(Line::from(format!("    … and {} later", count(hidden))));
    }
    lines
}
