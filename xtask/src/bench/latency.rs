//! How long a frame without a launch time takes from the application to the far end of the wire.

use anyhow::Result;
use tsn_perf::{ethernet, wire::Header};
use tsn_tests::wait::wait_until;

use super::{
    bed::{Bed, Forwarder},
    figures::{distribution_columns, distribution_row},
    session::Session,
    table::Table,
};
use crate::demo::{plan::CYCLE_NS, spin};

const FORWARDERS: [Forwarder; 4] = [
    Forwarder::Bridge,
    Forwarder::Devmap,
    Forwarder::Tsnd,
    Forwarder::TsndBusy,
];

#[derive(Default, Clone)]
struct Found {
    latencies_ns: Vec<i64>,
    lost: u64,
}

/// Measures all forwarders in turns.
///
/// # Errors
///
/// When a network cannot be built, or a daemon or talker fails.
pub fn run(session: &Session) -> Result<Vec<Table>> {
    let mut found = vec![Found::default(); FORWARDERS.len()];
    // A daemon that spins takes the core from those beside it: each has its network only for its turn.
    for _ in 0..session.effort.rounds {
        for (forwarder, found) in FORWARDERS.into_iter().zip(&mut found) {
            turn(&Bed::new(forwarder, session)?, session, found)?;
        }
    }
    let rows = FORWARDERS
        .into_iter()
        .zip(&found)
        .map(|(forwarder, found)| {
            let counts = [found.latencies_ns.len() as u64, found.lost];
            distribution_row(forwarder.name().to_owned(), &found.latencies_ns, &counts)
        });
    Ok(vec![Table {
        id: "latency",
        title: "One-way latency".to_owned(),
        explanation: format!(
            "From the application's send to the kernel's receive timestamp at the far end of the wire, one frame of 128 \
             bytes a millisecond without launch time, all gates open, in turns of {} ms. tsnd with poll-mode adaptive \
             sleeps between the frames and has to be woken; with busy it spins.",
            session.effort.turn.as_millis()
        ),
        columns: distribution_columns(&["frames", "lost"]),
        rows: rows.collect(),
    }])
}

fn turn(bed: &Bed, session: &Session, found: &mut Found) -> Result<()> {
    let count = (session.effort.turn.as_nanos() / u128::from(CYCLE_NS)).to_string();
    let wire = bed.capture()?;
    let untimed = ["--launch-time", "none", "--period", "1ms", "--size", "128"];
    let rest = ["--count", &count, "--realtime", "40"];
    let summary = bed.talk(&[&untimed[..], &rest].concat(), session)?;
    let is_all_there = || wire.len() as u64 >= summary.sent;
    // Frames may be lost for good; then the bound passes, and they are counted as lost.
    let _ = wait_until("all frames", spin::ARRIVAL_BOUND, is_all_there);
    let latencies_ns = wire.finish()?.into_iter().filter_map(|frame| {
        let payload = ethernet::payload(&frame.bytes, frame.length)?;
        let sent = Header::decode(payload.bytes)?.sent?;
        Some(frame.arrival_ns.cast_signed() - sent.time_ns.cast_signed())
    });
    let before = found.latencies_ns.len();
    found.latencies_ns.extend(latencies_ns);
    let arrived = (found.latencies_ns.len() - before) as u64;
    found.lost += summary.sent.saturating_sub(arrived);
    Ok(())
}
