//! From captured frames to figures: nearness to launch times and gates.

use tsn_perf::{talk::TalkSummary, wire::Header};
use tsn_tests::capture::CapturedFrame;
use tsn_vm_tests::report::peers::Outside;

use crate::{
    bed::{LINK_SPEED, Stream},
    schedule::Window,
};

/// Ethernet, IPv4 and UDP.
const HEADER_BYTES: usize = 14 + 20 + 8;
/// Preamble, FCS and gap.
const OVERHEAD_BYTES: usize = 24;

/// A datagram of ours at the wire's far end.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its traffic class.
    pub class: u8,
    /// Its number in its stream.
    pub sequence: u32,
    /// When the talker handed it over, TAI ns.
    pub handed_over_ns: u64,
    /// When the far end's kernel received it, TAI ns.
    pub at_ns: u64,
    /// How long it is on a wire of the link's speed.
    pub wire_ns: u64,
}

/// Those of the captured frames that are ours.
pub fn arrivals(frames: &[CapturedFrame]) -> Vec<Arrival> {
    frames
        .iter()
        .filter_map(|frame| {
            let port = frame.udp_destination()?;
            let class = (0..3).find(|class| Stream::port(*class) == port)?;
            let header = Header::decode(frame.bytes.get(HEADER_BYTES..)?)?;
            Some(Arrival {
                class,
                sequence: header.sequence,
                handed_over_ns: header.sent?.time_ns,
                at_ns: frame.arrival_ns,
                wire_ns: (frame.length + OVERHEAD_BYTES) as u64 * 8_000 / u64::from(LINK_SPEED),
            })
        })
        .collect()
}

/// Arrival less launch time of a stream that has a frame each period.
pub fn launch_errors(
    arrivals: &[Arrival],
    talker: &TalkSummary,
    class: u8,
    period_ns: u64,
) -> Vec<i64> {
    let first_ns = talker.first_time_ns.unwrap_or_default();
    arrivals
        .iter()
        .filter(|arrival| arrival.class == class)
        .map(|arrival| {
            let launch_ns = first_ns + u64::from(arrival.sequence) * period_ns;
            arrival.at_ns.cast_signed() - launch_ns.cast_signed()
        })
        .collect()
}

/// How long after the opening of its gate each frame of a class arrived that waited for it.
pub fn after_opening(arrivals: &[Arrival], windows: &[Window], class: u8) -> Vec<i64> {
    let mut windows = windows
        .iter()
        .filter(|window| window.class == class)
        .peekable();
    let mut found = Vec::new();
    let mut sorted: Vec<&Arrival> = arrivals
        .iter()
        .filter(|arrival| arrival.class == class)
        .collect();
    sorted.sort_by_key(|arrival| arrival.at_ns);
    for arrival in sorted {
        while windows
            .next_if(|window| window.close_ns <= arrival.at_ns)
            .is_some()
        {}
        if let Some(window) = windows.peek()
            && arrival.at_ns >= window.open_ns
            && arrival.handed_over_ns < window.open_ns
        {
            found.push((arrival.at_ns - window.open_ns).cast_signed());
        }
    }
    found
}

/// Counts frames outside their class's windows. A frame arrives some time after
/// its departure: `path_ns` of that is granted at the close, and nothing at the opening.
pub fn outside(arrivals: &[Arrival], windows: &[Window], path_ns: u64) -> Outside {
    let mut found = Outside {
        of: arrivals.len(),
        ..Outside::default()
    };
    for arrival in arrivals {
        let (from_ns, to_ns) = (arrival.at_ns, arrival.at_ns + arrival.wire_ns);
        let distance_ns = windows
            .iter()
            .filter(|window| window.class == arrival.class)
            .map(|window| {
                let early_ns = window.open_ns.saturating_sub(from_ns);
                early_ns.max(to_ns.saturating_sub(window.close_ns + path_ns))
            })
            .min();
        if distance_ns != Some(0) {
            found.frames += 1;
            found.worst_ns = found.worst_ns.max(distance_ns.unwrap_or(u64::MAX));
        }
    }
    found
}
