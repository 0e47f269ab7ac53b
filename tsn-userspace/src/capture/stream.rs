//! From the worker's tap to the lines of an answer that ends when its reader goes away.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::line::{CaptureCount, CaptureLine, CaptureStart, CapturedFrame};
use crate::worker::capture::CaptureReader;

/// How often the tap is looked at; the worker wakes nobody.
const LOOK: Duration = Duration::from_millis(5);
/// How often the count is told. Writing is also how a reader that is gone is noticed.
const COUNT: Duration = Duration::from_secs(1);
/// Frames in one piece of the answer, so that other requests get their turn.
const FRAMES_PER_PIECE: usize = 512;

struct Lines {
    reader: Arc<CaptureReader>,
    start: Option<CaptureStart>,
    frames: u64,
    told_at: Instant,
    look: Interval,
}

/// The answer's body, piece by piece.
pub fn lines(
    reader: Arc<CaptureReader>,
    start: CaptureStart,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let lines = Lines {
        reader,
        start: Some(start),
        frames: 0,
        told_at: Instant::now(),
        look,
    };
    futures_util::stream::unfold(lines, |mut lines| async {
        let piece = lines.next_piece().await;
        Some((Ok(piece), lines))
    })
}

impl Lines {
    async fn next_piece(&mut self) -> Bytes {
        let mut text = Vec::new();
        if let Some(start) = self.start.take() {
            write(&mut text, &CaptureLine::Start(start));
        }
        while text.is_empty() {
            self.look.tick().await;
            for _ in 0..FRAMES_PER_PIECE {
                let written = self.reader.read(|record| {
                    let frame = CapturedFrame::from(record);
                    write(&mut text, &CaptureLine::Frame(frame));
                });
                if written.is_none() {
                    break;
                }
                self.frames += 1;
            }
            if self.told_at.elapsed() >= COUNT {
                self.told_at = Instant::now();
                let count = CaptureCount {
                    frames: self.frames,
                    missed: self.reader.missed(),
                };
                write(&mut text, &CaptureLine::Count(count));
            }
        }
        Bytes::from(text)
    }
}

fn write(text: &mut Vec<u8>, line: &CaptureLine<'_>) {
    // A vector takes everything, and these records have nothing that JSON lacks.
    if serde_json::to_writer(&mut *text, line).is_ok() {
        text.push(b'\n');
    }
}
