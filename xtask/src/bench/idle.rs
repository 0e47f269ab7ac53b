//! What a daemon with nothing to do costs.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use anyhow::{Context, Result};

use super::{
    bed::{Bed, Forwarder},
    figures::column,
    session::Session,
    table::{Row, Table},
};

/// What a thread has used up so far.
#[derive(Clone, Copy, Default)]
struct Used {
    running_ns: u64,
    wake_ups: u64,
}

/// Watches an adaptive daemon with a pod that is silent.
///
/// # Errors
///
/// When the daemon does not start, or its threads cannot be read.
pub fn run(session: &Session) -> Result<Vec<Table>> {
    let bed = Bed::new(Forwarder::TsndBeating, session)?;
    let daemon = bed.daemon().context("the bed has a daemon")?;
    let tasks = format!("/proc/{}/task", daemon.process.id());
    session.pause(session.effort.turn)?;
    let (before, start) = (read(Path::new(&tasks))?, Instant::now());
    session.pause(session.effort.idle)?;
    let (after, elapsed) = (read(Path::new(&tasks))?, start.elapsed());
    let mut sum = Used::default();
    let mut rows = Vec::new();
    for ((id, name), after) in after {
        let before = before.get(&(id, name.clone())).copied().unwrap_or_default();
        let used = Used {
            running_ns: after.running_ns - before.running_ns,
            wake_ups: after.wake_ups - before.wake_ups,
        };
        sum.running_ns += used.running_ns;
        sum.wake_ups += used.wake_ups;
        rows.push(row(format!("thread {name}"), used, elapsed.as_secs_f64()));
    }
    rows.push(row("tsnd".to_owned(), sum, elapsed.as_secs_f64()));
    Ok(vec![Table {
        id: "idle",
        title: "An idle daemon".to_owned(),
        explanation: format!(
            "Processor time and wake-ups of tsnd in poll-mode adaptive with one pod that is silent, over {} s \
             (schedstat and status in /proc/PID/task).",
            session.effort.idle.as_secs()
        ),
        columns: vec![column("of a core", "%"), column("wake-ups", "1/s")],
        rows,
    }])
}

fn row(subject: String, used: Used, seconds: f64) -> Row {
    Row {
        subject,
        figures: vec![
            Some(used.running_ns as f64 / 1e7 / seconds),
            Some(used.wake_ups as f64 / seconds),
        ],
    }
}

/// Each thread by its id and name.
fn read(tasks: &Path) -> Result<BTreeMap<(u32, String), Used>> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(tasks).with_context(|| format!("list {}", tasks.display()))? {
        let task = task?.path();
        let file = |name: &str| {
            let path = task.join(name);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let id = task.file_name().and_then(|id| id.to_str()?.parse().ok());
        let schedstat = file("schedstat")?;
        let running_ns = schedstat.split_whitespace().next();
        let status = file("status")?;
        let wake_ups = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let used = Used {
            running_ns: running_ns.and_then(|ns| ns.parse().ok()).unwrap_or(0),
            wake_ups: wake_ups
                .and_then(|count| count.trim().parse().ok())
                .unwrap_or(0),
        };
        threads.insert((id.unwrap_or(0), file("comm")?.trim().to_owned()), used);
    }
    Ok(threads)
}
