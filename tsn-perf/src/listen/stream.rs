//! What is noted of one stream.

use std::collections::BTreeMap;

use super::StreamSummary;
use crate::distribution::SignedHistogram;
use crate::ethernet::VlanTag;
use crate::sequence::{Arrival, SequenceTracker};
use crate::stream::Stream;
use crate::wire::Header;

/// One frame of ours, as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// What it says about itself.
    pub header: Header,
    /// When the kernel received it, in TAI ns.
    pub arrival_ns: u64,
    /// Its size in bytes, Ethernet header and tag included.
    pub size_bytes: usize,
    /// The size of its payload in bytes.
    pub payload_bytes: usize,
    /// Its VLAN tag.
    pub tag: Option<VlanTag>,
}

impl Frame {
    /// Arrival less launch time, in ns.
    pub fn error_ns(&self) -> Option<i64> {
        Some(signed_difference(
            self.arrival_ns,
            self.header.launch_time_ns?,
        ))
    }
}

/// The account of one stream.
#[derive(Debug)]
pub struct StreamAccount {
    stream: Stream,
    sequence: SequenceTracker,
    error_ns: SignedHistogram,
    transit_ns: SignedHistogram,
    handed_over_late: u64,
    truncated: u64,
    tags: BTreeMap<VlanTag, u64>,
    first_arrival_ns: u64,
    last_arrival_ns: u64,
}

impl StreamAccount {
    /// An account without frames.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            sequence: SequenceTracker::default(),
            error_ns: SignedHistogram::new(),
            transit_ns: SignedHistogram::new(),
            handed_over_late: 0,
            truncated: 0,
            tags: BTreeMap::new(),
            first_arrival_ns: u64::MAX,
            last_arrival_ns: 0,
        }
    }

    /// What people call the stream.
    pub fn name(&self) -> &str {
        &self.stream.name
    }

    /// Notes a frame. Times are taken of a frame's first copy only.
    pub fn note(&mut self, frame: &Frame) {
        self.first_arrival_ns = self.first_arrival_ns.min(frame.arrival_ns);
        self.last_arrival_ns = self.last_arrival_ns.max(frame.arrival_ns);
        if let Some(tag) = frame.tag {
            *self.tags.entry(tag).or_default() += 1;
        }
        if self.sequence.note(frame.header.sequence) == Arrival::Duplicate {
            return;
        }
        if let Some(error_ns) = frame.error_ns() {
            self.error_ns.record(error_ns);
        }
        if let Some(sent) = frame.header.sent {
            self.transit_ns
                .record(signed_difference(frame.arrival_ns, sent.time_ns));
            let is_late = frame
                .header
                .launch_time_ns
                .is_some_and(|launch| sent.time_ns > launch);
            self.handed_over_late += u64::from(is_late);
            self.truncated += u64::from(frame.payload_bytes < usize::from(sent.payload_bytes));
        }
    }

    /// The account up to now.
    pub fn summary(&self) -> StreamSummary {
        StreamSummary {
            stream: self.stream.clone(),
            counts: self.sequence.counts(),
            timed: self.error_ns.count(),
            error_ns: self.error_ns.distribution(),
            transit_ns: self.transit_ns.distribution(),
            handed_over_late: self.handed_over_late,
            truncated: self.truncated,
            vlan_tags: self
                .tags
                .iter()
                .map(|(tag, frames)| (format!("{}/{}", tag.id, tag.pcp), *frames))
                .collect(),
            first_arrival_ns: self.first_arrival_ns,
            last_arrival_ns: self.last_arrival_ns,
        }
    }
}

/// The header of a frame may say anything: a difference out of range wraps instead of ending the run.
fn signed_difference(later: u64, earlier: u64) -> i64 {
    later.wrapping_sub(earlier) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Sent;

    fn frame(sequence: u32, launch_time_ns: Option<u64>, arrival_ns: u64) -> Frame {
        let sent = Some(Sent {
            time_ns: 1_000,
            payload_bytes: 40,
        });
        let header = Header {
            stream_id: 1,
            sequence,
            launch_time_ns,
            sent,
        };
        Frame {
            header,
            arrival_ns,
            size_bytes: 82,
            payload_bytes: 40,
            tag: None,
        }
    }

    fn summary_of(frames: &[Frame]) -> StreamSummary {
        let mut account = StreamAccount::new(Stream::from(1));
        frames.iter().for_each(|frame| account.note(frame));
        account.summary()
    }

    #[test]
    fn an_early_frame_has_a_negative_error() {
        let error = summary_of(&[frame(0, Some(2_000), 1_800)])
            .error_ns
            .unwrap();
        assert_eq!((error.min, error.max), (-200, -200));
    }

    #[test]
    fn a_duplicate_is_counted_but_not_timed() {
        let summary = summary_of(&[frame(0, Some(2_000), 2_100), frame(0, Some(2_000), 9_000)]);
        assert_eq!((summary.counts.received, summary.counts.duplicated), (2, 1));
        assert_eq!((summary.timed, summary.error_ns.unwrap().max), (1, 100));
    }

    #[test]
    fn a_frame_without_launch_time_has_only_a_transit_time() {
        let summary = summary_of(&[frame(0, None, 1_300)]);
        assert_eq!((summary.timed, summary.error_ns), (0, None));
        assert_eq!(summary.transit_ns.unwrap().p50, 300);
    }

    #[test]
    fn the_talkers_faults_are_told_apart() {
        let late = frame(0, Some(900), 1_300);
        let short = Frame {
            payload_bytes: 39,
            ..frame(1, Some(2_000), 2_300)
        };
        let padded = Frame {
            payload_bytes: 46,
            ..frame(2, Some(3_000), 3_300)
        };
        let summary = summary_of(&[late, short, padded]);
        assert_eq!((summary.handed_over_late, summary.truncated), (1, 1));
    }

    #[test]
    fn tags_are_counted() {
        let tag = Some(VlanTag { id: 100, pcp: 6 });
        let summary = summary_of(&[
            Frame {
                tag,
                ..frame(0, None, 1_300)
            },
            frame(1, None, 1_300),
        ]);
        assert_eq!(summary.vlan_tags, BTreeMap::from([("100/6".to_owned(), 1)]));
    }
}
