//! The order in which classes come out of the wire, and whether a gate control list allows it.

use std::{collections::BTreeSet, fmt};

use tsn_tests::capture::CapturedFrame;

use super::{
    BEST_EFFORT, CONTROL, VIDEO,
    traffic::{mark, sent_ns},
};

/// Frames of one class that arrived one after the other, with no stall between them.
pub struct Run {
    /// The class's UDP port.
    pub port: u16,
    /// How many.
    pub frames: usize,
    /// When the last one arrived.
    pub last_ns: u64,
    /// A stall lies between this run and the one before, so windows may have been missed.
    pub after_stall: bool,
    /// Classes that had nothing to send when the run before ended, so that their windows before it left no trace.
    pub idle_before: Vec<u16>,
    /// Classes that had nothing to send when it began, so that their windows within it left no trace.
    pub idle_within: Vec<u16>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stall = if self.after_stall { "~" } else { "" };
        let idle = if self.idle_before.is_empty() { "" } else { "." };
        write!(f, "{stall}{idle}{}x{}", self.port, self.frames)
    }
}

/// The wire as runs, without the frames that arrived while the worker was stalled. How many those were.
pub fn runs(frames: &[CapturedFrame], stalls: &[(u64, u64)]) -> (Vec<Run>, usize) {
    /// A capture in software stamps a frame when it comes to it.
    const STAMP_DELAY_NS: u64 = 200_000;
    let mut runs: Vec<Run> = Vec::new();
    let mut set_aside = 0;
    for (index, frame) in frames.iter().enumerate() {
        let Some((port, _)) = mark(frame) else {
            continue;
        };
        let at = frame.arrival_ns;
        // The latest stall that began before this frame arrived.
        let before = stalls[..stalls.partition_point(|(begin, _)| *begin <= at)].last();
        if before.is_some_and(|(_, end)| at <= end + STAMP_DELAY_NS) {
            set_aside += 1;
            continue;
        }
        let ended_ns = runs.last().map_or(at, |run| run.last_ns);
        let after_stall = before.is_some_and(|(_, end)| end + STAMP_DELAY_NS >= ended_ns);
        if let Some(run) = runs.last_mut()
            && run.port == port
            && !after_stall
        {
            run.frames += 1;
            run.last_ns = at;
            continue;
        }
        runs.push(Run {
            port,
            frames: 1,
            last_ns: at,
            after_stall,
            idle_before: idle_since(&frames[index..], ended_ns),
            idle_within: idle_since(&frames[index..], at),
        });
    }
    (runs, set_aside)
}

/// Classes whose next frame on the wire had not been sent at an instant, so that their queues were empty then.
fn idle_since(frames: &[CapturedFrame], at_ns: u64) -> Vec<u16> {
    let is_idle = |port: &u16| {
        let next = frames
            .iter()
            .find(|frame| mark(frame).is_some_and(|(of, _)| of == *port));
        next.is_none_or(|frame| sent_ns(frame) > Some(at_ns))
    };
    [CONTROL, VIDEO, BEST_EFFORT]
        .into_iter()
        .filter(is_idle)
        .collect()
}

/// The first entry of a list, from one on, that opens a class; entries of idle classes before it leave no trace.
fn entry_of(port: u16, idle: &[u16], list: &[u16], from: usize) -> Option<usize> {
    (from..from + list.len())
        .map(|entry| entry % list.len())
        .find(|entry| list[*entry] == port || !idle.contains(&list[*entry]))
        .filter(|entry| list[*entry] == port)
}

/// Where the gates can go next from a place, to open a class: on in the same schedule, or to the next one.
fn next_places(
    (schedule, entry): (usize, usize),
    port: u16,
    idle: &[u16],
    schedules: &[&[u16]],
) -> impl Iterator<Item = (usize, usize)> {
    let same = entry_of(port, idle, schedules[schedule], entry + 1);
    let next = schedules.get(schedule + 1);
    let next = next.and_then(|list| entry_of(port, idle, list, 0));
    [
        same.map(|entry| (schedule, entry)),
        next.map(|entry| (schedule + 1, entry)),
    ]
    .into_iter()
    .flatten()
}

/// Whether the runs can be read as the schedules one after the other, each repeated from its first entry on and cut
/// anywhere by the next, up to the last one.
///
/// # Errors
///
/// With the runs around the first that cannot.
pub fn follow(runs: &[Run], schedules: &[&[u16]]) -> Result<(), String> {
    // Where the gates can be: (schedule, entry). Nothing is known of the entry before the first run, nor after a stall.
    let anywhere = |run: &Run, from: usize| -> BTreeSet<(usize, usize)> {
        let lists = schedules.iter().enumerate().skip(from);
        lists
            .flat_map(|(schedule, list)| (0..list.len()).map(move |entry| (schedule, entry)))
            .filter(|(schedule, entry)| schedules[*schedule][*entry] == run.port)
            .collect()
    };
    let mut places = anywhere(&runs[0], 0);
    places.retain(|(schedule, _)| *schedule == 0);
    for (index, run) in runs.iter().enumerate() {
        if run.after_stall {
            let from = places.first().map_or(0, |(schedule, _)| *schedule);
            places = anywhere(run, from);
        } else if index > 0 {
            places = places
                .into_iter()
                .flat_map(|place| next_places(place, run.port, &run.idle_before, schedules))
                .collect();
        }
        // Windows of one class that follow each other, also across a change or an idle class's window, look like one.
        let mut ends = places.clone();
        while let Some(place) = ends.pop_first() {
            let further = next_places(place, run.port, &run.idle_within, schedules);
            ends.extend(
                further
                    .filter(|place| places.insert(*place))
                    .collect::<Vec<_>>(),
            );
        }
        if places.is_empty() {
            let around = &runs[index.saturating_sub(8)..runs.len().min(index + 8)];
            return Err(format!("run {index} is outside its gates: {around:?}"));
        }
    }
    if places.iter().any(|place| place.0 == schedules.len() - 1) {
        Ok(())
    } else {
        Err(format!("the last schedule was never seen: {runs:?}"))
    }
}
