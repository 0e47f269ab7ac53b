//! The file of a capture, in a thread of its own: a pipe that is full must not stop what else `tsnctl` has to do.

use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use hyper::body::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tsn_userspace::capture::line::{CaptureCount, CaptureLine};
use tsn_userspace::capture::pcapng::CaptureFile;

/// Pieces of the daemon's answer that may wait to be written.
const PIECES: usize = 16;

/// Why nothing more is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// All that came is in the file.
    InputOver,
    /// There are as many frames as were wanted, or who read along has seen enough.
    Enough,
}

/// The way to the thread.
pub struct Writer {
    /// What the daemon says; dropping it ends the file.
    pub pieces: mpsc::Sender<Bytes>,
    /// What is in the file; `None` until the daemon has told what it begins with.
    pub count: watch::Receiver<Option<CaptureCount>>,
    /// How it ended.
    pub finish: oneshot::Receiver<Result<Finish>>,
}

/// Starts the thread. The file is made when the daemon begins; `-` is standard output.
///
/// # Errors
///
/// When there can be no thread.
pub fn write(path: PathBuf, frames_wanted: u64) -> std::io::Result<Writer> {
    let (pieces, input) = mpsc::channel(PIECES);
    let (counts, count) = watch::channel(None);
    let (finished, finish) = oneshot::channel();
    let capture = Capture {
        path,
        file: None,
        count: CaptureCount::default(),
        frames_wanted,
        counts,
    };
    std::thread::Builder::new()
        .name("file".to_owned())
        .spawn(move || {
            // Nobody listens any more if the end was forced.
            let _ = finished.send(capture.write_all(input));
        })?;
    Ok(Writer {
        pieces,
        count,
        finish,
    })
}

type Output = BufWriter<File>;

struct Capture {
    path: PathBuf,
    /// Since the first line told what it begins with.
    file: Option<CaptureFile<Output>>,
    count: CaptureCount,
    frames_wanted: u64,
    counts: watch::Sender<Option<CaptureCount>>,
}

impl Capture {
    fn write_all(mut self, input: mpsc::Receiver<Bytes>) -> Result<Finish> {
        let result = self.follow(input);
        self.tell_count();
        let count = self.count;
        let finished = self.file.take().map(|file| file.finish(count)).transpose();
        match result.and_then(|finish| finished.map(|_| finish)) {
            Err(error) if is_broken_pipe(&error) => Ok(Finish::Enough),
            Err(error) if error.is::<std::io::Error>() => {
                Err(error.context(format!("{}: cannot be written", self.path.display())))
            }
            result => result,
        }
    }

    fn tell_count(&self) {
        if self.file.is_some() {
            self.counts.send_replace(Some(self.count));
        }
    }

    fn follow(&mut self, mut input: mpsc::Receiver<Bytes>) -> Result<Finish> {
        let mut begun_line = Vec::new();
        while let Some(piece) = input.blocking_recv() {
            begun_line.extend_from_slice(&piece);
            let has_enough = self.take_lines(&mut begun_line)?;
            self.tell_count();
            if has_enough {
                return Ok(Finish::Enough);
            }
        }
        Ok(Finish::InputOver)
    }

    /// Takes the whole lines. Whether there are frames enough.
    fn take_lines(&mut self, text: &mut Vec<u8>) -> Result<bool> {
        let Some(end) = text.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(false);
        };
        let rest = text.split_off(end + 1);
        let lines = std::mem::replace(text, rest);
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let line: CaptureLine<'_> = serde_json::from_slice(line)
                .context("tsnd and tsnctl are of different versions")?;
            self.take(line)?;
            if self.count.frames >= self.frames_wanted {
                return Ok(true);
            }
        }
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        Ok(false)
    }

    fn take(&mut self, line: CaptureLine<'_>) -> Result<()> {
        match (line, &mut self.file) {
            (CaptureLine::Start(start), file) => {
                *file = Some(CaptureFile::new(create(&self.path)?, start)?);
            }
            (CaptureLine::Frame(frame), Some(file)) => {
                file.write(&frame)?;
                self.count.frames += 1;
            }
            (CaptureLine::Frame(_), None) => bail!("tsnd sent a frame before the start line"),
            (CaptureLine::Count(count), _) => self.count.missed = count.missed,
            (CaptureLine::End(end), _) => bail!("tsnd ended the capture: {}", end.reason),
        }
        Ok(())
    }
}

fn create(path: &Path) -> Result<Output> {
    let file = if path == Path::new("-") {
        File::from(std::io::stdout().as_fd().try_clone_to_owned()?)
    } else {
        File::create(path)?
    };
    Ok(BufWriter::new(file))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
