//! Who else uses the worker's core: a look at two moments, at the core's own time and at each thread's.

use std::collections::HashMap;
use std::time::Duration;

use super::core_time::CoreTime;
use super::processes::{Thread, Worker, all_threads};
use super::{Code, Findings, Machine, Subject};

/// Between the two looks.
const SAMPLE: Duration = Duration::from_millis(200);
/// What others may have of the core in that time before it is worth a warning: what the kernel's own housekeeping takes
/// on an isolated core.
const NEGLIGIBLE_NS: u64 = 100_000;
/// What /proc/stat may be off: it counts in ticks of 10 ms, on both ends.
const TICKS_NS: u64 = 30_000_000;
/// How many are named.
const NAMED: usize = 3;

/// What was seen of the core.
pub struct Watched {
    /// Whether nobody else had it for long.
    pub quiet: bool,
    /// The core's time at both looks; `None` if /proc/stat does not have the core.
    pub time: Option<(CoreTime, CoreTime)>,
}

struct Competitor {
    ran_ns: u64,
    directory: String,
    thread: Thread,
}

pub(super) fn examine(
    machine: &Machine,
    subject: &Subject,
    cpu: usize,
    worker: &Worker,
    findings: &mut Findings,
) -> Watched {
    let worker_directory = worker.thread.as_ref().map(|(directory, _)| &**directory);
    let worker_ns = || running_time_ns(machine, worker_directory?);
    let before = threads(machine);
    let (time_before, worker_before) = (CoreTime::read(machine, cpu), worker_ns());
    machine.kernel.wait(SAMPLE);
    let (time_after, worker_after) = (CoreTime::read(machine, cpu), worker_ns());
    let after = threads(machine);
    let kernel_is_seen = after.values().any(|(thread, _)| thread.of_kernel);
    let time = time_before.zip(time_after);

    let competitors = competitors(&before, after, cpu, worker_directory);
    let named_ns: u64 = competitors.iter().map(|found| found.ran_ns).sum();
    // The core's busy time says what the threads do not, if the worker's part of it is known.
    let worker_part_ns = match (subject.answers(), worker_before.zip(worker_after)) {
        (_, Some((before, after))) => Some(after.saturating_sub(before)),
        (None, None) => Some(0),
        (Some(_), None) => None,
    };
    let others_ns = time.zip(worker_part_ns).map(|((before, after), worker)| {
        let busy_ns = after.busy_ns.saturating_sub(before.busy_ns);
        busy_ns.saturating_sub(worker)
    });
    let unnamed_ns = others_ns.map_or(0, |ns| ns.saturating_sub(named_ns));
    let hidden = unnamed_ns > TICKS_NS;
    let total_ns = if hidden {
        named_ns + unnamed_ns
    } else {
        named_ns
    };
    let total_ns = total_ns.min(SAMPLE.as_nanos() as u64);
    let quiet = total_ns <= NEGLIGIBLE_NS;
    let (us, sample_ms) = (total_ns / 1_000, SAMPLE.as_millis());
    if !quiet {
        report(cpu, &competitors, hidden, us, findings);
    } else if kernel_is_seen {
        findings.fine(
            Code::CpuCompetitors,
            format!("others had core {cpu} for {us} us of {sample_ms} ms"),
        );
    } else {
        findings.bad(
            Code::CpuThreadsUnseen,
            match others_ns {
                Some(_) => format!(
                    "others had core {cpu} for less than {} ms of {sample_ms} ms; more is not seen",
                    TICKS_NS / 1_000_000
                ),
                None => format!("not seen: whether others ran on core {cpu}"),
            },
            "/proc shows no thread of the kernel (another PID namespace), or not how long threads ran (schedstat)",
            "run tsnctl doctor in the node's PID namespace (hostPID in Kubernetes), on a kernel with CONFIG_SCHED_INFO",
        );
    }
    Watched { quiet, time }
}

/// The threads that were on the core at both looks and ran between them, the busiest first.
fn competitors(
    before: &HashMap<String, (Thread, u64)>,
    after: HashMap<String, (Thread, u64)>,
    cpu: usize,
    worker: Option<&str>,
) -> Vec<Competitor> {
    let ourselves = format!("/proc/{}/", std::process::id());
    let mut competitors: Vec<Competitor> = after
        .into_iter()
        .filter(|(directory, _)| Some(&**directory) != worker && !directory.starts_with(&ourselves))
        .filter_map(|(directory, (thread, ns))| {
            let (thread_before, ns_before) = before.get(&directory)?;
            let stayed = thread_before.last_cpu == cpu && thread.last_cpu == cpu;
            let ran_ns = ns.checked_sub(*ns_before)?.min(SAMPLE.as_nanos() as u64);
            (stayed && ran_ns > 0).then_some(Competitor {
                ran_ns,
                directory,
                thread,
            })
        })
        .collect();
    competitors.sort_by_key(|found| std::cmp::Reverse(found.ran_ns));
    competitors
}

fn report(
    cpu: usize,
    competitors: &[Competitor],
    hidden: bool,
    total_us: u64,
    findings: &mut Findings,
) {
    let most = &competitors[..competitors.len().min(NAMED)];
    let mut names: Vec<String> = most
        .iter()
        .map(|found| {
            let kernel = if found.thread.of_kernel {
                "kernel, "
            } else {
                ""
            };
            let (name, us) = (&found.thread.name, found.ran_ns / 1_000);
            format!("{name} ({kernel}thread {}) {us} us", thread_id(found))
        })
        .collect();
    if hidden {
        names.push("others that came and went, or are not seen from here".to_owned());
    }
    let mut mend = "isolate the core".to_owned();
    // Most of the kernel's threads are bound to their core.
    let movable = most.iter().filter(|found| !found.thread.of_kernel);
    let commands: Vec<String> = movable
        .map(|found| format!("taskset -pc OTHER-CORES {}", thread_id(found)))
        .collect();
    if !commands.is_empty() {
        mend += &format!("; at once: {}", commands.join("; "));
    }
    mend += &format!("; AllowedCPUs= without {cpu} keeps the processes of a systemd slice off it");
    findings.bad(
        Code::CpuCompetitors,
        format!("others ran on core {cpu}: {}", names.join(", ")),
        format!(
            "they had the core for {total_us} us of {} ms, in which the worker did not",
            SAMPLE.as_millis()
        ),
        mend,
    );
}

fn thread_id(found: &Competitor) -> &str {
    found.directory.rsplit('/').next().unwrap_or_default()
}

/// Each thread and how long it has run so far, by its directory in /proc.
fn threads(machine: &Machine) -> HashMap<String, (Thread, u64)> {
    let threads = all_threads(machine).into_iter();
    threads
        .filter_map(|directory| {
            let ran_ns = running_time_ns(machine, &directory)?;
            let thread = Thread::read(machine, &directory)?;
            Some((directory, (thread, ran_ns)))
        })
        .collect()
}

fn running_time_ns(machine: &Machine, directory: &str) -> Option<u64> {
    let times = machine.text(&format!("{directory}/schedstat"))?;
    times.split_whitespace().next()?.parse().ok()
}
