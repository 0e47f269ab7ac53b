//! The worker's core.

use super::competitors::{self, Watched};
use super::kernel::version;
use super::processes::Worker;
use super::{Code, Findings, Machine, Subject, interrupts};
use crate::config::PollMode;

/// Idle states that take longer to leave than this, in microseconds, are deep.
const DEEP_IDLE_US: i64 = 20;
/// The kernel version that has the fair server in place of real-time throttling.
const FAIR_SERVER_SINCE: (u32, u32) = (6, 12);

pub(super) fn examine(
    machine: &Machine,
    subject: &Subject,
    worker: &Worker,
    findings: &mut Findings,
) {
    stalls(subject, findings);
    if worker.allowed.len() > 1 {
        findings.bad(
            Code::WorkerNotPinned,
            format!("the worker may run on {} cores", worker.allowed.len()),
            "the kernel moves it while frames are due, and no core can be kept free for it",
            "start tsnd with --cpu N",
        );
    }
    let Some(cpu) = worker.cpu(subject) else {
        findings.bad(
            Code::CpuUnknown,
            "the worker's core is not known, so none was looked at",
            "what is wrong with it stays unseen",
            "give --cpu N",
        );
        return;
    };
    let online = machine.cpus("/sys/devices/system/cpu/online");
    if !online.is_empty() && !online.contains(&cpu) {
        findings.bad(
            Code::CpuOffline,
            format!("core {cpu} does not exist or is offline"),
            "tsnd does not start with it",
            "choose one of /sys/devices/system/cpu/online",
        );
        return;
    }
    findings.fine(Code::CpuUnknown, format!("the worker's core is {cpu}"));
    let realtime = worker.is_realtime(subject);
    let isolated = isolation(machine, cpu, realtime, findings);
    let watched = competitors::examine(machine, subject, cpu, worker, findings);
    interrupts::examine(machine, cpu, findings);
    frequency(machine, cpu, findings);
    idle(machine, subject, cpu, findings);
    sibling(machine, cpu, findings);
    if realtime {
        throttling(machine, cpu, isolated && watched.quiet, findings);
    }
    stolen(cpu, &watched, findings);
}

fn stalls(subject: &Subject, findings: &mut Findings) {
    let Some(answers) = subject.answers() else {
        return;
    };
    let stalls = answers.status.stalls;
    let what = format!(
        "{} stalls since the start, {:.1} ms in all, the longest {:.0} us, {} frames touched",
        stalls.count,
        stalls.total_ns as f64 / 1e6,
        stalls.longest_ns as f64 / 1e3,
        stalls.frames
    );
    if stalls.frames == 0 {
        findings.fine(Code::Stalls, what);
    } else {
        findings.bad(
            Code::Stalls,
            what,
            "a frame that is due while the core is away leaves that much later, or is dropped",
            "isolate the worker's core, and look at the other findings about it; GET /v1/stalls lists when they were",
        );
    }
}

/// Tells whether the core is isolated.
fn isolation(machine: &Machine, cpu: usize, realtime: bool, findings: &mut Findings) -> bool {
    let isolated = [
        "/sys/devices/system/cpu/isolated",
        "/sys/fs/cgroup/cpuset.cpus.isolated",
    ]
    .iter()
    .any(|path| machine.cpus(path).contains(&cpu));
    let parameters = format!("isolcpus=managed_irq,domain,{cpu} nohz_full={cpu} rcu_nocbs={cpu}");
    if isolated {
        findings.fine(Code::CpuNotIsolated, format!("core {cpu} is isolated"));
    } else {
        findings.bad(
            Code::CpuNotIsolated,
            format!("core {cpu} is not isolated"),
            if realtime {
                "a spinning worker is robbed of 50 ms (50000 us) in every second when anything else wants its core"
            } else {
                "a worker without real-time policy gives way for milliseconds to anything else that wants its core \
                 (with worker.realtime-priority: for 50 ms in every second at most)"
            },
            format!("boot with {parameters}, or make it an isolated cpuset partition"),
        );
    }
    let command_line = machine.text("/proc/cmdline").unwrap_or_default();
    let parameter = |name: &str| {
        let value = command_line
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.is_some_and(|value| machine.cpu_list(value).contains(&cpu))
    };
    let tickless = machine
        .cpus("/sys/devices/system/cpu/nohz_full")
        .contains(&cpu)
        || parameter("nohz_full");
    if tickless {
        findings.fine(
            Code::CpuTick,
            format!("core {cpu} has no timer tick (nohz_full)"),
        );
    } else {
        findings.bad(
            Code::CpuTick,
            format!("core {cpu} is not in nohz_full="),
            "the timer tick interrupts the worker, up to CONFIG_HZ times a second",
            format!("boot with {parameters}"),
        );
    }
    // nohz_full= offloads the callbacks as well.
    if tickless || parameter("rcu_nocbs") {
        findings.fine(
            Code::CpuRcuCallbacks,
            format!("core {cpu} runs no RCU callbacks"),
        );
    } else {
        findings.bad(
            Code::CpuRcuCallbacks,
            format!("core {cpu} is not in rcu_nocbs="),
            "the kernel's deferred work runs in between on the worker's core",
            format!("boot with {parameters}"),
        );
    }
    isolated
}

fn frequency(machine: &Machine, cpu: usize, findings: &mut Findings) {
    let directory = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq");
    match machine.text(&format!("{directory}/scaling_governor")) {
        Some(governor) if governor != "performance" => findings.bad(
            Code::CpuGovernor,
            format!("core {cpu} has the frequency governor {governor}"),
            "after a sleep the worker runs slowly at first, and the measured lead does not hold",
            format!("echo performance > {directory}/scaling_governor"),
        ),
        Some(_) => findings.fine(
            Code::CpuGovernor,
            format!("core {cpu}: governor performance"),
        ),
        None => {}
    }
    let intel = "/sys/devices/system/cpu/intel_pstate/no_turbo";
    let other = "/sys/devices/system/cpu/cpufreq/boost";
    let turbo = match (machine.number(intel), machine.number(other)) {
        (Some(off), _) => Some((off == 0, format!("echo 1 > {intel}"))),
        (None, Some(on)) => Some((on == 1, format!("echo 0 > {other}"))),
        (None, None) => None,
    };
    match turbo {
        Some((true, mend)) => findings.bad(
            Code::CpuTurbo,
            "turbo frequencies are on",
            "the core's speed, and with it the lead, changes with what the other cores do",
            mend,
        ),
        Some((false, _)) => findings.fine(Code::CpuTurbo, "turbo frequencies are off"),
        None => {}
    }
}

fn idle(machine: &Machine, subject: &Subject, cpu: usize, findings: &mut Findings) {
    let busy = subject
        .configuration()
        .is_some_and(|known| known.worker.poll_mode == PollMode::Busy);
    let directory = format!("/sys/devices/system/cpu/cpu{cpu}/cpuidle");
    let states = machine.names(&directory);
    if busy || states.is_empty() {
        return;
    }
    // Whoever holds this device open asks for sleeps that end within so many microseconds.
    let allowed_us = machine.bytes("/dev/cpu_dma_latency").and_then(|bytes| {
        Some(i64::from(i32::from_ne_bytes(
            bytes.get(..4)?.try_into().ok()?,
        )))
    });
    let deepest = states
        .iter()
        .filter(|state| machine.number(&format!("{directory}/{state}/disable")) != Some(1))
        .filter_map(|state| {
            let latency_us = machine.number(&format!("{directory}/{state}/latency"))?;
            Some((
                latency_us,
                machine.text(&format!("{directory}/{state}/name"))?,
            ))
        })
        .filter(|(latency_us, _)| allowed_us.is_none_or(|allowed| *latency_us <= allowed))
        .max();
    match deepest {
        Some((latency_us, name)) if latency_us > DEEP_IDLE_US => findings.bad(
            Code::CpuDeepIdle,
            format!("core {cpu} may fall into idle state {name}"),
            format!("it takes {latency_us} us to leave; a sleeping worker comes that much later"),
            format!(
                "cpupower -c {cpu} idle-set -D {DEEP_IDLE_US}, or worker.poll-mode: busy on an isolated core"
            ),
        ),
        deepest => {
            let latency_us = deepest.map_or(0, |(latency_us, _)| latency_us);
            findings.fine(
                Code::CpuDeepIdle,
                format!("core {cpu}: idle states end within {latency_us} us"),
            );
        }
    }
}

fn sibling(machine: &Machine, cpu: usize, findings: &mut Findings) {
    let topology = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let mut siblings = machine.cpus(&topology);
    if siblings.is_empty() {
        return;
    }
    siblings.retain(|sibling| *sibling != cpu);
    match siblings.first() {
        Some(sibling) => findings.bad(
            Code::CpuSmtSibling,
            format!("core {cpu} shares its execution units with core {sibling} (SMT)"),
            "everything that runs there slows the worker down",
            format!("echo 0 > /sys/devices/system/cpu/cpu{sibling}/online"),
        ),
        None => findings.fine(
            Code::CpuSmtSibling,
            format!("core {cpu} has no SMT sibling"),
        ),
    }
}

fn throttling(machine: &Machine, cpu: usize, undisturbed: bool, findings: &mut Findings) {
    if version(machine).is_some_and(|version| version >= FAIR_SERVER_SINCE) {
        fair_server(machine, cpu, undisturbed, findings);
        return;
    }
    let sysctl = |name: &str| machine.number(&format!("/proc/sys/kernel/sched_rt_{name}_us"));
    let (Some(runtime_us), Some(period_us)) = (sysctl("runtime"), sysctl("period")) else {
        return;
    };
    if runtime_us < 0 || runtime_us >= period_us {
        findings.fine(Code::RealtimeThrottling, "no real-time throttling");
        return;
    }
    let lost_us = period_us - runtime_us;
    findings.bad(
        Code::RealtimeThrottling,
        format!("kernel.sched_rt_runtime_us is {runtime_us}"),
        format!(
            "the kernel takes the core from a spinning worker for {lost_us} us in every {period_us}"
        ),
        "sysctl -w kernel.sched_rt_runtime_us=-1",
    );
}

fn fair_server(machine: &Machine, cpu: usize, undisturbed: bool, findings: &mut Findings) {
    let directory = format!("/sys/kernel/debug/sched/fair_server/cpu{cpu}");
    let runtime_ns = machine.number(&format!("{directory}/runtime"));
    let what = match runtime_ns {
        Some(0) => {
            findings.fine(Code::FairServer, format!("core {cpu}: fair server off"));
            return;
        }
        Some(ns) => format!(
            "the fair server of core {cpu} has {} us in a period",
            ns / 1_000
        ),
        None => format!(
            "the fair server of core {cpu} cannot be seen; by default it has 50000 us in a second"
        ),
    };
    if undisturbed {
        findings.fine(
            Code::FairServer,
            format!("{what}, and nobody on that core asks for them"),
        );
        return;
    }
    findings.bad(
        Code::FairServer,
        what,
        "it takes the core from the worker for so long when anything else wants it",
        format!(
            "echo 0 > {directory}/runtime (debugfs: mount -t debugfs none /sys/kernel/debug), and keep others off \
             the core"
        ),
    );
}

fn stolen(cpu: usize, watched: &Watched, findings: &mut Findings) {
    let Some((before, after)) = watched.time else {
        return;
    };
    let now_ms = after.stolen_ns.saturating_sub(before.stolen_ns) / 1_000_000;
    let since_boot_ms = after.stolen_ns / 1_000_000;
    let (code, what) = match (now_ms, since_boot_ms) {
        (0, 0) => {
            findings.fine(Code::CpuStolen, format!("core {cpu}: no time stolen"));
            return;
        }
        (0, _) => (
            Code::CpuStolenBefore,
            format!(
                "the hypervisor has taken core {cpu} away for {since_boot_ms} ms since the boot, not now"
            ),
        ),
        _ => (
            Code::CpuStolen,
            format!(
                "the hypervisor took core {cpu} away for {now_ms} ms while this looked, {since_boot_ms} ms since the boot"
            ),
        ),
    };
    findings.bad(
        code,
        what,
        "nothing in this machine can prevent such stalls; they are counted as such",
        "pin this machine's virtual cores to physical ones of their own, on the host",
    );
}
