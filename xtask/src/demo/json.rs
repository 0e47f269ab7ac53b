//! The results for programs: one object per run and stream.

use serde::Serialize;
use tsn_perf::{distribution::Distribution, report::Run};

#[derive(Serialize)]
struct Row<'a> {
    run: &'a str,
    stream: &'a str,
    sent: u64,
    received: u64,
    lost: u64,
    duplicated: u64,
    outside_gate: u64,
    stalled: u64,
    error_ns: Option<Distribution>,
}

/// The array as text.
///
/// # Errors
///
/// Never for these types.
pub fn rows(runs: &[Run]) -> serde_json::Result<String> {
    let rows: Vec<Row> = runs
        .iter()
        .flat_map(|run| run.streams.iter().map(move |stream| (run, stream)))
        .map(|(run, stream)| Row {
            run: &run.name,
            stream: &stream.name,
            sent: stream.sent,
            received: stream.received,
            lost: stream.lost,
            duplicated: stream.duplicated,
            outside_gate: stream.outside_gate,
            stalled: stream.stalled,
            error_ns: stream.error_ns,
        })
        .collect();
    serde_json::to_string_pretty(&rows)
}
