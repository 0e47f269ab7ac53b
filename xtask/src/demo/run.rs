//! One run: both nodes anew, all talkers at once, the wire watched.

use std::{
    collections::BTreeMap,
    net::UdpSocket,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tsn_perf::{process::Stop, report::Run, talk::TalkSummary};
use tsn_tests::{
    backend::Backend,
    capture::Capture,
    clients,
    daemon::{Daemon, Home},
    process::Process,
    topology::{Network, UPLINK},
    wait::wait_until,
};

use super::{
    account::{self, Circumstances, Stall},
    plan::{FRAMES_PER_SECOND, STREAMS, Stream, UDP_PORTS, configuration},
};

/// How much longer than planned a talker may take.
const TALKER_BOUND: Duration = Duration::from_secs(20);
/// What is still under way when the talkers have ended is there within this.
const WIRE_BOUND: Duration = Duration::from_secs(1);

/// How often a wait looks whether the user wants an end.
const STOP_INTERVAL: Duration = Duration::from_millis(10);

/// What is done in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No daemon.
    Kernel,
    /// A daemon from the beginning to the end.
    Tsnd,
    /// A daemon that is killed in the middle.
    TsndKilled,
}

/// What all runs have in common.
pub struct Conditions {
    /// The daemon's backend.
    pub backend: Backend,
    /// How long the talkers send.
    pub seconds: u64,
    /// The worker's core.
    pub cpu: usize,
    /// How far outside its window a frame may be seen.
    pub tolerance_ns: u64,
    /// Set when the user wants an end.
    pub stop: Stop,
}

impl Kind {
    /// All runs, in their order.
    pub const ALL: [Self; 3] = [Self::Kernel, Self::Tsnd, Self::TsndKilled];

    /// The run's name in all results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Tsnd => "tsnd",
            Self::TsndKilled => "tsnd-killed",
        }
    }

    const fn note(self) -> &'static str {
        match self {
            Self::Kernel => "The kernel's own path: frames leave when they are sent.",
            Self::Tsnd => "tsnd owns the moment at which frames leave.",
            Self::TsndKilled => {
                "tsnd is killed (SIGKILL) in the middle; the kernel path carries on."
            }
        }
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// When something cannot be built or started, ends badly, or the user wants an end.
    pub fn run(self, conditions: &Conditions) -> Result<Run> {
        let network = Network::new(2)?;
        // Without a socket the far pods would answer each datagram with an error.
        let _sinks = sinks(&network)?;
        let home = Home::with_backend(conditions.backend)?;
        let mut daemon = match self {
            Self::Kernel => None,
            Self::Tsnd | Self::TsndKilled => {
                let options = ["--cpu", &conditions.cpu.to_string()];
                Some(Daemon::start(
                    &network.near.namespace,
                    &home,
                    &configuration(&network.near, conditions.backend),
                    &options,
                )?)
            }
        };
        let wire = Capture::start(&network.far.namespace, UPLINK)?;
        let talkers = talkers(&network, conditions.seconds)?;
        let mut stalls = Vec::new();
        if self == Self::TsndKilled {
            pause(
                Duration::from_millis(conditions.seconds * 500),
                &conditions.stop,
            )?;
            if let Some(daemon) = daemon.take() {
                stalls = read_stalls(&daemon)?;
                daemon.kill()?;
            }
        }
        let summaries = finish(talkers, conditions)?;
        let sent = summaries
            .iter()
            .map(|summary| (summary.stream.id, summary.sent))
            .collect::<BTreeMap<_, _>>();
        let expected = sent.values().sum::<u64>() as usize;
        let is_all_there = || wire.len() >= expected;
        // Frames may be lost for good; then the bound passes, and they are counted as lost.
        let _ = wait_until("all frames", WIRE_BOUND, is_all_there);
        if let Some(daemon) = daemon {
            stalls = read_stalls(&daemon)?;
            daemon.terminate()?;
        }
        let frames = wire.finish()?;
        let circumstances = Circumstances {
            sent: &sent,
            stalls: &stalls,
            tolerance_ns: conditions.tolerance_ns,
        };
        let streams = account::streams(&frames, &circumstances);
        Ok(Run {
            name: self.name().to_owned(),
            note: self.note().to_owned() + &handed_over_late(&summaries),
            streams,
        })
    }
}

fn sinks(network: &Network) -> Result<Vec<UdpSocket>> {
    let pods = network.far.pods.iter().zip(UDP_PORTS);
    pods.map(|(pod, port)| {
        let socket = pod.namespace.enter(|| UdpSocket::bind((pod.ipv4, port)))?;
        socket.with_context(|| format!("bind UDP port {port} in {}", pod.host_end))
    })
    .collect()
}

fn talkers(network: &Network, seconds: u64) -> Result<Vec<Process>> {
    let start = |stream: &Stream| {
        let mut command = clients::tsn_perf(&network.near.pods[stream.pod].namespace)?;
        command
            .arg("talk")
            .args(stream.talk_options(network, seconds))
            .args(["--output", "json"]);
        Process::spawn(stream.name, command)
    };
    STREAMS.iter().map(start).collect()
}

/// Waits for the talkers' ends; what they say of themselves.
fn finish(talkers: Vec<Process>, conditions: &Conditions) -> Result<Vec<TalkSummary>> {
    let start = Instant::now();
    let bound = Duration::from_secs(conditions.seconds) + TALKER_BOUND;
    let mut summaries = Vec::new();
    for mut talker in talkers {
        while talker.exited().is_none() && start.elapsed() < bound {
            pause(STOP_INTERVAL, &conditions.stop)?;
        }
        let output = talker.finish(Duration::ZERO)?;
        let summary =
            serde_json::from_str::<TalkSummary>(&output).context("read the talker's summary")?;
        summaries.push(summary);
    }
    // A terminal's Ctrl-C ends the talkers too, and they may be quicker.
    pause(Duration::ZERO, &conditions.stop)?;
    let planned = conditions.seconds * FRAMES_PER_SECOND;
    for (stream, summary) in STREAMS.iter().zip(&summaries) {
        if stream.is_timed() && summary.sent != planned {
            bail!(
                "{} sent {} frames, not {planned}: was its talker stopped?\n{summary}",
                stream.name,
                summary.sent
            );
        }
    }
    Ok(summaries)
}

/// Frames that were late before anybody could do anything about it.
fn handed_over_late(summaries: &[TalkSummary]) -> String {
    let late = summaries
        .iter()
        .filter(|summary| summary.handed_over_late > 0);
    late.map(|summary| {
        format!(
            " The talker of {} handed {} frames over after their launch time.",
            summary.stream, summary.handed_over_late
        )
    })
    .collect()
}

fn read_stalls(daemon: &Daemon) -> Result<Vec<Stall>> {
    let mut answer = daemon.control.get("/v1/stalls")?;
    serde_json::from_value(answer["stalls"].take()).context("read the daemon's stalls")
}

/// Sleeps, but not when the user wants an end.
fn pause(duration: Duration, stop: &Stop) -> Result<()> {
    let start = Instant::now();
    loop {
        if stop.is_asked() {
            bail!("interrupted; namespaces and programs have been removed");
        }
        let left = duration.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(STOP_INTERVAL));
    }
}
