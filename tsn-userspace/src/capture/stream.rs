//! From the worker's tap to the lines of an answer that ends when its reader goes away.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc::{OwnedPermit, Receiver, Sender, channel};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

use super::line::{CaptureCount, CaptureEnd, CaptureLine, CaptureStart, CapturedFrame};
use crate::worker::capture::CaptureReader;

/// How often an empty tap is looked at; the worker wakes nobody.
const LOOK: Duration = Duration::from_millis(5);
/// How often the count is told.
const COUNT: Duration = Duration::from_secs(1);
/// Frames in one piece of the answer, so that other requests get their turn.
const FRAMES_PER_PIECE: usize = 512;
/// Pieces on their way to the client, with the place that is kept for the last line.
const PIECES: usize = 4;
/// After so long without a piece taken the capture ends: another one must not wait for a client that is stopped.
const STOPPED: Duration = Duration::from_secs(5);

/// The answer's body, piece by piece. The reader is dropped when the client has gone or takes nothing any more.
pub fn lines(
    reader: CaptureReader,
    start: CaptureStart,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let pieces = fetch(reader, start, STOPPED);
    futures_util::stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((Ok(piece), pieces))
    })
}

/// Fetches in a task of its own, which goes on when nobody asks for the next piece.
fn fetch(reader: CaptureReader, start: CaptureStart, stopped: Duration) -> Receiver<Bytes> {
    let (sender, receiver) = channel(PIECES);
    let lines = Lines::new(reader, start);
    tokio::spawn(async move {
        if let Ok(last) = sender.clone().reserve_owned().await {
            lines.send(sender, last, stopped).await;
        }
    });
    receiver
}

struct Lines {
    reader: CaptureReader,
    start: Option<CaptureStart>,
    count: CaptureCount,
    told_at: Instant,
    look: Interval,
    /// Whether the tap had no frame left when it was looked at last.
    is_empty: bool,
}

impl Lines {
    fn new(reader: CaptureReader, start: CaptureStart) -> Self {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            reader,
            start: Some(start),
            count: CaptureCount::default(),
            told_at: Instant::now(),
            look,
            is_empty: true,
        }
    }

    async fn send(mut self, sender: Sender<Bytes>, last: OwnedPermit<Bytes>, stopped: Duration) {
        loop {
            let piece = tokio::select! {
                // The client has gone.
                () = sender.closed() => return,
                piece = self.next_piece() => piece,
            };
            match timeout(stopped, sender.send(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => break,
            }
        }
        let reason = format!("tsnctl has taken nothing for {stopped:?}");
        tracing::warn!(reason, "capture ended");
        let mut text = Vec::new();
        write(&mut text, &CaptureLine::End(CaptureEnd { reason }));
        last.send(text.into());
    }

    async fn next_piece(&mut self) -> Bytes {
        let mut text = Vec::new();
        if let Some(start) = self.start.take() {
            write(&mut text, &CaptureLine::Start(start));
        }
        while text.is_empty() {
            if self.is_empty {
                self.look.tick().await;
            }
            self.is_empty = false;
            for _ in 0..FRAMES_PER_PIECE {
                if !self.next_frame(&mut text) {
                    self.is_empty = true;
                    break;
                }
            }
            if self.told_at.elapsed() >= COUNT {
                self.told_at = Instant::now();
                if self.is_empty {
                    // Nothing waits that left before the last one that was missed.
                    self.count.missed = self.reader.missed();
                }
                write(&mut text, &CaptureLine::Count(self.count));
            }
        }
        Bytes::from(text)
    }

    /// Writes the next frame, if there is one, and before it how many were missed if some were.
    fn next_frame(&mut self, text: &mut Vec<u8>) -> bool {
        let count = &mut self.count;
        let written = self.reader.read(|record| {
            if record.missed_before > count.missed {
                count.missed = record.missed_before;
                write(text, &CaptureLine::Count(*count));
            }
            count.frames += 1;
            write(text, &CaptureLine::Frame(CapturedFrame::from(record)));
        });
        written.is_some()
    }
}

fn write(text: &mut Vec<u8>, line: &CaptureLine<'_>) {
    // A vector takes everything, and these records have nothing that JSON lacks.
    if serde_json::to_writer(&mut *text, line).is_ok() {
        text.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use tsn_core::{Launch, TaiTime, TrafficClass};

    use super::*;
    use crate::worker::capture::{CaptureFilter, CaptureTap, capture};

    const BOUND: Duration = Duration::from_secs(30);

    fn ends() -> (CaptureTap, CaptureReader) {
        let everything = CaptureFilter {
            pod: None,
            stream: None,
            classes: 0xff,
        };
        capture(everything, 16)
    }

    fn start() -> CaptureStart {
        CaptureStart {
            device: "uplink0".to_owned(),
            version: "1.2.3".to_owned(),
            link_speed: 1_000,
            tai_utc_offset_s: 37,
            snap_length: 16,
            class_names: Default::default(),
        }
    }

    /// Lets one frame leave. Whether there was a record for it.
    fn leave(tap: &mut CaptureTap) -> bool {
        let copy = tap.copy(b"frame", TrafficClass::ALL[0], Launch::None, None);
        let is_copied = copy.is_some();
        if let Some(copy) = copy {
            tap.departed(copy, TaiTime::from_nanos(1), false);
        }
        is_copied
    }

    /// Lets frames leave until one is missed. How many were not.
    fn fill(tap: &mut CaptureTap) -> u64 {
        (0..).find(|_| !leave(tap)).unwrap()
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime
            .block_on(async { timeout(BOUND, test).await })
            .unwrap();
    }

    fn told(piece: &[u8]) -> Vec<CaptureLine<'_>> {
        let lines = piece.split(|byte| *byte == b'\n');
        lines
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[test]
    fn a_gap_is_told_before_the_frame_that_follows_it() {
        let (mut tap, reader) = ends();
        let frames = fill(&mut tap);
        assert!(!leave(&mut tap));
        run(async {
            let mut lines = Lines::new(reader, start());
            // No count because a second has passed.
            lines.told_at += BOUND;
            while lines.count.frames < frames {
                lines.next_piece().await;
            }
            assert_eq!(lines.count.missed, 0);
            assert!(leave(&mut tap));
            let piece = lines.next_piece().await;
            let [CaptureLine::Count(count), CaptureLine::Frame(_)] = &*told(&piece) else {
                panic!("{piece:?}");
            };
            assert_eq!(*count, CaptureCount { frames, missed: 2 });
        });
    }

    #[test]
    fn frames_that_wait_are_told_without_a_pause() {
        let (mut tap, reader) = ends();
        let frames = fill(&mut tap);
        run(async {
            let mut lines = Lines::new(reader, start());
            // Has one tick for all the pieces.
            lines.look = interval(2 * BOUND);
            while lines.count.frames < frames {
                lines.next_piece().await;
            }
        });
    }

    #[test]
    fn a_capture_ends_whose_client_takes_nothing() {
        run(async {
            let (mut tap, reader) = ends();
            let alive = reader.alive();
            let mut pieces = fetch(reader, start(), Duration::from_millis(50));
            while alive.strong_count() > 0 {
                leave(&mut tap);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let mut last = Bytes::new();
            while let Some(piece) = pieces.recv().await {
                last = piece;
            }
            let [CaptureLine::End(end)] = &*told(&last) else {
                panic!("{last:?}");
            };
            assert!(end.reason.contains("50ms"), "{end:?}");
        });
    }

    #[test]
    fn a_capture_ends_whose_client_has_gone() {
        run(async {
            let (_tap, reader) = ends();
            let alive = reader.alive();
            drop(fetch(reader, start(), BOUND));
            while alive.strong_count() > 0 {
                tokio::task::yield_now().await;
            }
        });
    }
}
