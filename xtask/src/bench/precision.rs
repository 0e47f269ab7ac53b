//! How precisely the worker starts its wake-ups, beside the bare spin loop.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tsn_tests::backend::Backend;

use super::{
    figures::{distribution_columns, distribution_row},
    session::Session,
    table::Table,
};
use crate::{build, demo::plan::WORKER_PRIORITY, step::cargo};

/// What `tsn-userspace/benches/worker` found of a subject.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// `None` for the bare spin loop.
    pub pods: Option<usize>,
    /// Frames that waited all the time.
    pub queued: usize,
    /// What is below the worker's ports, if anything is.
    device: Option<String>,
    /// Start of the wake-up less launch time, of all frames that no stall touched.
    pub errors_ns: Vec<i64>,
    stalled: u64,
    handed_over_late: u64,
}

impl Found {
    /// What the tables call it.
    pub fn subject(&self) -> String {
        let pods = match self.pods {
            None => return "bare spin loop".to_owned(),
            Some(1) => "1 pod".to_owned(),
            Some(pods) => format!("{pods} pods"),
        };
        let device =
            (self.device.as_ref()).map_or_else(String::new, |device| format!(" over {device}"));
        match self.queued {
            0 => format!("tsnd's worker{device}, {pods}"),
            queued => format!("tsnd's worker{device}, {pods}, {queued} frames queued"),
        }
    }
}

/// Builds the worker's benchmark and runs it.
///
/// # Errors
///
/// When it cannot be built, fails, or finds nothing.
pub fn measure(backend: Backend, session: &Session) -> Result<Vec<Found>> {
    let mut bench = cargo(&["bench", "--quiet", "--bench", "worker"]);
    bench.args(build::selection()).arg("--");
    if backend == Backend::Dpdk {
        bench.arg("--dpdk");
    }
    bench
        .args(["--cpu", &session.worker_cpu.to_string()])
        .args(["--realtime-priority", &WORKER_PRIORITY.to_string()])
        .args(["--rounds", &session.effort.rounds.to_string()])
        .args(["--turn-ms", &session.effort.turn.as_millis().to_string()]);
    let output = bench
        .stderr(Stdio::inherit())
        .output()
        .context("run the worker's benchmark")?;
    ensure!(
        output.status.success(),
        "the worker's benchmark ended with {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("read what the worker's benchmark found")
}

/// The distributions.
pub fn table(found: &[Found], session: &Session) -> Table {
    Table {
        id: "launch-precision",
        title: "Launch precision".to_owned(),
        explanation: format!(
            "Start of the uplink's wake-up less (launch time − lead), one frame a millisecond, in turns of {} ms on core \
             {}. The ports have no device behind them, or DPDK's null device: this is the worker alone. The bare spin loop only reads the \
             clock until the instant has come, and once more. Frames that a stall touched, by the same measure for \
             all, are counted apart.",
            session.effort.turn.as_millis(),
            session.worker_cpu
        ),
        columns: distribution_columns(&["frames", "stalled", "handed over late"]),
        rows: found
            .iter()
            .map(|found| {
                let counts = [
                    found.errors_ns.len() as u64,
                    found.stalled,
                    found.handed_over_late,
                ];
                distribution_row(found.subject(), &found.errors_ns, &counts)
            })
            .collect(),
    }
}
