//! What a report is made of. Plain data: whoever ran the streams fills it in.

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;

/// One or more runs under one gate control list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What the page is headed.
    pub title: String,
    /// Cycle time in ns. 0: there are no gates, and phases are taken in a millisecond.
    pub cycle_ns: u64,
    /// Base time of the cycle, in TAI ns.
    pub base_time_ns: u64,
    /// The classes of the gate control list, in the order in which they are drawn.
    pub gates: Vec<GateRow>,
    /// What was measured, in the order in which it is shown.
    pub runs: Vec<Run>,
    /// What a reader must know to judge the figures.
    pub notes: Vec<String>,
}

/// When the gate of one class is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GateRow {
    /// Traffic class, 0 to 7.
    pub class: u8,
    /// What people call it.
    pub name: String,
    /// Open from, up to, in ns of the cycle: half-open intervals.
    pub windows: Vec<(u64, u64)>,
}

/// One run of all streams together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What people call it.
    pub name: String,
    /// What was done in it.
    pub note: String,
    /// Its streams.
    pub streams: Vec<StreamResult>,
}

/// How one stream fared in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamResult {
    /// What people call it.
    pub name: String,
    /// Its traffic class, 0 to 7.
    pub class: u8,
    /// Frames that the talker handed to its socket.
    pub sent: u64,
    /// Frames that arrived, duplicates not among them.
    pub received: u64,
    /// Frames that never arrived.
    pub lost: u64,
    /// Frames that arrived once more.
    pub duplicated: u64,
    /// Frames that arrived while their class's gate was closed.
    pub outside_gate: u64,
    /// Frames under way while the machine took the core away: not the scheduler's doing.
    pub stalled: u64,
    /// Frames that arrived within the tolerance of their launch time.
    pub on_time: u64,
    /// Frames that arrived later than that.
    pub late: u64,
    /// Arrival less launch time in ns; `None` for a stream without launch times.
    pub error_ns: Option<Distribution>,
    /// The frames, in any order.
    pub frames: Vec<Dot>,
}

/// One frame that arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dot {
    /// When, in TAI ns.
    pub arrival_ns: u64,
    /// When it was to leave, in TAI ns; `None`: whenever its gate is open.
    pub launch_time_ns: Option<u64>,
    /// Whether the machine took the core away while it was under way.
    pub stalled: bool,
}

impl Dot {
    /// Arrival less launch time, in ns; `None` without a launch time.
    pub fn error_ns(&self) -> Option<i64> {
        Some(self.arrival_ns.wrapping_sub(self.launch_time_ns?) as i64)
    }
}
