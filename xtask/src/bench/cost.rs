//! What a frame costs in the worker and in the scheduler, and how that grows.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::table::{Column, Row, Table};
use crate::bench_program::BenchProgram;
use crate::instructions::{self, STEPS};
use crate::step::step;

/// Each program runs so often, one after the other; the median of its medians counts.
const RUNS: usize = 5;
const PODS: [&str; 3] = ["1", "16", "128"];
const QUEUED: [&str; 4] = ["1", "100", "10000", "100000"];
const ENTRIES: [&str; 4] = ["1", "8", "64", "1024"];

/// Cost per step, and growth with list entries, queued frames and pods. Takes well under two minutes once the
/// programs are built.
///
/// # Errors
///
/// When a program cannot be built, run or counted.
pub fn run() -> Result<Vec<Table>> {
    let steps = step("build benchmark steps", || BenchProgram::build("steps"))?;
    let scheduler = step("build benchmark scheduler", || {
        BenchProgram::build("scheduler")
    })?;
    let instructions = step("count instructions", instructions::count)?;
    let by_pods = step("measure steps", || {
        PODS.iter()
            .map(|pods| medians(&steps, &["--pods", pods]))
            .collect::<Result<Vec<_>>>()
    })?;
    let cases = step("measure scheduler", || medians(&scheduler, &[]))?;
    Ok(vec![
        steps_table(&by_pods[0], &instructions)?,
        growth_table(&ENTRIES_GROWTH, &cases)?,
        growth_table(&QUEUED_GROWTH, &cases)?,
        pods_table(&by_pods)?,
    ])
}

type Nanoseconds = BTreeMap<String, f64>;

/// A figure's median over the runs.
fn medians(program: &BenchProgram, arguments: &[&str]) -> Result<Nanoseconds> {
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..RUNS {
        for (name, ns) in program.run(arguments)?.ns {
            samples.entry(name).or_default().push(ns);
        }
    }
    let median = |mut ns: Vec<f64>| {
        ns.sort_by(f64::total_cmp);
        ns[ns.len() / 2]
    };
    Ok(samples
        .into_iter()
        .map(|(name, ns)| (name, median(ns)))
        .collect())
}

fn steps_table(ns: &Nanoseconds, instructions: &BTreeMap<String, f64>) -> Result<Table> {
    let mut rows = Vec::new();
    let mut sum = [0.0, 0.0];
    for name in STEPS {
        let figures = [figure(ns, name)?, figure(instructions, name)?];
        sum = [sum[0] + figures[0], sum[1] + figures[1]];
        rows.push(row(name, &figures));
    }
    rows.push(row("all steps", &sum));
    Ok(Table {
        id: "cost-per-step",
        title: "Cost of a frame by step".to_owned(),
        explanation: "The worker's own functions over loopback ports in batches of 128: taking a frame from its port, \
            finding its stream and launch time, queueing it, finding the next event and the frame that leaves then, \
            handing it to the uplink with one wake-up. Without the kernel's part. Instructions are counted by \
            callgrind and repeat exactly."
            .to_owned(),
        columns: vec![
            column("time".to_owned(), "ns"),
            column("instructions".to_owned(), "instructions"),
        ],
        rows,
    })
}

/// A table of the scheduler's cases: one column for each size.
struct Growth {
    id: &'static str,
    title: &'static str,
    explanation: &'static str,
    sizes: &'static [&'static str],
    what: &'static str,
    /// The case's name, and what it is called in the table.
    subjects: [(&'static str, &'static str); 2],
}

const ENTRIES_GROWTH: Growth = Growth {
    id: "growth-list-entries",
    title: "Cost in the scheduler by the length of the gate control list",
    explanation: "A frame in, on to its launch time, and out again, in a cycle of 2 ms in which the class is open in \
        every other entry. In the next window: the launch time lies one entry further on. Far ahead: 0.6 cycles.",
    sizes: &ENTRIES,
    what: "entries",
    subjects: [
        ("next-window", "in the next window"),
        ("far-ahead", "far ahead"),
    ],
};

const QUEUED_GROWTH: Growth = Growth {
    id: "growth-queued-frames",
    title: "Cost in the scheduler by the number of frames queued",
    explanation: "A frame in, on to the next departure, and out again, while so many others wait in the class: \
        untimed ones in order of arrival, or with launch times in a scattered order.",
    sizes: &QUEUED,
    what: "queued",
    subjects: [
        ("fifo", "in order of arrival"),
        ("launch-time", "by launch time"),
    ],
};

fn growth_table(growth: &Growth, cases: &Nanoseconds) -> Result<Table> {
    let rows = growth.subjects.iter().map(|(case, subject)| {
        let figures: Result<Vec<f64>> = growth
            .sizes
            .iter()
            .map(|size| figure(cases, &format!("{case}/{size}")))
            .collect();
        Ok(row(subject, &figures?))
    });
    Ok(Table {
        id: growth.id,
        title: growth.title.to_owned(),
        explanation: growth.explanation.to_owned(),
        columns: growth
            .sizes
            .iter()
            .map(|size| column(format!("{size} {}", growth.what), "ns"))
            .collect(),
        rows: rows.collect::<Result<_>>()?,
    })
}

fn pods_table(by_pods: &[Nanoseconds]) -> Result<Table> {
    let across =
        |name: &str| -> Result<Vec<f64>> { by_pods.iter().map(|ns| figure(ns, name)).collect() };
    let mut rows = Vec::new();
    let mut sums = vec![0.0; by_pods.len()];
    for name in STEPS {
        let figures = across(name)?;
        for (sum, ns) in sums.iter_mut().zip(&figures) {
            *sum += ns;
        }
        rows.push(row(name, &figures));
    }
    rows.push(row("all steps", &sums));
    rows.push(row("a look at every idle port", &across("idle")?));
    Ok(Table {
        id: "growth-pods",
        title: "Cost of a frame by the number of pods".to_owned(),
        explanation: "As the cost by step; the frames of a batch come from so many pods in turn. The last row is not \
            per frame: it is one pass over the ports of all pods when none has sent."
            .to_owned(),
        columns: PODS
            .iter()
            .map(|pods| column(format!("{pods} pods"), "ns"))
            .collect(),
        rows,
    })
}

fn figure(figures: &BTreeMap<String, f64>, name: &str) -> Result<f64> {
    figures
        .get(name)
        .copied()
        .with_context(|| format!("the benchmark gives no figure {name}"))
}

fn column(name: String, unit: &'static str) -> Column {
    Column { name, unit }
}

fn row(subject: &str, figures: &[f64]) -> Row {
    Row {
        subject: subject.to_owned(),
        figures: figures.iter().copied().map(Some).collect(),
    }
}
