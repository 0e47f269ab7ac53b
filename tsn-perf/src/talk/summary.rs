//! What the talker says at its end.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::stream::Stream;

/// The talker's account of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TalkSummary {
    /// Which stream it sent.
    pub stream: Stream,
    /// Frame size in bytes, Ethernet header included, FCS not.
    pub size_bytes: usize,
    /// Frames that the socket accepted.
    pub sent: u64,
    /// What went wrong, by cause: the errno's name for frames that the socket refused, or
    /// TXTIME_MISSED and TXTIME_INVALID_PARAM for launch times that a queueing discipline refused
    /// (these frames are among those sent).
    pub errors: BTreeMap<String, u64>,
    /// The first frame's launch time in TAI ns; of best effort, when it was handed over.
    pub first_time_ns: Option<u64>,
    /// The last frame's, likewise.
    pub last_time_ns: Option<u64>,
    /// How long after the time it had meant to (launch time less notice) the talker handed its frames
    /// over, in ns. `None` for best effort. That is the talker's own lateness, not the network's.
    pub tardiness_ns: Option<Distribution>,
    /// Frames handed over only after their launch time: nobody could have sent them on time.
    pub handed_over_late: u64,
}

impl fmt::Display for TalkSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "stream {}: {} frames of {} bytes sent",
            self.stream, self.sent, self.size_bytes
        )?;
        if let (Some(first), Some(last)) = (self.first_time_ns, self.last_time_ns) {
            let seconds = last.saturating_sub(first) as f64 / 1e9;
            writeln!(f, "  from {first} to {last} ns TAI, {seconds:.3} s")?;
        }
        if let Some(tardiness) = &self.tardiness_ns {
            writeln!(
                f,
                "  handed over after the time meant: median {:.1}, p99 {:.1}, max {:.1} µs",
                tardiness.p50 as f64 / 1e3,
                tardiness.p99 as f64 / 1e3,
                tardiness.max as f64 / 1e3,
            )?;
        }
        if self.handed_over_late > 0 {
            writeln!(
                f,
                "  {} frames were handed over after their launch time: this talker's fault. \
                 Give it more --notice, --realtime 50, or a core of its own (--cpu)",
                self.handed_over_late
            )?;
        }
        for (cause, count) in &self.errors {
            writeln!(f, "  {cause}: {count}")?;
        }
        Ok(())
    }
}
