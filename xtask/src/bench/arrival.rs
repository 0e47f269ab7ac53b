//! When a frame of an unmodified application arrives, by its launch time: the real daemon, beside the bare spin loop that
//! sends on such a wire.

use anyhow::{Context, Result};
use tsn_perf::{ethernet, process::ProcessOptions, wire::Header};
use tsn_tests::{daemon::Daemon, wait::wait_until};

use super::{
    bed::{Bed, Forwarder},
    figures::{distribution_columns, distribution_row},
    session::Session,
    table::{Column, Row, Table},
};
use crate::demo::{
    account::{Stall, is_stalled},
    plan::{CYCLE_NS, WORKER_PRIORITY},
    spin,
};

/// A frame that the application hands over later than this before its launch time says nothing of the daemon.
const LEAST_NOTICE_NS: u64 = 100_000;

/// What became of an application's frames.
#[derive(Default)]
pub struct Found {
    errors_ns: Vec<i64>,
    stalled: u64,
    handed_over_late: u64,
    lost: u64,
}

/// The columns of [`Found::row`].
pub fn columns() -> Vec<Column> {
    distribution_columns(&["frames", "stalled", "handed over late", "lost"])
}

impl Found {
    /// A row of a table.
    pub fn row(&self, subject: String) -> Row {
        let counts = [
            self.errors_ns.len() as u64,
            self.stalled,
            self.handed_over_late,
            self.lost,
        ];
        distribution_row(subject, &self.errors_ns, &counts)
    }
}

/// Measures the bare spin loop and these forwarders in turns.
///
/// # Errors
///
/// When a network cannot be built, or a daemon, talker or spin loop fails.
pub fn run(forwarders: &[Forwarder], session: &Session) -> Result<Vec<Table>> {
    let frames = u32::try_from(u128::from(session.effort.turn.as_nanos() as u64 / CYCLE_NS))?;
    let mut bare = Found::default();
    let mut found: Vec<Found> = forwarders.iter().map(|_| Found::default()).collect();
    let priority = ProcessOptions {
        cpu: Some(session.worker_cpu),
        realtime: Some(WORKER_PRIORITY),
    };
    // Each has its network only for its turn: a daemon may spin though its pod is silent.
    for _ in 0..session.effort.rounds {
        session.pause(std::time::Duration::ZERO)?;
        let bed = Bed::new(Forwarder::Bridge, session)?;
        let errors_ns = spin::send(bed.node(), bed.capture()?, frames, &priority)?;
        bare.lost += u64::from(frames) - errors_ns.len() as u64;
        bare.errors_ns.extend(errors_ns);
        drop(bed);
        for (forwarder, found) in forwarders.iter().zip(&mut found) {
            talk(&Bed::new(*forwarder, session)?, frames, session, found)?;
        }
    }
    let tsnd =
        |forwarder: &Forwarder| format!("{}, from an application in a pod", forwarder.name());
    let mut rows = vec![bare.row("bare spin loop".to_owned())];
    rows.extend(
        forwarders
            .iter()
            .zip(&found)
            .map(|(forwarder, found)| found.row(tsnd(forwarder))),
    );
    Ok(vec![Table {
        id: "arrival",
        title: "Arrival by launch time".to_owned(),
        explanation: format!(
            "Arrival at the far end of the wire (the kernel's receive timestamp) less launch time, one frame a \
             millisecond, in turns of {} ms. tsnd: an application in a pod, SO_TXTIME with 500 µs of notice, with the \
             lead that tsnd measured itself; through AF_XDP, or over DPDK, with the pod's veth and the uplink as sockets over its memory. The \
             bare spin loop has no lead: it sends when the instant has come. Frames that a stall of the worker touched \
             are counted apart; the bare loop does not know its stalls.",
            session.effort.turn.as_millis()
        ),
        columns: columns(),
        rows,
    }])
}

/// One turn of an application in the bed's pod: a frame a millisecond with 500 µs of notice.
///
/// # Errors
///
/// When the talker fails, or its frames cannot be seen.
pub fn talk(bed: &Bed, frames: u32, session: &Session, found: &mut Found) -> Result<()> {
    let wire = bed.capture()?;
    let count = frames.to_string();
    let timing = ["--period", "1ms", "--offset", "500us", "--notice", "500us"];
    let rest = ["--count", &count, "--size", "128", "--realtime", "40"];
    let summary = bed.talk(&[&timing[..], &rest].concat(), session)?;
    let is_all_there = || wire.len() as u64 >= summary.sent;
    // Frames may be lost for good; then the bound passes, and they are counted as lost.
    let _ = wait_until("all frames", spin::ARRIVAL_BOUND, is_all_there);
    let stalls = bed
        .daemon()
        .map(read_stalls)
        .transpose()?
        .unwrap_or_default();
    let mut arrived = 0;
    for frame in wire.finish()? {
        let payload = ethernet::payload(&frame.bytes, frame.length);
        let Some(header) = payload.and_then(|payload| Header::decode(payload.bytes)) else {
            continue;
        };
        let (Some(launch_time_ns), Some(sent)) = (header.launch_time_ns, header.sent) else {
            continue;
        };
        arrived += 1;
        if sent.time_ns + LEAST_NOTICE_NS > launch_time_ns {
            found.handed_over_late += 1;
        } else if is_stalled(&stalls, Some(launch_time_ns), frame.arrival_ns) {
            found.stalled += 1;
        } else {
            let error_ns = frame.arrival_ns.cast_signed() - launch_time_ns.cast_signed();
            found.errors_ns.push(error_ns);
        }
    }
    found.lost += summary.sent.saturating_sub(arrived);
    Ok(())
}

fn read_stalls(daemon: &Daemon) -> Result<Vec<Stall>> {
    let mut answer = daemon.control.get("/v1/stalls")?;
    serde_json::from_value(answer["stalls"].take()).context("read the daemon's stalls")
}
