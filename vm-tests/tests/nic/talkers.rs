//! Unmodified talkers in both pods, and what must be true of their frames at the far end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use tsn_perf::wire::Header;
use tsn_tests::{
    capture::CapturedFrame, clients::tsn_perf, daemon::Daemon, namespace::Namespace,
    process::Process, wait::wait_until,
};

use crate::bed::{BEST_EFFORT, Bed, FAR, TIMED, WINDOW_NS};

const BOUND: Duration = Duration::from_secs(120);
/// Of each pod.
const TIMED_FRAMES: usize = 300;
/// Of the second pod.
const BEST_EFFORT_FRAMES: usize = 600;
/// From the decision to the far end's time stamp, of any card here.
const LONGEST_WAY_NS: u64 = 150_000;
/// Ethernet, IPv4 and UDP.
const HEADER_BYTES: usize = 14 + 20 + 8;

/// Arrival less launch time of the frames with launch times.
#[derive(Debug, Serialize)]
pub struct Launches {
    frames: usize,
    /// How many arrived behind a frame of the other pod that was to leave later: they came to the daemon too late.
    out_of_order: usize,
    min_ns: i64,
    p50_ns: i64,
    p99_ns: i64,
    max_ns: i64,
}

/// What arrived.
#[derive(Debug, Serialize)]
pub struct Seen {
    launches: Launches,
    timed: Gate,
    best_effort: Gate,
}

/// When the frames of a class arrived, after their gate had opened.
#[derive(Debug, Serialize)]
struct Gate {
    frames: usize,
    earliest_ns: u64,
    latest_ns: u64,
}

impl Seen {
    /// No timed frame arrives sooner before its launch time than by what the daemon starts earlier, and most of them soon
    /// after it. Those of a talker that is late are late: the guest has one CPU for all.
    pub fn check_launches(&self, lead_ns: u64) -> Result<()> {
        let launches = &self.launches;
        ensure!(
            launches.min_ns >= -lead_ns.cast_signed(),
            "before its launch time, with a lead of {lead_ns} ns: {self:?}"
        );
        ensure!(
            launches.p50_ns < LONGEST_WAY_NS.cast_signed(),
            "late: {self:?}"
        );
        Ok(())
    }

    /// No frame arrives outside of its gate, but for the time that it is on its way.
    pub fn check_gates(&self) -> Result<()> {
        for gate in [&self.timed, &self.best_effort] {
            ensure!(
                gate.latest_ns < WINDOW_NS + LONGEST_WAY_NS,
                "outside of its gate: {self:?}"
            );
        }
        Ok(())
    }
}

impl Gate {
    fn of(port: u16, frames: &[CapturedFrame]) -> Result<Self> {
        let opens_ns = if port == TIMED { 0 } else { WINDOW_NS };
        let after_opening = frames
            .iter()
            .filter(|frame| frame.udp_destination() == Some(port) && header(frame).is_some())
            .map(|frame| (frame.arrival_ns - opens_ns) % (2 * WINDOW_NS));
        Ok(Self {
            frames: after_opening.clone().count(),
            earliest_ns: after_opening.clone().min().context("no frame")?,
            latest_ns: after_opening.max().context("no frame")?,
        })
    }
}

/// How many frames the daemon has to send in a run.
pub const FRAMES: u64 = (2 * TIMED_FRAMES + BEST_EFFORT_FRAMES) as u64;

/// Lets the talkers send while `meanwhile` does something else; what arrived of them.
pub fn run(bed: &Bed, daemon: &Daemon, meanwhile: impl FnOnce() -> Result<()>) -> Result<Seen> {
    let wire = bed.capture()?;
    let before = sum(&daemon.control.get("/v1/status")?["classes"], "sent");
    let timed = TIMED_FRAMES.to_string();
    let best_effort = BEST_EFFORT_FRAMES.to_string();
    let talkers = [
        talk(
            &bed.pods[0],
            TIMED,
            1,
            &["--offset", "150us", "--count", &timed],
        )?,
        talk(
            &bed.pods[1],
            TIMED,
            2,
            &[
                "--launch-time",
                "monotonic",
                "--offset",
                "350us",
                "--count",
                &timed,
            ],
        )?,
        talk(
            &bed.pods[1],
            BEST_EFFORT,
            3,
            &[
                "--launch-time",
                "none",
                "--period",
                "500us",
                "--size",
                "1000",
                "--count",
                &best_effort,
            ],
        )?,
    ];
    meanwhile()?;
    for talker in talkers {
        talker.finish(BOUND)?;
    }
    wait_until("every frame to be sent", BOUND, || {
        daemon
            .control
            .get("/v1/status")
            .is_ok_and(|status| sum(&status["classes"], "sent") == before + FRAMES)
    })
    .with_context(|| format!("{:#?}", daemon.control.get("/v1/status")))?;
    assert_conserved(&daemon.control.get("/v1/status")?)?;
    wait_until("every frame at the far end", BOUND, || {
        wire.count(|frame| header(frame).is_some()) as u64 == FRAMES
    })?;
    let frames = wire.finish()?;
    let launches = launches(&frames)?;
    Ok(Seen {
        launches,
        timed: Gate::of(TIMED, &frames)?,
        best_effort: Gate::of(BEST_EFFORT, &frames)?,
    })
}

fn talk(pod: &Namespace, port: u16, stream: u16, options: &[&str]) -> Result<Process> {
    let mut command = tsn_perf(pod)?;
    command.args(["talk", "--udp", &format!("{FAR}:{port}")]);
    command.args([
        "--priority",
        "6",
        "--notice",
        "2ms",
        "--stream",
        &stream.to_string(),
    ]);
    command.args(options);
    Process::spawn("tsn-perf", command)
}

/// What a talker has put into its frame.
fn header(frame: &CapturedFrame) -> Option<Header> {
    frame
        .udp_destination()
        .filter(|port| [TIMED, BEST_EFFORT].contains(port))?;
    Header::decode(frame.bytes.get(HEADER_BYTES..)?)
}

/// Each stream's frames once and in their order.
fn launches(frames: &[CapturedFrame]) -> Result<Launches> {
    for (stream, expected) in [
        (1, TIMED_FRAMES),
        (2, TIMED_FRAMES),
        (3, BEST_EFFORT_FRAMES),
    ] {
        let numbers = frames
            .iter()
            .filter_map(header)
            .filter(|header| header.stream_id == stream)
            .map(|header| header.sequence as usize);
        ensure!(
            numbers.eq(0..expected),
            "stream {stream}: each once, in order"
        );
    }
    let timed: Vec<(u64, u64)> = frames
        .iter()
        .filter_map(|frame| Some((header(frame)?.launch_time_ns?, frame.arrival_ns)))
        .collect();
    ensure!(
        timed.len() == 2 * TIMED_FRAMES,
        "{} timed frames",
        timed.len()
    );
    let out_of_order = timed.windows(2).filter(|two| two[1].0 < two[0].0).count();
    let mut errors_ns: Vec<i64> = timed
        .iter()
        .map(|(launch_ns, arrival_ns)| arrival_ns.cast_signed() - launch_ns.cast_signed())
        .collect();
    errors_ns.sort_unstable();
    let at = |per_cent: usize| errors_ns[(errors_ns.len() - 1) * per_cent / 100];
    Ok(Launches {
        frames: errors_ns.len(),
        out_of_order,
        min_ns: at(0),
        p50_ns: at(50),
        p99_ns: at(99),
        max_ns: at(100),
    })
}

/// For each class, received = sent, and nothing was dropped anywhere.
fn assert_conserved(status: &Value) -> Result<()> {
    let received = sum(&status["classes"], "received");
    let sent = sum(&status["classes"], "sent");
    ensure!(received == sent, "{received} received, {sent} sent");
    let drops = &status["uplink"]["drops"];
    let dropped: u64 = drops
        .as_object()
        .context("drops")?
        .values()
        .filter_map(Value::as_u64)
        .sum();
    ensure!(dropped == 0, "the uplink dropped {drops}");
    Ok(())
}

fn sum(classes: &Value, counter: &str) -> u64 {
    let classes = classes.as_array().into_iter().flatten();
    classes.filter_map(|class| class[counter].as_u64()).sum()
}
