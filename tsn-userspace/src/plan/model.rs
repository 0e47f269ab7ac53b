//! What a picture of a gate control list shows. Times are nanoseconds from the picture's zero: the start of a cycle, or
//! the change of schedule.

use serde::Serialize;

/// The gates of an uplink over some cycles, and what they leave for frames.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The uplink's device.
    pub device: String,
    /// The speed that frames are measured by, in Mb/s.
    pub link_speed: u32,
    /// How long after its gate opens a frame starts at the soonest.
    pub lead_ns: u64,
    /// How long before its gate closes a frame has ended at the latest.
    pub stall_threshold_ns: u64,
    /// The gate control list; of a change the new one. `None` if the gates stand as `admin-gate-states` says.
    pub list: Option<List>,
    /// What is drawn, from left to right without a gap.
    pub spans: Vec<Span>,
    /// One row for each class, the highest first. Classes without settings and streams that are treated alike share one.
    pub rows: Vec<Row>,
    /// Of a change: when and how.
    pub change: Option<Change>,
    /// What a reader should know about the picture or the list.
    pub notes: Vec<String>,
}

/// The figures of a gate control list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct List {
    /// The number of entries.
    pub entries: usize,
    /// The cycle time, rounded down to the nanosecond.
    pub cycle_ns: u64,
    /// By how much the last cycle before a change may be stretched.
    pub cycle_time_extension_ns: u64,
}

/// What a part of the picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanKind {
    /// A whole cycle.
    Cycle,
    /// A cycle that ends early because another list starts.
    CutCycle,
    /// A cycle that lasts longer because another list starts soon.
    ExtendedCycle,
    /// No list runs: the gates stand as `admin-gate-states` says.
    AdminGateStates,
}

/// A part of the picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Span {
    /// Its begin.
    pub start_ns: i64,
    /// Its end.
    pub end_ns: i64,
    /// What it shows.
    pub kind: SpanKind,
    /// Words for it, such as `old, cut after 380 µs`; empty where there is nothing to say.
    pub label: String,
}

/// A class, or several that are treated alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// The classes, the highest first.
    pub classes: Vec<u8>,
    /// The name of the class, if it has one.
    pub name: Option<String>,
    /// The streams of the class, as `pod/stream`.
    pub streams: Vec<String>,
    /// The longest frame of the class.
    pub longest_frame: LongestFrame,
    /// The windows that the picture touches, in order. The first and last may begin and end outside of it.
    pub windows: Vec<Window>,
    /// What the list does for the class; of a change the new one.
    pub figures: Figures,
    /// Of a change: what the old list does for the class.
    pub figures_before: Option<Figures>,
}

/// The longest frame of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LongestFrame {
    /// Its service data unit in bytes: `queue-max-sdu`, or the MTU.
    pub sdu_bytes: u32,
    /// What it occupies on the wire, in bytes: with Ethernet header, VLAN tag and the overhead of each frame.
    pub wire_bytes: u64,
    /// How long that takes.
    pub wire_time_ns: u64,
}

/// A time for which a gate is open without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Window {
    /// When the gate opens; `None` if it was open long before the picture.
    pub open_ns: Option<i64>,
    /// When it closes, the first instant at which it is closed; `None` if it does not.
    pub close_ns: Option<i64>,
    /// The last instant at which the longest frame may start; `None` if the gate does not close. Before `open_ns` if the
    /// frame does not fit.
    pub latest_start_ns: Option<i64>,
    /// What is left when one longest frame of each stream, at least one, has left between the margins; negative if they
    /// do not fit. `None` for a window without begin or end.
    pub spare_ns: Option<i64>,
}

/// What a gate does for as long as its list runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// Whether the gate opens and closes.
    pub gate: Gate,
    /// Windows that begin in a cycle. A window across the end of the cycle counts once.
    pub windows: usize,
    /// How long the gate is open in a cycle.
    pub open_ns: u64,
    /// The share of the cycle in which it is open, 0 to 1.
    pub open_share: f64,
    /// The shortest window.
    pub shortest_window_ns: Option<u64>,
    /// The longest window.
    pub longest_window_ns: Option<u64>,
    /// The least spare time of a window (see [`Window::spare_ns`]).
    pub spare_ns: Option<i64>,
    /// The guard band before each close: for so long the longest frame may no longer start, beside `stall-threshold`.
    /// `None` if the gate never closes, or never opens.
    pub guard_band_ns: Option<u64>,
}

/// Whether a gate opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// It never opens.
    NeverOpen,
    /// It never closes.
    AlwaysOpen,
    /// It does both.
    OpensAndCloses,
}

/// A change of schedule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// The picture's zero: the ConfigChangeTime, or the time of the command if no list starts; TAI nanoseconds.
    pub at_ns: u64,
    /// When the new list starts; `None` if there is none.
    pub config_change_time_ns: Option<u64>,
    /// Whether ConfigChangeError counts one up: the base time is past and another list runs.
    pub config_change_error: bool,
    /// How long the last cycle of the old list is; `None` if none ran.
    pub last_cycle_ns: Option<u64>,
    /// What happens, in words.
    pub story: Vec<String>,
}

impl Plan {
    /// Where the picture begins.
    pub fn start_ns(&self) -> i64 {
        self.spans.first().map_or(0, |span| span.start_ns)
    }

    /// Where the picture ends.
    pub fn end_ns(&self) -> i64 {
        self.spans.last().map_or(0, |span| span.end_ns)
    }
}

impl Span {
    /// As much of its label as has no more characters than `most`, or what matters of it: `old, cut after 380 µs`,
    /// `old, cut`, `cut`.
    pub fn label_within(&self, most: usize) -> &str {
        let end = [" after", " to"]
            .into_iter()
            .filter_map(|word| self.label.find(word))
            .min();
        let short = &self.label[..end.unwrap_or(self.label.len())];
        let shortest = short.rsplit(", ").next().unwrap_or(short);
        let fits = |label: &&str| label.chars().count() <= most;
        [self.label.as_str(), short]
            .into_iter()
            .find(fits)
            .unwrap_or(shortest)
    }
}

impl Row {
    /// The classes as people write them: `7`, or `6, 4-1`.
    pub fn numbers(&self) -> String {
        let mut runs: Vec<(u8, u8)> = Vec::new();
        for &class in &self.classes {
            match runs.last_mut() {
                Some((_, last)) if *last == class + 1 => *last = class,
                _ => runs.push((class, class)),
            }
        }
        let runs = runs.iter().map(|(first, last)| match first - last {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first}-{last}"),
        });
        runs.collect::<Vec<_>>().join(", ")
    }

    /// How many frames the spare time allows for: one for each stream, at least one.
    pub fn frames(&self) -> usize {
        self.streams.len().max(1)
    }
}
