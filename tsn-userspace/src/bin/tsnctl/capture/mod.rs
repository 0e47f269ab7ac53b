//! `tsnctl capture`: what leaves, with its class, its launch time and its departure, for Wireshark.

mod file;

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Bytes;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tsn_userspace::capture::line::CaptureCount;
use tsn_userspace::config::Interval;
use tsn_userspace::control::client::open;
use tsn_userspace::node::CaptureRequest;

use self::file::{Finish, Writer};
use crate::{Context, Output};

const PROGRESS: Duration = Duration::from_secs(1);
/// How long the rest may take to be written when the capture is over.
const GRACE: Duration = Duration::from_secs(2);

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
    /// The options say so, or a signal.
    Asked,
    /// The daemon has ended the answer.
    DaemonGone,
    /// What the file's thread says.
    File(Result<Finish>),
}

/// SIGINT or SIGTERM.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
}

/// Captures until the options or a signal say that it is enough.
pub async fn run(options: Options, context: &Context) -> Result<()> {
    let mut interruption = Interruption {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    };
    let request = CaptureRequest {
        pod: options.pod,
        stream: options.stream,
        class: options.class,
        snap_length: options.snap_length,
    };
    let path = format!("/v1/capture?{}", serde_urlencoded::to_string(&request)?);
    let begin = Instant::now();
    let until = options
        .duration
        .and_then(|duration| begin.checked_add(duration.as_duration()));
    let frames_wanted = options.count.unwrap_or(u64::MAX);
    let Writer {
        pieces,
        count,
        mut finish,
    } = file::write(options.write.clone(), frames_wanted)?;
    let end = tokio::select! {
        biased;
        () = interruption.wait() => End::Asked,
        () = at(until) => End::Asked,
        end = &mut finish => End::File(end?),
        end = forward(&context.control, &path, pieces) => end?,
        never = tell_progress(&count) => match never {},
    };
    // What has come is still written, unless nobody takes it.
    let is_daemon_gone = matches!(end, End::DaemonGone);
    let finish = match end {
        End::File(finish) => finish,
        End::Asked | End::DaemonGone => tokio::select! {
            finish = finish => finish?,
            () = interruption.wait() => bail!(not_taken(&options.write)),
            () = tokio::time::sleep(GRACE) => bail!(not_taken(&options.write)),
        },
    };
    let count = *count.borrow();
    let Some(count) = count else {
        finish?;
        bail!("the capture ended before tsnd had begun it; nothing is written");
    };
    let summary = Summary {
        count,
        seconds: begin.elapsed().as_secs_f64(),
        file: options.write,
    };
    if summary.file == Path::new("-") || context.output == Output::Text {
        tell(&format!("{}\n", summary.text()));
    } else {
        context.print(&summary, |_| Ok(String::new()))?;
    }
    if finish? == Finish::InputOver && is_daemon_gone {
        bail!("tsnd went away; the file holds what left until then");
    }
    Ok(())
}

impl Interruption {
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Passes on what the daemon says.
async fn forward(control: &Path, path: &str, pieces: mpsc::Sender<Bytes>) -> Result<End> {
    let mut answer = open(control, Method::GET, path, Vec::new()).await?;
    while let Some(Ok(piece)) = answer.frame().await {
        if let Ok(piece) = piece.into_data()
            && pieces.send(piece).await.is_err()
        {
            // The file has ended; how is told by its thread.
            return std::future::pending().await;
        }
    }
    Ok(End::DaemonGone)
}

async fn tell_progress(count: &watch::Receiver<Option<CaptureCount>>) -> Infallible {
    let mut progress = tokio::time::interval_at(Instant::now() + PROGRESS, PROGRESS);
    let end = if std::io::stderr().is_terminal() {
        '\r'
    } else {
        '\n'
    };
    loop {
        progress.tick().await;
        let CaptureCount { frames, missed } = count.borrow().unwrap_or_default();
        tell(&format!("{frames} frames, {missed} missed{end}"));
    }
}

/// Tells people, if they listen: the file is of more worth than what is said about it.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn not_taken(file: &Path) -> String {
    format!(
        "{}: nobody takes what is written; the last frames are not in it",
        name(file)
    )
}

fn name(file: &Path) -> String {
    match file.to_str() {
        Some("-") => "standard output".to_owned(),
        _ => file.display().to_string(),
    }
}

impl Summary {
    fn text(&self) -> String {
        let CaptureCount { frames, missed } = self.count;
        let file = name(&self.file);
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

/// At that instant, or never.
async fn at(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
