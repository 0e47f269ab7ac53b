//! From the gates' windows to the rows of a picture.

use std::collections::BTreeMap;

use tsn_common::ETHERNET_HEADER_BYTES;
use tsn_core::{LinkSpeed, TrafficClass, octets_on_wire};

use super::gates::TaiWindow;
use super::model::{Figures, Gate, LongestFrame, Row, Window};
use super::table::class;
use super::{Assumptions, PlanError};
use crate::config::{CompiledUplink, Configuration, Pod, Uplink, compile_uplink};
use crate::durations::duration;

/// What is known of the classes beside their gates.
#[derive(Debug)]
pub struct Classes {
    names: [Option<String>; TrafficClass::COUNT],
    /// Whether the file gives the class settings or streams.
    is_used: [bool; TrafficClass::COUNT],
    streams: [Vec<String>; TrafficClass::COUNT],
    frames: [LongestFrame; TrafficClass::COUNT],
    lead_ns: u64,
    stall_threshold_ns: u64,
}

/// The one uplink of a configuration that was checked, compiled.
pub fn uplink(configuration: &Configuration) -> Result<(&Uplink, CompiledUplink), PlanError> {
    configuration.check()?;
    let uplink = &configuration.uplinks[0];
    Ok((uplink, compile_uplink("uplinks[0]", uplink)?))
}

/// The link speed of an uplink in Mb/s.
pub fn link_speed_mbps(uplink: &Uplink, assumptions: &Assumptions) -> u32 {
    uplink.link_speed.unwrap_or(assumptions.link_speed_mbps)
}

impl Classes {
    /// `pods` are those that use the uplink.
    pub fn new<'a>(
        configuration: &Configuration,
        uplink: &Uplink,
        compiled: &CompiledUplink,
        pods: impl IntoIterator<Item = &'a Pod>,
        assumptions: &Assumptions,
    ) -> Self {
        let mut is_used = [false; TrafficClass::COUNT];
        for class in &uplink.traffic_classes {
            is_used[usize::from(class.number)] = true;
        }
        let mut streams: [Vec<String>; TrafficClass::COUNT] = Default::default();
        let mut header_bytes = [ETHERNET_HEADER_BYTES as u32; TrafficClass::COUNT];
        for pod in pods {
            for stream in &pod.streams {
                // A pod of the old file may name a class that the new one does not have.
                let Some(class) = stream.traffic_class.resolve(&compiled.names) else {
                    continue;
                };
                streams[class.index()].push(format!("{}/{}", pod.name, stream.name));
                is_used[class.index()] = true;
                let header_bytes = &mut header_bytes[class.index()];
                *header_bytes = stream.header_bytes().max(*header_bytes);
            }
        }
        let mbps = link_speed_mbps(uplink, assumptions).max(1);
        let speed = LinkSpeed::from_bits_per_second(u64::from(mbps) * 1_000_000);
        let frames = TrafficClass::ALL.map(|class| {
            let max_sdu_bytes = compiled.classes[class.index()].queue_max_sdu_bytes;
            let sdu_bytes = max_sdu_bytes.unwrap_or(assumptions.mtu_bytes);
            let frame_bytes = u64::from(sdu_bytes) + u64::from(header_bytes[class.index()]);
            let wire_bytes = octets_on_wire(frame_bytes, uplink.per_frame_overhead);
            LongestFrame {
                sdu_bytes,
                wire_bytes,
                wire_time_ns: speed.map_or(0, |speed| speed.wire_time(wire_bytes).as_nanos()),
            }
        });
        Self {
            names: compiled.names.clone(),
            is_used,
            streams,
            frames,
            lead_ns: assumptions.lead.as_nanos(),
            stall_threshold_ns: configuration.worker.stall_threshold.ns,
        }
    }

    /// What a list does for `class`, from its windows from a cycle before `[from, to)`, which is a cycle, to its end.
    pub fn figures(
        &self,
        class: TrafficClass,
        windows: &[TaiWindow],
        from: u64,
        to: u64,
    ) -> Figures {
        let gate = match windows {
            [] => Gate::NeverOpen,
            [window] if window.open.is_none() && window.close.is_none() => Gate::AlwaysOpen,
            _ => Gate::OpensAndCloses,
        };
        let open_ns = windows
            .iter()
            .map(|window| {
                let close = window.close.unwrap_or(to).min(to);
                close.saturating_sub(window.open.unwrap_or(from).max(from))
            })
            .sum();
        let begun: Vec<(u64, u64)> = windows
            .iter()
            .filter_map(|window| Some((window.open?, window.close?)))
            .filter(|(open, _)| (from..to).contains(open))
            .collect();
        let lengths = || begun.iter().map(|(open, close)| close - open);
        Figures {
            gate,
            windows: begun.len(),
            open_ns,
            open_share: open_ns as f64 / (to - from).max(1) as f64,
            shortest_window_ns: lengths().min(),
            longest_window_ns: lengths().max(),
            spare_ns: lengths().min().map(|length| self.spare_ns(class, length)),
            guard_band_ns: (gate == Gate::OpensAndCloses)
                .then_some(self.frames[class.index()].wire_time_ns),
        }
    }

    fn spare_ns(&self, class: TrafficClass, window_ns: u64) -> i64 {
        let frames = self.streams[class.index()].len().max(1) as i128;
        let frame = i128::from(self.frames[class.index()].wire_time_ns);
        let margins = i128::from(self.lead_ns) + i128::from(self.stall_threshold_ns);
        saturating_i64(i128::from(window_ns) - margins - frames * frame)
    }

    /// A window as the picture has it, from `zero` on.
    fn window(&self, class: TrafficClass, window: TaiWindow, zero: u64) -> Window {
        let from_zero = |t: u64| saturating_i64(i128::from(t) - i128::from(zero));
        let reserved = i128::from(self.frames[class.index()].wire_time_ns)
            + i128::from(self.stall_threshold_ns);
        Window {
            open_ns: window.open.map(from_zero),
            close_ns: window.close.map(from_zero),
            latest_start_ns: window
                .close
                .map(|close| saturating_i64(i128::from(close) - i128::from(zero) - reserved)),
            spare_ns: window
                .open
                .zip(window.close)
                .map(|(open, close)| self.spare_ns(class, close - open)),
        }
    }

    /// One row for each class that is used, and one for each group of others that are treated alike, the highest class
    /// first. The windows are those from `start` on; each class's are in `windows`.
    pub fn rows(
        &self,
        windows: [Vec<TaiWindow>; TrafficClass::COUNT],
        start: u64,
        zero: u64,
        figures: [(Figures, Option<Figures>); TrafficClass::COUNT],
    ) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        // The row of classes without settings and streams, by the first of its classes.
        let mut others: BTreeMap<u8, usize> = BTreeMap::new();
        let mut by_class: Vec<_> = TrafficClass::ALL
            .into_iter()
            .zip(windows)
            .zip(figures)
            .collect();
        by_class.reverse();
        for ((class, windows), (figures, figures_before)) in by_class {
            let row = Row {
                classes: vec![class.as_u8()],
                name: self.names[class.index()].clone(),
                streams: self.streams[class.index()].clone(),
                longest_frame: self.frames[class.index()],
                windows: windows
                    .into_iter()
                    .filter(|window| window.close.is_none_or(|close| close > start))
                    .map(|window| self.window(class, window, zero))
                    .collect(),
                figures,
                figures_before,
            };
            if self.is_used[class.index()] {
                rows.push(row);
                continue;
            }
            let alike = others.values().copied().find(|&index| {
                let other = &rows[index];
                other.windows == row.windows && other.longest_frame == row.longest_frame
            });
            match alike {
                Some(index) => rows[index].classes.push(class.as_u8()),
                None => {
                    others.insert(class.as_u8(), rows.len());
                    rows.push(row);
                }
            }
        }
        rows
    }

    /// What of the list is hardly meant: classes in use that never open, and frames that fit into no window.
    pub fn notes(&self, rows: &[Row]) -> Vec<String> {
        let mut notes = Vec::new();
        for row in rows {
            let class = format!("class {}", class(row));
            let is_used = self.is_used[usize::from(row.classes[0])];
            let needed_ns = row
                .longest_frame
                .wire_time_ns
                .saturating_add(self.lead_ns)
                .saturating_add(self.stall_threshold_ns);
            match (row.figures.gate, row.figures.longest_window_ns) {
                (Gate::NeverOpen, _) if is_used => notes.push(format!(
                    "{class} never opens: its frames are refused (gate_never_opens); open it in an entry"
                )),
                (_, Some(longest)) if longest < needed_ns => notes.push(format!(
                    "{class}: a frame of {} bytes needs a window of {}, margins included, and the longest is {}: it is \
                     refused (never_fits); lower queue-max-sdu or open the gate for longer",
                    row.longest_frame.sdu_bytes,
                    duration(needed_ns),
                    duration(longest),
                )),
                _ => {}
            }
        }
        notes
    }
}

fn saturating_i64(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
