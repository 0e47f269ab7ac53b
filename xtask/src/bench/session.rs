//! What all benchmarks of a run have in common.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tsn_perf::process::Stop;

/// How often a wait looks whether the user wants an end.
const STOP_INTERVAL: Duration = Duration::from_millis(10);

/// A run of the benchmarks.
pub struct Session {
    /// The worker's core; everything else runs on core 0.
    pub worker_cpu: usize,
    /// How long and how often things are measured.
    pub effort: Effort,
    /// Whether hugepages are there for the programs over DPDK.
    pub hugepages: bool,
    /// Set when the user wants an end.
    pub stop: Stop,
}

/// How long and how often things are measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Length of a trial of the search for the highest rate.
    pub trial: Duration,
    /// How near the search comes to the highest rate: a part of the rate at full speed.
    pub resolution: f64,
    /// How often each search is repeated.
    pub repeats: usize,
    /// How often the subjects of a comparison take turns.
    pub rounds: u32,
    /// How long each of them is measured in a turn.
    pub turn: Duration,
    /// How long an idle daemon is watched.
    pub idle: Duration,
    /// How often turns with and without pods that come and go alternate.
    pub attachment_rounds: u32,
    /// How long each of these turns is.
    pub attachment_turn: Duration,
}

impl Effort {
    /// A whole run, of some eight minutes.
    pub const FULL: Self = Self {
        trial: Duration::from_millis(500),
        resolution: 0.02,
        repeats: 3,
        rounds: 8,
        turn: Duration::from_secs(2),
        idle: Duration::from_secs(10),
        attachment_rounds: 30,
        attachment_turn: Duration::from_secs(10),
    };

    /// About a minute: shows that everything works, not how well.
    pub const QUICK: Self = Self {
        trial: Duration::from_millis(200),
        resolution: 0.2,
        repeats: 1,
        rounds: 2,
        turn: Duration::from_millis(500),
        idle: Duration::from_secs(1),
        attachment_rounds: 2,
        attachment_turn: Duration::from_secs(3),
    };
}

impl Session {
    /// Sleeps, but not when the user wants an end.
    ///
    /// # Errors
    ///
    /// When the user wants an end.
    pub fn pause(&self, duration: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            if self.stop.is_asked() {
                bail!("interrupted; namespaces and programs have been removed");
            }
            let left = duration.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(STOP_INTERVAL));
        }
    }
}
