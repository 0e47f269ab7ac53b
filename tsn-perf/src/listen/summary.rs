//! What the listener says at its end.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::sequence::SequenceCounts;
use crate::stream::Stream;

/// The listener's account of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListenSummary {
    /// Which clock the arrivals are in, and how they came to be in it.
    pub clock: String,
    /// CLOCK_TAI minus CLOCK_REALTIME in s. 0: nobody told the kernel the TAI offset.
    pub tai_offset_s: i64,
    /// By stream id.
    pub streams: Vec<StreamSummary>,
    /// Frames that no talker of ours sent.
    pub foreign: u64,
    /// Frames that the kernel dropped because this listener was too slow: its fault, not the network's.
    pub socket_drops: u64,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamSummary {
    /// Which one.
    pub stream: Stream,
    /// Received, duplicated, reordered, lost.
    #[serde(flatten)]
    pub counts: SequenceCounts,
    /// Frames with a launch time, each once.
    pub timed: u64,
    /// Arrival less launch time in ns, of each timed frame's first copy. Below 0: early.
    pub error_ns: Option<Distribution>,
    /// Arrival less the time at which the talker handed the frame over, in ns. Makes sense only where talker
    /// and listener have the same clock. Frames too small to carry that time are missing.
    pub transit_ns: Option<Distribution>,
    /// Frames that the talker handed over only after their launch time: the talker's fault.
    pub handed_over_late: u64,
    /// Frames shorter than they were when they were sent.
    pub truncated: u64,
    /// Frames by VLAN tag, written ID/PCP. Untagged ones are missing.
    pub vlan_tags: BTreeMap<String, u64>,
    /// When the first frame arrived, in TAI ns.
    pub first_arrival_ns: u64,
    /// When the last frame arrived, in TAI ns.
    pub last_arrival_ns: u64,
}

impl fmt::Display for ListenSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<16} {:>9} {:>7} {:>5} {:>9}  {:<22} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "stream",
            "received",
            "lost",
            "dup",
            "reordered",
            "in µs",
            "min",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max"
        )?;
        for stream in &self.streams {
            let counts = stream.counts;
            write!(
                f,
                "{:<16} {:>9} {:>7} {:>5} {:>9}  ",
                stream.stream.name,
                counts.received,
                counts.lost,
                counts.duplicated,
                counts.reordered
            )?;
            let rows = [
                ("arrival - launch time", stream.error_ns),
                ("arrival - hand-over", stream.transit_ns),
            ];
            let mut is_first = true;
            for (label, distribution) in rows {
                let Some(distribution) = distribution else {
                    continue;
                };
                if !is_first {
                    write!(f, "{:51}", "")?;
                }
                is_first = false;
                writeln!(f, "{label:<22} {}", Columns(distribution))?;
            }
            if is_first {
                writeln!(f, "no times")?;
            }
        }
        self.remarks(f)
    }
}

impl ListenSummary {
    fn remarks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.streams.is_empty() {
            writeln!(f, "no talker's frame arrived; {} others did", self.foreign)?;
        }
        for stream in &self.streams {
            let name = &stream.stream;
            if stream.handed_over_late > 0 {
                writeln!(
                    f,
                    "{name}: {} frames were handed over after their launch time, the talker's fault",
                    stream.handed_over_late
                )?;
            }
            if stream.truncated > 0 {
                writeln!(
                    f,
                    "{name}: {} frames came shorter than they were sent",
                    stream.truncated
                )?;
            }
            for (tag, frames) in &stream.vlan_tags {
                writeln!(f, "{name}: {frames} frames with VLAN/PCP {tag}")?;
            }
        }
        if self.socket_drops > 0 {
            writeln!(
                f,
                "{} frames were dropped because this listener was too slow: give it a core (--cpu), \
                 or --realtime 40",
                self.socket_drops
            )?;
        }
        writeln!(f, "clock: {}", self.clock)
    }
}

struct Columns(Distribution);

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Distribution {
            min,
            p50,
            p90,
            p99,
            p999,
            max,
        } = self.0;
        for (index, value) in [min, p50, p90, p99, p999, max].into_iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{:>9.1}", value as f64 / 1e3)?;
        }
        Ok(())
    }
}
