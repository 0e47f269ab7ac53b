//! Who else uses the worker's core: threads, by a look at two moments, and devices' interrupts.

use std::collections::HashMap;
use std::time::Duration;

use super::processes::{Thread, Worker, all_threads};
use super::{Code, Findings, Machine};

/// Between the two looks.
const SAMPLE: Duration = Duration::from_millis(200);
/// What others may have of the core in that time before it is worth a warning.
const NEGLIGIBLE_NS: u64 = 10_000;
/// How many are named.
const NAMED: usize = 3;

pub(super) fn examine(machine: &Machine, cpu: usize, worker: &Worker, findings: &mut Findings) {
    threads(machine, cpu, worker, findings);
    interrupts(machine, cpu, findings);
}

fn threads(machine: &Machine, cpu: usize, worker: &Worker, findings: &mut Findings) {
    let before = running_times_ns(machine);
    machine.kernel.wait(SAMPLE);
    let ourselves = format!("/proc/{}/", std::process::id());
    let worker = worker.thread.as_ref().map(|(directory, _)| directory);
    let mut competitors: Vec<(u64, String)> = running_times_ns(machine)
        .into_iter()
        .filter(|(directory, _)| Some(directory) != worker && !directory.starts_with(&ourselves))
        .filter_map(|(directory, ns)| {
            let ran_ns = ns.checked_sub(*before.get(&directory)?)?;
            let thread = (ran_ns > 0).then(|| Thread::read(machine, &directory))??;
            let kind = if thread.of_kernel { " (kernel)" } else { "" };
            (thread.last_cpu == cpu).then(|| (ran_ns, format!("{}{kind}", thread.name)))
        })
        .collect();
    competitors.sort();
    let total_ns: u64 = competitors.iter().map(|(ns, _)| ns).sum();
    let sample_ms = SAMPLE.as_millis();
    if total_ns <= NEGLIGIBLE_NS {
        findings.fine(
            Code::CpuCompetitors,
            format!("nothing else ran on core {cpu} in {sample_ms} ms"),
        );
        return;
    }
    let most: Vec<String> = competitors
        .iter()
        .rev()
        .take(NAMED)
        .map(|(ns, name)| format!("{name} {} us", ns / 1_000))
        .collect();
    findings.bad(
        Code::CpuCompetitors,
        format!("others ran on core {cpu}: {}", most.join(", ")),
        format!(
            "they had the core for {} us of {sample_ms} ms, in which the worker did not",
            total_ns / 1_000
        ),
        format!(
            "isolate the core; at once: taskset -pc OTHER-CORES PID, or AllowedCPUs= of systemd slices without {cpu}"
        ),
    );
}

/// How long each thread has run so far, by its directory in /proc.
fn running_times_ns(machine: &Machine) -> HashMap<String, u64> {
    let threads = all_threads(machine).into_iter();
    threads
        .filter_map(|directory| {
            let times = machine.text(&format!("{directory}/schedstat"))?;
            Some((directory, times.split_whitespace().next()?.parse().ok()?))
        })
        .collect()
}

fn interrupts(machine: &Machine, cpu: usize, findings: &mut Findings) {
    let Some(table) = machine.text("/proc/interrupts") else {
        return;
    };
    let mut lines = table.lines();
    let cores = lines.next().unwrap_or_default();
    let label = format!("CPU{cpu}");
    let Some(column) = cores.split_whitespace().position(|core| core == label) else {
        return;
    };
    let columns = cores.split_whitespace().count();
    let mut here: Vec<(u64, String, String)> = lines
        .filter_map(|line| {
            let (number, rest) = line.trim().split_once(':')?;
            // Those with a name are the kernel's own, such as the timer's.
            let _: u32 = number.parse().ok()?;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            let count: u64 = fields.get(column)?.parse().ok()?;
            let device = fields.get(columns..)?.last()?.to_string();
            let goes_here = machine
                .cpus(&format!("/proc/irq/{number}/effective_affinity_list"))
                .contains(&cpu);
            (count > 0 && goes_here).then(|| (count, device, number.to_owned()))
        })
        .collect();
    here.sort();
    let Some((_, _, number)) = here.last() else {
        findings.fine(
            Code::CpuInterrupts,
            format!("no device interrupts core {cpu}"),
        );
        return;
    };
    let most: Vec<String> = here
        .iter()
        .rev()
        .take(NAMED)
        .map(|(count, device, number)| format!("{device} (interrupt {number}, {count} times)"))
        .collect();
    findings.bad(
        Code::CpuInterrupts,
        format!("devices interrupt core {cpu}: {}", most.join(", ")),
        "each takes the core from the worker, and so does what it wakes up there",
        format!(
            "echo OTHER-CORES > /proc/irq/{number}/smp_affinity_list, for each; irqaffinity= at boot; and keep irqbalance \
             off the core (IRQBALANCE_BANNED_CPULIST={cpu})"
        ),
    );
}
