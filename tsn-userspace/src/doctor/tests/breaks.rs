//! What can be broken, and what the diagnosis must say of it, and only that.

use std::io::ErrorKind;
use std::rc::Rc;

use super::super::{Code, Daemon};
use super::fake::{DAEMON, Scenario, WORKER, write};

/// How the machine is broken, and which findings that brings.
pub type Break = (fn(&mut Scenario), &'static [Code]);

const CPU: &str = "/sys/devices/system/cpu";

/// Of everything but the devices; at least one for each code.
pub const BREAKS: &[Break] = &[
    // The kernel.
    (
        |s| {
            s.write("/proc/sys/kernel/osrelease", "6.0.0-9\n");
        },
        &[Code::KernelTooOld, Code::NoTcx],
    ),
    (
        |s| {
            s.write("/proc/sys/kernel/osrelease", "6.5.0-9\n");
        },
        &[Code::NoTcx],
    ),
    (
        |s| {
            s.write("/proc/sys/kernel/osrelease", "6.5.0-9\n");
            s.write("/boot/config-6.5.0-9", CONFIG_WITHOUT_CLS_BPF);
        },
        &[Code::NoTcx, Code::KernelOptionMissing],
    ),
    (
        |s| s.kernel.af_xdp = Some(ErrorKind::Unsupported),
        &[Code::NoAfXdp],
    ),
    (
        |s| s.write("/proc/mounts", "sys /sys sysfs rw 0 0\n"),
        &[Code::NoBpffs],
    ),
    (
        |s| s.write("/boot/config-6.12.5-rt", CONFIG_WITHOUT_XDP),
        &[Code::KernelOptionMissing],
    ),
    (
        |s| s.write("/boot/config-6.12.5-rt", CONFIG_WITHOUT_NO_HZ_FULL),
        &[Code::KernelOptionAdvised],
    ),
    (
        |s| s.write("/proc/sys/net/core/bpf_jit_enable", "0\n"),
        &[Code::BpfJitOff],
    ),
    (|s| s.remove("/sys/kernel/btf/vmlinux"), &[Code::NoBtf]),
    (
        |s| {
            s.remove("/sys/kernel/realtime");
            s.write("/proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC\n");
        },
        &[Code::NotPreemptRt],
    ),
    (
        |s| {
            s.write(
                "/sys/devices/system/clocksource/clocksource0/current_clocksource",
                "hpet\n",
            );
        },
        &[Code::SlowClocksource],
    ),
    // The clock.
    (
        |s| s.kernel.clock.tai_utc_offset_s = 0,
        &[Code::TaiOffsetUnknown],
    ),
    (
        |s| s.kernel.clock.synchronised = false,
        &[Code::ClockUnsynchronised],
    ),
    (|s| s.kernel.clock.max_error_us = 1_001, &[Code::ClockError]),
    (
        |s| {
            s.remove("/proc/2/comm");
            s.remove("/proc/3/comm");
        },
        &[Code::NoClockProgram],
    ),
    (
        |s| s.write("/proc/4/comm", "chronyd\n"),
        &[Code::TwoClockPrograms],
    ),
    (
        // A grandmaster: chronyd steers the system clock, and phc2sys carries that to the device.
        |s| {
            s.write("/proc/4/comm", "chronyd\n");
            let command_line = "phc2sys\0-s\0CLOCK_REALTIME\0-c\0eth1\0";
            s.write("/proc/3/cmdline", command_line);
        },
        &[],
    ),
    (
        // Software time stamps: ptp4l steers the system clock itself.
        |s| {
            s.remove("/proc/3/comm");
            s.write("/proc/2/cmdline", "ptp4l\0-S\0-i\0eth1\0");
        },
        &[],
    ),
    (|s| s.remove("/proc/3/comm"), &[Code::ClockNotCarried]),
    (
        |s| s.uplink().1.hardware_clock = Some(None),
        &[Code::NoHardwareClock],
    ),
    // The worker's core.
    (
        |s| {
            s.silence(false);
            s.subject.cpu = None;
        },
        &[Code::CpuUnknown, Code::DaemonAbsent],
    ),
    (
        |s| {
            let status = format!("/proc/{DAEMON}/task/{WORKER}/status");
            s.write(&status, "Cpus_allowed_list:\t0-3\n");
        },
        &[Code::WorkerNotPinned, Code::CpuUnknown],
    ),
    (|s| s.subject.cpu = Some(4), &[Code::CpuOffline]),
    (
        |s| s.write(&format!("{CPU}/isolated"), "2\n"),
        &[Code::CpuNotIsolated],
    ),
    (
        |s| {
            s.write(&format!("{CPU}/nohz_full"), "(null)\n");
            s.write("/proc/cmdline", "isolcpus=2-3 rcu_nocbs=2-3\n");
        },
        &[Code::CpuTick],
    ),
    (
        |s| {
            s.write(&format!("{CPU}/nohz_full"), "(null)\n");
            s.write("/proc/cmdline", "isolcpus=2-3\n");
        },
        &[Code::CpuTick, Code::CpuRcuCallbacks],
    ),
    (
        |s| {
            // Runs between the two looks; the one on another core is no competitor.
            s.thread(77, 77, "greedy (1)", 3, 5_000);
            s.thread(78, 78, "elsewhere", 2, 5_000);
            let root = Rc::clone(&s.root);
            s.kernel.meanwhile = Rc::new(move || {
                for thread in [77, 78] {
                    let path = format!("/proc/{thread}/task/{thread}/schedstat");
                    write(root.path(), &path, "150005000 0 2\n");
                }
            });
        },
        &[Code::CpuCompetitors],
    ),
    (
        |s| {
            s.write(
                "/proc/interrupts",
                "  CPU0 CPU3\n 24: 7 12 PCI-MSI 1-edge eth1-rx\n",
            );
            s.write("/proc/irq/24/effective_affinity_list", "3\n");
        },
        &[Code::CpuInterrupts],
    ),
    (
        |s| {
            s.write(
                &format!("{CPU}/cpu3/cpufreq/scaling_governor"),
                "powersave\n",
            )
        },
        &[Code::CpuGovernor],
    ),
    (
        |s| s.write(&format!("{CPU}/cpu3/cpuidle/state1/disable"), "0\n"),
        &[Code::CpuDeepIdle],
    ),
    (
        |s| s.write(&format!("{CPU}/intel_pstate/no_turbo"), "0\n"),
        &[Code::CpuTurbo],
    ),
    (
        |s| {
            s.remove(&format!("{CPU}/intel_pstate/no_turbo"));
            s.write(&format!("{CPU}/cpufreq/boost"), "1\n");
        },
        &[Code::CpuTurbo],
    ),
    (
        |s| {
            s.write(
                &format!("{CPU}/cpu3/topology/thread_siblings_list"),
                "1,3\n",
            )
        },
        &[Code::CpuSmtSibling],
    ),
    (
        |s| {
            s.write("/proc/sys/kernel/osrelease", "6.6.9\n");
            s.write("/proc/sys/kernel/sched_rt_runtime_us", "950000\n");
        },
        &[Code::RealtimeThrottling],
    ),
    (
        |s| {
            s.write(
                "/sys/kernel/debug/sched/fair_server/cpu3/runtime",
                "50000000\n",
            );
            s.write(&format!("{CPU}/isolated"), "2\n");
        },
        &[Code::FairServer, Code::CpuNotIsolated],
    ),
    (
        |s| {
            s.remove("/sys/kernel/debug/sched/fair_server/cpu3/runtime");
            s.write(&format!("{CPU}/isolated"), "2\n");
        },
        &[Code::FairServer, Code::CpuNotIsolated],
    ),
    (
        |s| s.write("/proc/stat", "cpu3 1 2 3 4 5 6 7 8 9 0\n"),
        &[Code::CpuStolenBefore],
    ),
    (
        |s| s.meanwhile(&[("/proc/stat", "cpu3 1 2 3 4 5 6 7 1 9 0\n")]),
        &[Code::CpuStolen],
    ),
    (
        |s| s.remove("/proc/16/task/16/schedstat"),
        &[Code::CpuThreadsUnseen],
    ),
    (
        // In another PID namespace neither the threads of the core are seen, nor the kernel's.
        |s| {
            s.remove("/proc/16/task/16/schedstat");
            s.meanwhile(&[("/proc/stat", "cpu3 21 2 3 4 5 6 7 0 9 0\n")]);
        },
        &[Code::CpuCompetitors],
    ),
    (|s| s.answers().status.stalls.frames = 3, &[Code::Stalls]),
    // Memory.
    (
        |s| {
            s.write(&format!("/proc/{DAEMON}/status"), "VmLck:\t       0 kB\n");
        },
        &[Code::MemoryNotLocked],
    ),
    (
        |s| {
            s.write(&format!("/proc/{DAEMON}/status"), "VmLck:\t       0 kB\n");
            s.write("/proc/swaps", "Filename Type\n/dev/sda2 partition 1 0 -2\n");
        },
        &[Code::MemoryNotLocked, Code::Swap],
    ),
    (
        |s| {
            s.silence(false);
            s.write(
                "/proc/self/limits",
                "Max locked memory 8388608 8388608 bytes\n",
            );
        },
        &[Code::MemoryLockLimit, Code::DaemonAbsent],
    ),
    (
        |s| {
            s.write(
                "/sys/kernel/mm/transparent_hugepage/enabled",
                "[always] madvise never\n",
            );
        },
        &[Code::TransparentHugePages],
    ),
    (
        |s| {
            s.write("/proc/meminfo", "HugePages_Total: 0\n");
            s.silence(false);
        },
        &[Code::NoHugePages, Code::DaemonAbsent],
    ),
    (
        |s| {
            s.write(
                "/sys/bus/pci/devices/0000:01:00.0/iommu_group/type",
                "DMA-FQ\n",
            );
        },
        &[Code::IommuTranslates],
    ),
    (
        |s| {
            std::fs::remove_dir_all(s.root.path().join("sys/kernel/iommu_groups")).unwrap();
            s.silence(false);
        },
        &[Code::NoIommu, Code::DaemonAbsent],
    ),
    (
        |s| {
            s.write("/proc/meminfo", "HugePages_Total: 0\n");
            std::fs::remove_dir_all(s.root.path().join("sys/kernel/iommu_groups")).unwrap();
        },
        &[],
    ),
    (
        |s| {
            let (_, ethtool) = s.uplink();
            (ethtool.bus, ethtool.tso) = (None, Some(true));
        },
        &[],
    ),
    (
        |s| s.write("/sys/bus/pci/devices/0000:01:00.0/numa_node", "1\n"),
        &[Code::NumaRemote],
    ),
    // The daemon.
    (
        |s| s.subject.configuration = Some(Err("/etc/tsnd.yaml: no".to_owned())),
        &[Code::ConfigurationInvalid],
    ),
    (|s| s.silence(false), &[Code::DaemonAbsent]),
    (|s| s.silence(true), &[Code::DaemonDead]),
    (
        |s| s.answers().status.version = "0.0.1".to_owned(),
        &[Code::VersionDiffers],
    ),
    (
        |s| s.kernel.pinned.as_mut().unwrap().layout = Some(0),
        &[Code::LayoutDiffers],
    ),
    (
        |s| {
            let pod = &mut s.answers().pods[0];
            (pod.attached, pod.waits_for) = (false, Some("no such namespace".to_owned()));
        },
        &[Code::PodWaits],
    ),
    (
        |s| {
            s.silence(false);
            s.kernel.devices.retain(|(netns, _), _| netns.is_none());
        },
        &[Code::PodWaits, Code::DaemonAbsent],
    ),
    // The socket of a pod that the daemon serves has been removed.
    (|s| s.vhost_user(false), &[Code::PodWaits]),
    // Nobody listens at it; without a daemon.
    (
        |s| {
            s.vhost_user(true);
            s.silence(false);
            s.write("/run/tsnd/other.sock", "");
        },
        &[Code::SocketPeer, Code::DaemonAbsent],
    ),
    // Left from a killed daemon: the next one removes it.
    (
        |s| {
            s.vhost_user(false);
            s.silence(false);
            s.write("/run/tsnd/pod1.sock", "");
        },
        &[Code::DaemonAbsent],
    ),
    // There is no directory to make it in.
    (
        |s| {
            s.vhost_user(false);
            s.silence(false);
        },
        &[Code::SocketDirectory, Code::DaemonAbsent],
    ),
    (
        |s| {
            let drops = &mut s.answers().pods[0].drops;
            drops.insert("receive_no_buffer".to_owned(), 7);
        },
        &[Code::Drops],
    ),
    (
        |s| s.answers().status.uplink.lead_observations = 0,
        &[Code::Lead],
    ),
    (
        |s| s.answers().status.uplink.lead_ns = 60_000,
        &[Code::Lead],
    ),
    (
        |s| s.answers().status.clock_steps = 1,
        &[Code::ClockStepped],
    ),
    // What a user without rights sees.
    (
        |s| s.kernel.pinned = Err(ErrorKind::PermissionDenied),
        &[Code::NotReadable],
    ),
    (
        |s| s.kernel.af_xdp = Some(ErrorKind::PermissionDenied),
        &[Code::NotReadable],
    ),
    (
        |s| {
            s.subject.daemon = Daemon::NotAllowed;
            s.subject.cpu = Some(3);
        },
        &[Code::NotReadable],
    ),
];

const CONFIG_WITHOUT_CLS_BPF: &str = "CONFIG_NET=y\nCONFIG_BPF_SYSCALL=y\nCONFIG_XDP_SOCKETS=y\nCONFIG_VETH=m\n\
    CONFIG_NET_SCH_INGRESS=m\nCONFIG_HIGH_RES_TIMERS=y\nCONFIG_NO_HZ_FULL=y\nCONFIG_RCU_NOCB_CPU=y\nCONFIG_CPU_ISOLATION=y\n";
const CONFIG_WITHOUT_XDP: &str = "CONFIG_NET=y\nCONFIG_BPF_SYSCALL=y\n# CONFIG_XDP_SOCKETS is not set\nCONFIG_VETH=m\n\
    CONFIG_HIGH_RES_TIMERS=y\nCONFIG_NO_HZ_FULL=y\nCONFIG_RCU_NOCB_CPU=y\nCONFIG_CPU_ISOLATION=y\n";
const CONFIG_WITHOUT_NO_HZ_FULL: &str = "CONFIG_NET=y\nCONFIG_BPF_SYSCALL=y\nCONFIG_XDP_SOCKETS=y\nCONFIG_VETH=m\n\
    CONFIG_HIGH_RES_TIMERS=y\nCONFIG_RCU_NOCB_CPU=y\nCONFIG_CPU_ISOLATION=y\n";
