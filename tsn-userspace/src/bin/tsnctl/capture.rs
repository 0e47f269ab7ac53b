//! `tsnctl capture`: what leaves, with its class, its launch time and its departure, for Wireshark.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tsn_userspace::capture::line::{CaptureCount, CaptureLine};
use tsn_userspace::capture::pcapng::CaptureFile;
use tsn_userspace::config::Interval;
use tsn_userspace::control::client::open;
use tsn_userspace::node::CaptureRequest;

use crate::{Context, Output};

const PROGRESS: Duration = Duration::from_secs(1);

/// Options of `tsnctl capture`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The file to write, or `-` for standard output.
    #[arg(short, long, value_name = "FILE.pcapng")]
    write: PathBuf,
    /// Only frames of this pod.
    #[arg(long)]
    pod: Option<String>,
    /// Only frames of streams with this name.
    #[arg(long)]
    stream: Option<String>,
    /// Only frames of this class, by number or name.
    #[arg(long)]
    class: Option<String>,
    /// Keep so many bytes of each frame, 1 to 4096.
    #[arg(long, default_value_t = 128, value_name = "BYTES")]
    snap_length: usize,
    /// End after so many frames.
    #[arg(long, value_name = "FRAMES")]
    count: Option<u64>,
    /// End after so long, such as `10s`.
    #[arg(long, value_name = "TIME")]
    duration: Option<Interval>,
}

/// What it came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    #[serde(flatten)]
    count: CaptureCount,
    seconds: f64,
    file: PathBuf,
}

/// Why it is over.
enum End {
    /// As the options say, or SIGINT, or who read along has seen enough.
    Asked,
    /// The daemon has ended the answer.
    DaemonGone,
}

/// Captures until the options or SIGINT say that it is enough.
pub async fn run(options: Options, context: &Context) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let request = CaptureRequest {
        pod: options.pod,
        stream: options.stream,
        class: options.class,
        snap_length: options.snap_length,
    };
    let path = format!("/v1/capture?{}", serde_urlencoded::to_string(&request)?);
    let answer = open(&context.control, Method::GET, &path, Vec::new()).await?;
    let to_stdout = options.write == Path::new("-");
    let writer: Box<dyn Write> = if to_stdout {
        Box::new(std::io::stdout())
    } else {
        let file = File::create(&options.write);
        Box::new(file.with_context(|| format!("{}: cannot be made", options.write.display()))?)
    };
    let begin = Instant::now();
    let mut capture = Capture {
        writer: Some(BufWriter::new(writer)),
        file: None,
        count: CaptureCount::default(),
        frames_wanted: options.count.unwrap_or(u64::MAX),
    };
    let until = options
        .duration
        .and_then(|duration| begin.checked_add(duration.as_duration()));
    let end = tokio::select! {
        biased;
        _ = interrupt.recv() => End::Asked,
        _ = terminate.recv() => End::Asked,
        () = at(until) => End::Asked,
        end = capture.follow(answer) => match end {
            Err(error) if is_broken_pipe(&error) => End::Asked,
            end => end?,
        },
    };
    let count = capture.count;
    match capture.file.map(|file| file.finish(count)).transpose() {
        Err(error) if is_broken_pipe(&error) => {}
        finished => drop(finished?),
    }
    let summary = Summary {
        count,
        seconds: begin.elapsed().as_secs_f64(),
        file: options.write,
    };
    if to_stdout || context.output == Output::Text {
        eprintln!("{}", summary.text());
    } else {
        context.print(&summary, |_| Ok(String::new()))?;
    }
    match end {
        End::Asked => Ok(()),
        End::DaemonGone => bail!("tsnd went away; the file holds what left until then"),
    }
}

impl Summary {
    fn text(&self) -> String {
        let CaptureCount { frames, missed } = self.count;
        let file = match self.file.to_str() {
            Some("-") => "standard output".to_owned(),
            _ => self.file.display().to_string(),
        };
        let advice = if missed > 0 {
            "; narrow it down with --pod, --stream, --class or --snap-length to miss none"
        } else {
            ""
        };
        format!(
            "{frames} frames in {:.1} s into {file}, {missed} missed{advice}",
            self.seconds
        )
    }
}

struct Capture {
    /// Until the first line tells what the file begins with.
    writer: Option<BufWriter<Box<dyn Write>>>,
    file: Option<CaptureFile<BufWriter<Box<dyn Write>>>>,
    count: CaptureCount,
    frames_wanted: u64,
}

impl Capture {
    async fn follow(&mut self, mut answer: Incoming) -> Result<End> {
        let mut progress = tokio::time::interval_at(Instant::now() + PROGRESS, PROGRESS);
        let mut begun_line = Vec::new();
        loop {
            tokio::select! {
                _ = progress.tick() => self.tell_progress(),
                piece = answer.frame() => {
                    let Some(Ok(piece)) = piece else {
                        return Ok(End::DaemonGone);
                    };
                    begun_line.extend_from_slice(&piece.into_data().unwrap_or_default());
                    if self.take_lines(&mut begun_line)? {
                        return Ok(End::Asked);
                    }
                }
            }
        }
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
                if let Some(writer) = self.writer.take() {
                    *file = Some(CaptureFile::new(writer, start)?);
                }
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

    fn tell_progress(&self) {
        let CaptureCount { frames, missed } = self.count;
        let end = if std::io::stderr().is_terminal() {
            '\r'
        } else {
            '\n'
        };
        eprint!("{frames} frames, {missed} missed{end}");
    }
}

/// At that instant, or never.
async fn at(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
