//! Copies of the frames that leave, with when they left: the worker's end and the reader's.
//!
//! The records are made, and their memory touched, before the worker sees the tap. They go around in two wait-free rings,
//! each with one producer and one consumer, so that the worker neither allocates nor waits; a reader that is too slow
//! misses frames, and they are counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use rtrb::{Consumer, Producer, RingBuffer};
use tsn_core::{Launch, TaiTime, TrafficClass};

use super::pod::PodNames;

/// Records of a tap: about 20 ms of the fastest traffic.
const RECORDS: usize = 8_192;

/// Which frames are of interest. Those for which all of it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureFilter {
    /// Of this pod.
    pub pod: Option<String>,
    /// Of streams with this name.
    pub stream: Option<String>,
    /// Of these classes; bit i is class i.
    pub classes: u8,
}

impl CaptureFilter {
    fn admits(&self, class: TrafficClass, source: Option<(&PodNames, usize)>) -> bool {
        let (pod, stream) = match source {
            Some((names, stream)) => (
                Some(&names.pod),
                names.streams.get(stream), // always there: the stream's number is the rule's that matched
            ),
            None => (None, None),
        };
        self.classes & 1 << class.as_u8() != 0
            && (self.pod.is_none() || self.pod.as_ref() == pod)
            && (self.stream.is_none() || self.stream.as_ref() == stream)
    }
}

/// A frame that left.
#[derive(Debug)]
pub struct CaptureRecord {
    /// Its first bytes.
    pub bytes: Vec<u8>,
    /// Bytes of the whole frame, without FCS.
    pub length_bytes: usize,
    /// Its class.
    pub class: TrafficClass,
    /// What its socket asked for.
    pub launch: Launch,
    /// Its pod and the number of the stream in it; `None` if the pod has been removed since.
    pub source: Option<(Arc<PodNames>, usize)>,
    /// The end of the wake-up that sent it.
    pub departure: TaiTime,
    /// Whether a stall of the worker touched it.
    pub stalled: bool,
    /// How many frames had been missed when it was copied.
    pub missed_before: u64,
}

/// The worker's end.
#[derive(Debug)]
pub struct CaptureTap {
    free: Consumer<Box<CaptureRecord>>,
    filled: Producer<Box<CaptureRecord>>,
    /// At first all records, then those of frames that were not sent: the worker cannot put them into `free`, which it
    /// reads. Has room for all.
    #[expect(
        clippy::vec_box,
        reason = "they go through the rings, where a move should be short"
    )]
    spare: Vec<Box<CaptureRecord>>,
    missed: Arc<AtomicU64>,
    filter: CaptureFilter,
    snap_length: usize,
}

/// The reader's end.
#[derive(Debug)]
pub struct CaptureReader {
    free: Producer<Box<CaptureRecord>>,
    filled: Consumer<Box<CaptureRecord>>,
    missed: Arc<AtomicU64>,
    alive: Arc<()>,
}

/// Both ends, with room for the first `snap_length` bytes of each frame. Touches all that memory, up to 33 MB: not to be
/// called where somebody waits.
pub fn capture(filter: CaptureFilter, snap_length: usize) -> (CaptureTap, CaptureReader) {
    let (to_free, free) = RingBuffer::new(RECORDS);
    let (mut to_filled, mut filled) = RingBuffer::new(RECORDS);
    let empty = || {
        // Written to, so that the worker does not meet pages that are not there yet. Zeroes could be had without.
        let mut bytes = vec![0xff; snap_length];
        bytes.clear();
        Box::new(CaptureRecord {
            bytes,
            length_bytes: 0,
            class: TrafficClass::ALL[0],
            launch: Launch::None,
            source: None,
            departure: TaiTime::from_nanos(0),
            stalled: false,
            missed_before: 0,
        })
    };
    // Once through the worker's ring, so that its own memory is touched too.
    while to_filled.push(empty()).is_ok() {}
    let mut spare = Vec::with_capacity(RECORDS);
    while let Ok(record) = filled.pop() {
        spare.push(record);
    }
    let missed = Arc::new(AtomicU64::new(0));
    let tap = CaptureTap {
        free,
        filled: to_filled,
        spare,
        missed: Arc::clone(&missed),
        filter,
        snap_length,
    };
    let reader = CaptureReader {
        free: to_free,
        filled,
        missed,
        alive: Arc::new(()),
    };
    (tap, reader)
}

impl CaptureTap {
    /// Copies a frame that is about to be handed over, if it is of interest and a record is free.
    pub fn copy(
        &mut self,
        frame: &[u8],
        class: TrafficClass,
        launch: Launch,
        source: Option<(&Arc<PodNames>, usize)>,
    ) -> Option<Box<CaptureRecord>> {
        let names = source.map(|(names, stream)| (&**names, stream));
        if !self.filter.admits(class, names) {
            return None;
        }
        let Some(mut record) = self.spare.pop().or_else(|| self.free.pop().ok()) else {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        record.bytes.clear();
        let kept = frame.len().min(self.snap_length);
        record.bytes.extend_from_slice(&frame[..kept]);
        record.length_bytes = frame.len();
        record.class = class;
        record.launch = launch;
        record.source = source.map(|(names, stream)| (Arc::clone(names), stream));
        record.missed_before = self.missed.load(Ordering::Relaxed);
        Some(record)
    }

    /// The frame has left.
    pub fn departed(&mut self, mut record: Box<CaptureRecord>, departure: TaiTime, stalled: bool) {
        record.departure = departure;
        record.stalled = stalled;
        // There is a place for every record.
        let _ = self.filled.push(record);
    }

    /// How many bytes of each frame it keeps.
    pub const fn snap_length(&self) -> usize {
        self.snap_length
    }

    /// The frame was not sent after all.
    pub fn discard(&mut self, mut record: Box<CaptureRecord>) {
        // Now, while the pod still has its names: later this might be the last to have them.
        record.source = None;
        self.spare.push(record);
    }
}

impl CaptureReader {
    /// Hands the next frame to `read`; `None` when there is none yet.
    pub fn read<T>(&mut self, read: impl FnOnce(&CaptureRecord) -> T) -> Option<T> {
        let mut record = self.filled.pop().ok()?;
        let result = read(&record);
        // The worker must not be the one to free them.
        record.source = None;
        let _ = self.free.push(record);
        Some(result)
    }

    /// Frames for which no record was free, so far.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Something that is gone when the reader is.
    pub fn alive(&self) -> Weak<()> {
        Arc::downgrade(&self.alive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: CaptureFilter = CaptureFilter {
        pod: None,
        stream: None,
        classes: 0xff,
    };

    fn class(number: u8) -> TrafficClass {
        TrafficClass::new(number).unwrap()
    }

    fn names() -> Arc<PodNames> {
        Arc::new(PodNames {
            pod: "camera".to_owned(),
            streams: vec!["video".to_owned(), "rest".to_owned()],
        })
    }

    #[test]
    fn what_the_worker_copies_the_reader_gets_once() {
        let (mut tap, mut reader) = capture(ALL, 4);
        let launch = Launch::At(TaiTime::from_nanos(100));
        let record = tap
            .copy(b"frame", class(6), launch, Some((&names(), 1)))
            .unwrap();
        tap.departed(record, TaiTime::from_nanos(140), true);
        let given_up = tap.copy(b"lost", class(6), launch, None).unwrap();
        tap.discard(given_up);
        let seen = reader.read(|record| {
            assert_eq!(record.bytes, b"fram");
            assert_eq!(record.length_bytes, 5);
            assert_eq!(record.class, class(6));
            assert_eq!(record.launch, launch);
            assert_eq!(record.departure, TaiTime::from_nanos(140));
            assert!(record.stalled);
            let (names, stream) = record.source.as_ref().unwrap();
            names.streams[*stream].clone()
        });
        assert_eq!(seen.as_deref(), Some("rest"));
        assert!(reader.read(|_| ()).is_none());
        assert_eq!(reader.missed(), 0);
    }

    #[test]
    fn a_reader_that_sleeps_misses_frames_and_is_told_how_many() {
        let (mut tap, mut reader) = capture(ALL, 64);
        for _ in 0..RECORDS + 3 {
            if let Some(record) = tap.copy(b"x", class(0), Launch::None, None) {
                tap.departed(record, TaiTime::from_nanos(1), false);
            }
        }
        assert_eq!(reader.missed(), 3);
        let mut read = 0;
        while reader.read(|_| ()).is_some() {
            read += 1;
        }
        assert_eq!(read, RECORDS);
        let next = tap.copy(b"x", class(0), Launch::None, None).unwrap();
        assert_eq!(next.missed_before, 3);
    }

    #[test]
    fn records_of_frames_that_were_not_sent_are_used_again() {
        let (mut tap, mut reader) = capture(ALL, 64);
        let mut burst = Vec::new();
        for _ in 0..RECORDS {
            for _ in 0..3 {
                burst.extend(tap.copy(b"x", class(0), Launch::None, Some((&names(), 0))));
            }
            for record in burst.drain(..) {
                tap.discard(record);
            }
        }
        assert_eq!(reader.missed(), 0);
        assert!(reader.read(|_| ()).is_none());
    }

    #[test]
    fn the_filter_wants_all_that_it_names() {
        let admits = |filter: &CaptureFilter, number, source: Option<usize>| {
            let names = names();
            filter.admits(class(number), source.map(|stream| (&*names, stream)))
        };
        assert!(admits(&ALL, 3, None));
        let by_class = CaptureFilter {
            classes: 1 << 6,
            ..ALL
        };
        assert!(admits(&by_class, 6, None));
        assert!(!admits(&by_class, 5, None));
        let by_stream = CaptureFilter {
            pod: Some("camera".to_owned()),
            stream: Some("rest".to_owned()),
            ..ALL
        };
        assert!(admits(&by_stream, 0, Some(1)));
        assert!(!admits(&by_stream, 0, Some(0)));
        assert!(!admits(&by_stream, 0, None));
        let other_pod = CaptureFilter {
            pod: Some("other".to_owned()),
            ..by_stream
        };
        assert!(!admits(&other_pod, 0, Some(1)));
    }
}
