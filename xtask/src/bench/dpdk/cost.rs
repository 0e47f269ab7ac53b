//! What a frame costs the worker's thread over DPDK, beside AF_XDP.

use std::fs;

use anyhow::{Context, Result};
use tsn_tests::daemon::Daemon;

use super::circle::{Circle, Forwarder};
use crate::{
    bench::{
        bed::{self, Bed},
        figures::{column, median, sorted},
        session::Session,
        table::{Row, Table},
    },
    step::step,
};

/// Bytes of a frame, without FCS.
const SIZE_BYTES: usize = 64;
/// What every generator can offer, in frames a second.
const RATE: u32 = 100_000;

/// What is measured, and under which load.
#[derive(Clone, Copy)]
enum Subject {
    Veth(bed::Forwarder, Load),
    Vhost,
}

#[derive(Clone, Copy)]
enum Load {
    Rate,
    Flood,
}

const SUBJECTS: [Subject; 5] = [
    Subject::Veth(bed::Forwarder::Tsnd, Load::Rate),
    Subject::Veth(bed::Forwarder::TsndDpdk, Load::Rate),
    Subject::Veth(bed::Forwarder::Tsnd, Load::Flood),
    Subject::Veth(bed::Forwarder::TsndDpdk, Load::Flood),
    Subject::Vhost,
];

/// What the worker has used up for the frames of one turn, or by a point in time.
#[derive(Clone, Copy)]
struct Used {
    running_ns: u64,
    /// In ticks of the kernel, which only tell how the running time is divided.
    user_ticks: u64,
    system_ticks: u64,
}

/// One turn.
#[derive(Clone, Copy)]
struct Found {
    rate: f64,
    core: f64,
    user_ns: f64,
    system_ns: f64,
}

/// Measures all in turns.
///
/// # Errors
///
/// When a network cannot be built, or a daemon or generator fails.
pub fn run(session: &Session) -> Result<Vec<Table>> {
    let mut found = vec![Vec::new(); SUBJECTS.len()];
    for repeat in 1..=session.effort.repeats {
        for (found, subject) in found.iter_mut().zip(SUBJECTS) {
            let name = format!("{}, {repeat} of {}", subject.name(), session.effort.repeats);
            found.push(step(&name, || subject.turn(session))?);
        }
    }
    Ok(vec![table(session, &found)])
}

impl Subject {
    fn name(self) -> String {
        match self {
            Self::Veth(forwarder, load) => {
                let load = match load {
                    Load::Rate => format!("{RATE} frames/s offered"),
                    Load::Flood => "at full speed".to_owned(),
                };
                let way = match forwarder {
                    bed::Forwarder::TsndDpdk => "DPDK, veth to veth",
                    _ => "AF_XDP, veth to veth",
                };
                format!("tsnd, {way}, {load}")
            }
            Self::Vhost => "tsnd, DPDK, vhost to vhost, at full speed".to_owned(),
        }
    }

    fn turn(self, session: &Session) -> Result<Found> {
        match self {
            Self::Veth(forwarder, load) => veth(forwarder, load, session),
            Self::Vhost => vhost(session),
        }
    }
}

fn veth(forwarder: bed::Forwarder, load: Load, session: &Session) -> Result<Found> {
    let bed = Bed::new(forwarder, session)?;
    let daemon = bed.daemon().context("the bed has a daemon")?;
    let size = SIZE_BYTES.to_string();
    let duration = format!("{}ms", session.effort.turn.as_millis());
    let megabits = (f64::from(RATE) * SIZE_BYTES as f64 * 8.0 / 1e6).to_string();
    let load = match load {
        Load::Rate => vec!["--rate", &megabits],
        Load::Flood => vec!["--flood"],
    };
    let common = ["--size", &size, "--duration", &duration, "--realtime", "40"];
    let (used, arrived) = (Used::by(daemon)?, bed.arrived()?);
    let summary = bed.talk(&[&common[..], &load].concat(), session)?;
    let frames = bed.wait_for_arrivals(arrived, summary.sent, session)?;
    let used = Used::by(daemon)?.since(used);
    Ok(Found::new(used, frames, session.effort.turn.as_secs_f64()))
}

fn vhost(session: &Session) -> Result<Found> {
    let mut circle = Circle::new(Forwarder::Tsnd, session)?;
    circle.start(SIZE_BYTES)?;
    let daemon = circle.daemon().context("tsnd forwards")?;
    let (used, start) = (Used::by(daemon)?, std::time::Instant::now());
    let before = circle.arrived()?;
    session.pause(session.effort.turn)?;
    let after = circle.arrived()?;
    let elapsed = start.elapsed();
    let daemon = circle.daemon().context("tsnd forwards")?;
    let used = Used::by(daemon)?.since(used);
    Ok(Found::new(used, after - before, elapsed.as_secs_f64()))
}

impl Used {
    /// What the worker's thread has used up so far.
    fn by(daemon: &Daemon) -> Result<Self> {
        let tasks = format!("/proc/{}/task", daemon.process.id());
        for task in fs::read_dir(&tasks).with_context(|| format!("list {tasks}"))? {
            let task = task?.path();
            let file = |name: &str| {
                let path = task.join(name);
                fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
            };
            if file("comm")?.trim() != "tsnd-worker" {
                continue;
            }
            let (stat, schedstat) = (file("stat")?, file("schedstat")?);
            // proc_pid_stat(5): utime and stime are fields 14 and 15; the second, in brackets, may contain anything.
            let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
            let ticks = |field: usize| fields.split_whitespace().nth(field - 3)?.parse().ok();
            return Ok(Self {
                running_ns: schedstat
                    .split_whitespace()
                    .next()
                    .and_then(|ns| ns.parse().ok())
                    .context("no running time in schedstat")?,
                user_ticks: ticks(14).context("no user time in stat")?,
                system_ticks: ticks(15).context("no system time in stat")?,
            });
        }
        anyhow::bail!("tsnd has no thread tsnd-worker")
    }

    fn since(self, before: Self) -> Self {
        Self {
            running_ns: self.running_ns - before.running_ns,
            user_ticks: self.user_ticks - before.user_ticks,
            system_ticks: self.system_ticks - before.system_ticks,
        }
    }
}

impl Found {
    fn new(used: Used, frames: u64, seconds: f64) -> Self {
        let frames = frames as f64;
        let ns = used.running_ns as f64 / frames;
        let ticks = (used.user_ticks + used.system_ticks).max(1) as f64;
        Self {
            rate: frames / seconds,
            core: used.running_ns as f64 / 1e9 / seconds,
            user_ns: ns * used.user_ticks as f64 / ticks,
            system_ns: ns * used.system_ticks as f64 / ticks,
        }
    }
}

fn table(session: &Session, found: &[Vec<Found>]) -> Table {
    let rows = SUBJECTS.into_iter().zip(found).map(|(subject, turns)| {
        let of = |figure: fn(&Found) -> f64| median(&sorted(turns.iter().map(figure)));
        Row {
            subject: subject.name(),
            figures: vec![
                of(|found| found.rate),
                of(|found| found.core * 100.0),
                of(|found| found.user_ns + found.system_ns),
                of(|found| found.user_ns),
                of(|found| found.system_ns),
            ],
        }
    });
    Table {
        id: "cost-dpdk",
        title: "Cost of a frame in the worker".to_owned(),
        explanation: format!(
            "Processor time of the worker's thread (schedstat, divided into user and system by the kernel's ticks) for \
             each frame of {SIZE_BYTES} bytes that reached the other end, in turns of {} ms, the medians of {}, all \
             gates open. Over veths, poll-mode is adaptive, the worker runs with a real-time priority and sleeps where it \
             can: what it spins is in the figures. From vhost to vhost it spins, and the frames go round as in the \
             forwarding rate, so that only at full speed there is a cost of a frame.",
            session.effort.turn.as_millis(),
            session.effort.repeats,
        ),
        columns: vec![
            column("forwarded", "frames/s"),
            column("of a core", "%"),
            column("per frame", "ns"),
            column("user", "ns"),
            column("system", "ns"),
        ],
        rows: rows.collect(),
    }
}
