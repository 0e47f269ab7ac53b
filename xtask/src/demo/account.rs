//! From the frames that the wire carried to what is said of each stream.

use std::collections::BTreeMap;

use serde::Deserialize;
use tsn_perf::{
    distribution::Distribution,
    ethernet,
    report::{Dot, StreamResult},
    sequence::{Arrival, SequenceTracker},
    wire::Header,
};
use tsn_tests::capture::CapturedFrame;

use super::plan::{STREAMS, Stream};

/// A frame that arrives so near to its launch time, on either side, is called on time in the table.
pub const ON_TIME_NS: i64 = 10_000;

/// A time in which the daemon's worker was kept from running, as the daemon tells it; TAI ns.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stall {
    begin_ns: u64,
    end_ns: u64,
    frames: u32,
}

/// What happened besides the frames.
pub struct Circumstances<'a> {
    /// How many frames each stream's talker handed over, by stream id.
    pub sent: &'a BTreeMap<u16, u64>,
    /// The daemon's stalls, oldest first.
    pub stalls: &'a [Stall],
    /// How far outside its window a frame may be seen, in ns: what the wire itself adds.
    pub tolerance_ns: u64,
}

/// The account of all streams. Frames that a stall touched are counted and drawn, but neither as on time, late or
/// outside their gate, nor in the distribution.
pub fn streams(frames: &[CapturedFrame], circumstances: &Circumstances) -> Vec<StreamResult> {
    let mut arrivals: BTreeMap<u16, Vec<(Header, u64)>> = BTreeMap::new();
    for frame in frames {
        let payload = ethernet::payload(&frame.bytes, frame.length);
        if let Some(header) = payload.and_then(|payload| Header::decode(payload.bytes)) {
            arrivals
                .entry(header.stream_id)
                .or_default()
                .push((header, frame.arrival_ns));
        }
    }
    let account = |stream: &Stream| {
        let arrivals = arrivals.get(&stream.id).map_or(&[][..], Vec::as_slice);
        one_stream(stream, arrivals, circumstances)
    };
    STREAMS.iter().map(account).collect()
}

fn one_stream(
    stream: &Stream,
    arrivals: &[(Header, u64)],
    circumstances: &Circumstances,
) -> StreamResult {
    let sent = circumstances.sent.get(&stream.id).copied().unwrap_or(0);
    let mut result = StreamResult {
        name: stream.name.to_owned(),
        class: stream.class,
        sent,
        ..Default::default()
    };
    let mut tracker = SequenceTracker::default();
    let mut errors = Vec::new();
    for (header, arrival_ns) in arrivals {
        if tracker.note(header.sequence) == Arrival::Duplicate {
            result.duplicated += 1;
            continue;
        }
        result.received += 1;
        let dot = Dot {
            arrival_ns: *arrival_ns,
            launch_time_ns: header.launch_time_ns,
            stalled: is_stalled(circumstances.stalls, header.launch_time_ns, *arrival_ns),
        };
        result.frames.push(dot);
        if dot.stalled {
            result.stalled += 1;
            continue;
        }
        let is_outside = !stream.gate_is_open(dot.arrival_ns, circumstances.tolerance_ns);
        result.outside_gate += u64::from(is_outside);
        match dot.launch_time_ns {
            Some(launch_time_ns) => {
                let error_ns = dot.arrival_ns.cast_signed() - launch_time_ns.cast_signed();
                errors.push(error_ns);
                result.on_time += u64::from(error_ns.abs() <= ON_TIME_NS);
                result.late += u64::from(error_ns > ON_TIME_NS);
            }
            None => result.on_time += u64::from(!is_outside),
        }
    }
    result.lost = sent.saturating_sub(result.received);
    result.error_ns = Distribution::of(errors);
    result
}

/// Whether a stall that touched frames lies between the time at which this one was to be there and the time at which it
/// was. `stalls` follow each other.
pub fn is_stalled(stalls: &[Stall], launch_time_ns: Option<u64>, arrival_ns: u64) -> bool {
    let due_ns = launch_time_ns.unwrap_or(arrival_ns);
    let (first_ns, last_ns) = (due_ns.min(arrival_ns), due_ns.max(arrival_ns));
    let begun = stalls.partition_point(|stall| stall.begin_ns <= last_ns);
    let mut not_over = stalls[..begun]
        .iter()
        .rev()
        .take_while(|stall| stall.end_ns >= first_ns);
    not_over.any(|stall| stall.frames > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CYCLE: u64 = 1_000_000_000;

    fn frame(sequence: u32, launch_time_ns: Option<u64>, arrival_ns: u64) -> (Header, u64) {
        (
            Header {
                stream_id: 1,
                sequence,
                launch_time_ns,
                sent: None,
            },
            arrival_ns,
        )
    }

    #[test]
    fn each_frame_is_counted_for_what_it_is() {
        let launch_time_ns = Some(CYCLE + 100_000);
        let arrivals = [
            frame(0, launch_time_ns, CYCLE + 101_000), // on time
            frame(1, launch_time_ns, CYCLE + 150_000), // late, in its gate
            frame(2, launch_time_ns, CYCLE + 250_000), // late, outside its gate
            frame(2, launch_time_ns, CYCLE + 260_000), // a duplicate
            frame(3, launch_time_ns, CYCLE - 400_000), // early and outside its gate
            frame(4, Some(CYCLE + 1_100_000), CYCLE + 1_900_000), // stalled
        ];
        let stall = Stall {
            begin_ns: CYCLE + 1_000_000,
            end_ns: CYCLE + 1_890_000,
            frames: 1,
        };
        let sent = BTreeMap::from([(1, 7)]);
        let circumstances = Circumstances {
            sent: &sent,
            stalls: &[stall],
            tolerance_ns: 0,
        };
        let result = one_stream(&STREAMS[0], &arrivals, &circumstances);
        let counts = [
            result.received,
            result.lost,
            result.duplicated,
            result.outside_gate,
        ];
        assert_eq!(counts, [5, 2, 1, 2]);
        assert_eq!([result.stalled, result.on_time, result.late], [1, 1, 2]);
        assert_eq!(result.frames.len(), 5);
        let error_ns = result.error_ns.expect("the stream has launch times");
        assert_eq!((error_ns.min, error_ns.max), (-500_000, 150_000));
    }
}
