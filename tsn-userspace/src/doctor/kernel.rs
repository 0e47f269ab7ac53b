//! What the kernel can do.

use tsn_programs::OLDEST_KERNEL;

use super::options::KernelOptions;
use super::{Code, Findings, Machine, Subject};

/// Clocksources that a program reads through the vDSO, without a system call.
const FAST_CLOCKSOURCES: [&str; 5] = [
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
    "riscv_clocksource",
];

/// The first kernel with tcx.
const TCX_SINCE: (u32, u32) = (6, 6);

/// Kernel version as (major, minor).
pub fn version(machine: &Machine) -> Option<(u32, u32)> {
    let release = machine.text("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn examine(machine: &Machine, subject: &Subject, findings: &mut Findings) {
    release(machine, findings);
    tcx(machine, findings);
    af_xdp(machine, findings);
    bpffs(machine, subject, findings);
    jit_and_btf(machine, findings);
    options(machine, findings);
    preemption(machine, findings);
    clocksource(machine, findings);
}

fn release(machine: &Machine, findings: &mut Findings) {
    let release = machine.text("/proc/sys/kernel/osrelease");
    let release = release.unwrap_or_else(|| "of unknown release".to_owned());
    let (major, minor) = OLDEST_KERNEL;
    match version(machine) {
        Some(version) if version < (major.into(), minor.into()) => findings.bad(
            Code::KernelTooOld,
            format!("Linux {release}"),
            "tsnd does not start: its kernel programs use what came later",
            format!("boot Linux {major}.{minor} or newer"),
        ),
        _ => findings.fine(
            Code::KernelTooOld,
            format!("Linux {release} ({major}.{minor} is needed)"),
        ),
    }
}

fn lacks_tcx(machine: &Machine) -> bool {
    version(machine).is_some_and(|version| version < TCX_SINCE)
}

fn tcx(machine: &Machine, findings: &mut Findings) {
    if lacks_tcx(machine) {
        findings.bad(
            Code::NoTcx,
            "no tcx, which came with Linux 6.6",
            "a pod's stamp program is in a clsact filter of the pod's network namespace: it outlives the daemon as a link \
             does, but a pod with CAP_NET_ADMIN can remove it, and is attached anew then",
            "boot Linux 6.6 or newer if pods have CAP_NET_ADMIN",
        );
    } else {
        findings.fine(
            Code::NoTcx,
            "pods' stamp programs are attached by tcx links",
        );
    }
}

fn af_xdp(machine: &Machine, findings: &mut Findings) {
    let answer = machine.kernel.af_xdp();
    let denied =
        matches!(&answer, Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied);
    let reason = answer.as_ref().err().map(ToString::to_string);
    machine.noting("AF_XDP sockets", answer);
    match reason {
        _ if denied => {}
        None => findings.fine(Code::NoAfXdp, "AF_XDP sockets"),
        Some(reason) => findings.bad(
            Code::NoAfXdp,
            format!("no AF_XDP socket: {reason}"),
            "tsnd cannot start with --backend afxdp, nor serve a pod's veth pair with another",
            "boot a kernel with CONFIG_XDP_SOCKETS=y",
        ),
    }
}

fn bpffs(machine: &Machine, subject: &Subject, findings: &mut Findings) {
    let Some(mounts) = machine.text("/proc/mounts") else {
        return;
    };
    // The last mount of the longest mount point is the one that a path leads to.
    let mount = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(point, _)| subject.pin_dir.starts_with(point))
        .max_by_key(|(point, _)| point.len());
    let pin_dir = subject.pin_dir.display();
    match mount {
        Some((point, "bpf")) => {
            findings.fine(Code::NoBpffs, format!("bpffs at {point} for {pin_dir}"));
        }
        _ => findings.bad(
            Code::NoBpffs,
            format!("{pin_dir} is on no bpffs"),
            "kernel programs cannot be pinned there: tsnd does not start",
            "mount -t bpf bpf /sys/fs/bpf",
        ),
    }
}

fn jit_and_btf(machine: &Machine, findings: &mut Findings) {
    // Shown in the first network namespace only.
    match machine.number("/proc/sys/net/core/bpf_jit_enable") {
        Some(0) => findings.bad(
            Code::BpfJitOff,
            "net.core.bpf_jit_enable is 0",
            "the kernel programs that every frame of a pod passes are interpreted",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        Some(_) => findings.fine(Code::BpfJitOff, "kernel programs are compiled (JIT)"),
        None => {}
    }
    if machine.exists("/sys/kernel/btf/vmlinux") {
        findings.fine(Code::NoBtf, "BTF");
    } else {
        findings.bad(
            Code::NoBtf,
            "no /sys/kernel/btf/vmlinux",
            "tsnd works without it; bpftool shows the maps without the names of their fields",
            "boot a kernel with CONFIG_DEBUG_INFO_BTF=y",
        );
    }
}

fn options(machine: &Machine, findings: &mut Findings) {
    let Some(options) = KernelOptions::read(machine) else {
        return;
    };
    let mut needed = vec!["BPF_SYSCALL", "NET", "XDP_SOCKETS", "VETH"];
    if lacks_tcx(machine) {
        needed.extend(["NET_SCH_INGRESS", "NET_CLS_BPF"]); // of the clsact filter in its place
    }
    let missing = options.missing(&needed);
    if missing.is_empty() {
        findings.fine(
            Code::KernelOptionMissing,
            "all kernel options that tsnd needs",
        );
    } else {
        findings.bad(
            Code::KernelOptionMissing,
            format!("the kernel is built without {missing}"),
            "tsnd cannot attach its programs or open its sockets",
            "boot a kernel that is built with them",
        );
    }
    let missing = options.missing(&[
        "HIGH_RES_TIMERS",
        "NO_HZ_FULL",
        "RCU_NOCB_CPU",
        "CPU_ISOLATION",
    ]);
    if missing.is_empty() {
        findings.fine(Code::KernelOptionAdvised, "kernel options for a quiet core");
    } else {
        findings.bad(
            Code::KernelOptionAdvised,
            format!("the kernel is built without {missing}"),
            "timer tick and RCU callbacks cannot be kept off the worker's core (NO_HZ_FULL, RCU_NOCB_CPU, \
             CPU_ISOLATION), or its sleeps end at the next tick (HIGH_RES_TIMERS)",
            "boot a kernel that is built with them",
        );
    }
}

fn preemption(machine: &Machine, findings: &mut Findings) {
    let said_by_version = machine
        .text("/proc/sys/kernel/version")
        .is_some_and(|version| version.contains("PREEMPT_RT"));
    if machine.number("/sys/kernel/realtime") == Some(1) || said_by_version {
        findings.fine(Code::NotPreemptRt, "PREEMPT_RT");
    } else {
        findings.bad(
            Code::NotPreemptRt,
            "not a PREEMPT_RT kernel",
            "the kernel's own work on the worker's core is not interrupted for it; on an isolated core there is little",
            "boot a PREEMPT_RT kernel if the core cannot be isolated",
        );
    }
}

fn clocksource(machine: &Machine, findings: &mut Findings) {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let Some(source) = machine.text(path) else {
        return;
    };
    let read_ns = machine.kernel.clock().read_ns;
    let what = format!("clocksource {source}, a clock read takes {read_ns} ns");
    if FAST_CLOCKSOURCES.contains(&&*source) {
        findings.fine(Code::SlowClocksource, what);
    } else {
        findings.bad(
            Code::SlowClocksource,
            what,
            "the worker reads the clock around everything it does, and 29 ns is what that takes through the vDSO",
            "boot with tsc=reliable if the processor's TSC is invariant; see `dmesg | grep -i tsc` for why it is not used",
        );
    }
}
