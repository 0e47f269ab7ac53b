//! The files of a machine that is as it should be.

/// Files of a machine that is as it should be: Linux 6.12, worker on the isolated core 3.
pub const FILES: &[(&str, &str)] = &[
    ("/proc/sys/kernel/osrelease", "6.12.5-rt\n"),
    ("/proc/sys/kernel/version", "#1 SMP PREEMPT_RT\n"),
    ("/proc/sys/kernel/sched_rt_runtime_us", "-1\n"),
    ("/proc/sys/kernel/sched_rt_period_us", "1000000\n"),
    ("/proc/sys/net/core/bpf_jit_enable", "1\n"),
    (
        "/proc/mounts",
        "proc /proc proc rw 0 0\nbpf /sys/fs/bpf bpf rw 0 0\n",
    ),
    ("/proc/cmdline", "quiet nohz_full=2-3 isolcpus=2-3\n"),
    ("/proc/swaps", "Filename Type Size Used Priority\n"),
    (
        "/proc/meminfo",
        "MemTotal: 1 kB\nHugePages_Total:     256\n",
    ),
    (
        "/proc/stat",
        "cpu  1 2 3 4 5 6 7 0 9 0\ncpu3 1 2 3 4 5 6 7 0 9 0\n",
    ),
    (
        "/proc/interrupts",
        "           CPU0       CPU3\n 24:  7  0  PCI-MSI 1-edge  eth1-rx\nLOC:  1  9  Local timer\n",
    ),
    ("/proc/irq/24/effective_affinity_list", "0\n"),
    ("/proc/irq/24/smp_affinity_list", "0-3\n"),
    ("/proc/self/status", "CapEff:\t0000000000000000\n"),
    (
        "/proc/self/limits",
        "Max locked memory         unlimited            unlimited            bytes\n",
    ),
    ("/proc/1/comm", "systemd\n"),
    (
        "/proc/16/task/16/stat",
        "16 (ksoftirqd/0) S 2 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0\n",
    ),
    ("/proc/16/task/16/schedstat", "5000 0 1\n"),
    ("/proc/2/comm", "ptp4l\n"),
    ("/proc/3/comm", "phc2sys\n"),
    ("/sys/kernel/btf/vmlinux", "BTF"),
    ("/sys/kernel/realtime", "1\n"),
    ("/sys/kernel/debug/sched/fair_server/cpu3/runtime", "0\n"),
    (
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "always [madvise] never\n",
    ),
    ("/sys/kernel/iommu_groups/0/type", "identity\n"),
    (
        "/sys/bus/pci/devices/0000:01:00.0/iommu_group/type",
        "identity\n",
    ),
    ("/sys/bus/pci/devices/0000:01:00.0/numa_node", "0\n"),
    (
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        "tsc\n",
    ),
    ("/sys/devices/system/cpu/online", "0-3\n"),
    ("/sys/devices/system/cpu/possible", "0-7\n"),
    ("/sys/devices/system/cpu/isolated", "2-3\n"),
    ("/sys/devices/system/cpu/nohz_full", "2-3\n"),
    ("/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n"),
    (
        "/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor",
        "performance\n",
    ),
    (
        "/sys/devices/system/cpu/cpu3/topology/thread_siblings_list",
        "3\n",
    ),
    ("/sys/devices/system/cpu/cpu3/node0/cpulist", "0-3\n"),
    ("/sys/devices/system/cpu/cpu3/cpuidle/state0/name", "POLL\n"),
    ("/sys/devices/system/cpu/cpu3/cpuidle/state0/latency", "0\n"),
    ("/sys/devices/system/cpu/cpu3/cpuidle/state0/disable", "0\n"),
    ("/sys/devices/system/cpu/cpu3/cpuidle/state1/name", "C6\n"),
    (
        "/sys/devices/system/cpu/cpu3/cpuidle/state1/latency",
        "133\n",
    ),
    ("/sys/devices/system/cpu/cpu3/cpuidle/state1/disable", "1\n"),
    (
        "/boot/config-6.12.5-rt",
        "CONFIG_NET=y\nCONFIG_BPF_SYSCALL=y\nCONFIG_XDP_SOCKETS=y\nCONFIG_VETH=m\nCONFIG_HIGH_RES_TIMERS=y\n\
         CONFIG_NO_HZ_FULL=y\nCONFIG_RCU_NOCB_CPU=y\nCONFIG_CPU_ISOLATION=y\n",
    ),
];

/// What a machine has beside these for uplinks that DPDK drives: 0000:03:00.0, or a switch's socket.
pub const DPDK_FILES: &[(&str, &str)] = &[
    ("/sys/bus/pci/devices/0000:03:00.0/class", "0x020000\n"),
    ("/sys/bus/pci/devices/0000:03:00.0/numa_node", "0\n"),
    ("/sys/kernel/iommu_groups/7/devices/0000:03:00.0", ""),
    ("/dev/vfio/7", ""),
    (
        "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_virtio.so.23.0",
        "",
    ),
    (
        "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_af_packet.so.23.0",
        "",
    ),
    (
        "/proc/net/unix",
        "Num       RefCount Protocol Flags    Type St Inode Path\n\
         00000000eba4ecc7: 00000002 00000000 00010000 0001 01  1141 /run/switch.sock\n\
         00000000eba4ecc8: 00000003 00000000 00000000 0001 03  1142 /run/dead.sock\n",
    ),
    (
        "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
        "256\n",
    ),
    (
        "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
        "256\n",
    ),
    ("/run/switch.sock", ""),
    ("/run/dead.sock", ""),
    (
        "/proc/net/route",
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
         eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n\
         eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n",
    ),
    (
        "/proc/net/if_inet6",
        "fe8000000000000000fc00fffe000001 04 40 20 80 eth2\nfd000000000000000000000000000002 04 40 00 82 eth3\n",
    ),
];

/// Symbolic links of that machine.
pub const DPDK_LINKS: &[(&str, &str)] = &[
    (
        "/sys/bus/pci/devices/0000:03:00.0/driver",
        "../../../../bus/pci/drivers/vfio-pci",
    ),
    (
        "/sys/bus/pci/devices/0000:03:00.0/iommu_group",
        "../../../../kernel/iommu_groups/7",
    ),
];
