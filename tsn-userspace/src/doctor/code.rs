//! What a diagnosis can find: one code for each thing that can be wrong.

use serde::{Serialize, Serializer};

/// How much something matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It is as it should be.
    Ok,
    /// Worth knowing; no reason to act by itself.
    Note,
    /// Frames can be late or go astray.
    Warning,
    /// Something does not work.
    Error,
}

/// Which part of the machine something concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// What the kernel can do.
    Kernel,
    /// The uplink and the pods' veth pairs.
    Devices,
    /// CLOCK_TAI and who steers it.
    Clock,
    /// The worker's core.
    Cpu,
    /// Locked memory, pages, IOMMU, NUMA.
    Memory,
    /// The daemon and its pods.
    Daemon,
    /// What could not be looked at.
    Access,
}

macro_rules! codes {
    ($($area:ident { $($(#[doc = $doc:literal])+ $variant:ident = $name:literal $severity:ident,)+ })+) => {
        /// What can be wrong. Each has one severity; where it is not so, the finding is [`Severity::Ok`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($($(#[doc = $doc])+ $variant,)+)+
        }

        impl Code {
            /// All of them, by area.
            pub const ALL: &[Self] = &[$($(Self::$variant,)+)+];

            /// Its name in JSON and text; stays the same from version to version.
            pub fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)+)+ }
            }

            /// Which part of the machine it concerns.
            pub fn area(self) -> Area {
                match self { $($(Self::$variant => Area::$area,)+)+ }
            }

            /// How much it matters when it is found.
            pub fn severity(self) -> Severity {
                match self { $($(Self::$variant => Severity::$severity,)+)+ }
            }

            /// What it says, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $($(Self::$variant => concat!($($doc),+).trim_ascii(),)+)+ }
            }
        }
    };
}

codes! {
    Kernel {
        /// The kernel is older than 6.1, with which tsnd does not start.
        KernelTooOld = "kernel-too-old" Error,
        /// The kernel is older than 6.6 and has no tcx: a pod with CAP_NET_ADMIN can remove its stamp program.
        NoTcx = "no-tcx" Note,
        /// AF_XDP sockets are not to be had.
        NoAfXdp = "no-af-xdp" Error,
        /// The directory of pins is on no bpffs.
        NoBpffs = "no-bpffs" Error,
        /// The kernel was built without an option that tsnd needs.
        KernelOptionMissing = "kernel-option-missing" Error,
        /// The kernel was built without an option that keeps a core quiet or timers sharp.
        KernelOptionAdvised = "kernel-option-advised" Note,
        /// Kernel programs are interpreted, not compiled.
        BpfJitOff = "bpf-jit-off" Warning,
        /// The kernel does not describe its types.
        NoBtf = "no-btf" Note,
        /// The kernel is not PREEMPT_RT.
        NotPreemptRt = "not-preempt-rt" Note,
        /// A clock read is a system call, or reads a slow device.
        SlowClocksource = "slow-clocksource" Warning,
    }
    Devices {
        /// It is not known which device frames leave by.
        DeviceUnknown = "device-unknown" Note,
        /// The device does not exist here.
        DeviceMissing = "device-missing" Error,
        /// The uplink's PCI device is no network device.
        PciNotNetwork = "pci-not-network" Error,
        /// The uplink's PCI device is bound to no driver that DPDK works with.
        PciDriver = "pci-driver" Error,
        /// The interface that the uplink's PCI device is to the kernel is in use.
        PciInUse = "pci-in-use" Warning,
        /// There is no IOMMU for the uplink's PCI device.
        PciNoIommu = "pci-no-iommu" Error,
        /// Nothing keeps the uplink's PCI device out of the node's memory.
        PciNoIommuMode = "pci-no-iommu-mode" Warning,
        /// The kernel has devices of the uplink's IOMMU group.
        IommuGroupShared = "iommu-group-shared" Error,
        /// VFIO's file of the uplink's PCI device is not there.
        NoVfio = "no-vfio" Error,
        /// DPDK's driver for a device is not installed.
        DpdkDriverMissing = "dpdk-driver-missing" Error,
        /// A vhost-user socket cannot be made in its directory.
        SocketDirectory = "socket-directory" Error,
        /// Somebody else listens where tsnd makes a vhost-user socket.
        SocketTaken = "socket-taken" Error,
        /// Nobody listens at a vhost-user socket that tsnd connects to.
        SocketPeer = "socket-peer" Warning,
        /// A device is down or has no carrier.
        LinkDown = "link-down" Error,
        /// The device does not tell its speed, and the configuration does not either.
        LinkSpeedUnknown = "link-speed-unknown" Error,
        /// The configured speed is not that of the device.
        LinkSpeedDiffers = "link-speed-differs" Warning,
        /// A device has an XDP program that is not ours.
        XdpForeign = "xdp-foreign" Error,
        /// A kernel program of the running daemon is not where it should be.
        ProgramMissing = "program-missing" Error,
        /// The uplink's XDP program runs in generic mode.
        XdpGeneric = "xdp-generic" Warning,
        /// The host end of a pod has more than one receive queue.
        ReceiveQueues = "receive-queues" Error,
        /// The worker's frames share the uplink's only transmit queue with the kernel's.
        TransmitQueueShared = "transmit-queue-shared" Note,
        /// The MTU is beyond what fits into a frame buffer or a native XDP frame.
        MtuTooLarge = "mtu-too-large" Error,
        /// A pod's MTU is larger than the uplink's.
        MtuAboveUplink = "mtu-above-uplink" Warning,
        /// A pod's host end has no room for the stamp.
        HostMtu = "host-mtu" Error,
        /// Receive polling is off at a pod's end: nothing reaches the pod.
        PodGroOff = "pod-gro-off" Error,
        /// The uplink merges received frames (LRO).
        LroOn = "lro-on" Warning,
        /// The uplink segments TCP by itself (TSO).
        TsoOn = "tso-on" Warning,
        /// The uplink takes VLAN tags out of received frames.
        ReceiveVlanOn = "receive-vlan-on" Warning,
        /// Interrupts of received frames are delayed.
        InterruptCoalescing = "interrupt-coalescing" Warning,
        /// Energy-Efficient Ethernet lets the link sleep.
        EeeActive = "eee-active" Warning,
        /// The uplink obeys pause frames.
        PauseObeyed = "pause-obeyed" Note,
    }
    Clock {
        /// The kernel does not know TAI - UTC.
        TaiOffsetUnknown = "tai-offset-unknown" Warning,
        /// Nobody steers the clock.
        ClockUnsynchronised = "clock-unsynchronised" Warning,
        /// The clock's error can be large.
        ClockError = "clock-error" Warning,
        /// No program that steers clocks runs.
        NoClockProgram = "no-clock-program" Note,
        /// Two programs steer the system clock.
        TwoClockPrograms = "two-clock-programs" Warning,
        /// ptp4l steers the device's clock, and nothing carries that to the system clock.
        ClockNotCarried = "clock-not-carried" Warning,
        /// The uplink has no PTP hardware clock.
        NoHardwareClock = "no-hardware-clock" Note,
    }
    Cpu {
        /// It is not known which core the worker has.
        CpuUnknown = "cpu-unknown" Note,
        /// The worker may run on any core.
        WorkerNotPinned = "worker-not-pinned" Warning,
        /// The core does not exist or is offline.
        CpuOffline = "cpu-offline" Error,
        /// The kernel puts other work on the worker's core.
        CpuNotIsolated = "cpu-not-isolated" Warning,
        /// The timer tick interrupts the worker.
        CpuTick = "cpu-tick" Note,
        /// RCU callbacks run on the worker's core.
        CpuRcuCallbacks = "cpu-rcu-callbacks" Note,
        /// Other threads ran on the worker's core.
        CpuCompetitors = "cpu-competitors" Warning,
        /// It cannot be seen whether other threads ran on the worker's core.
        CpuThreadsUnseen = "cpu-threads-unseen" Note,
        /// Devices interrupt the worker's core.
        CpuInterrupts = "cpu-interrupts" Warning,
        /// The core changes its frequency.
        CpuGovernor = "cpu-governor" Warning,
        /// The core falls into deep sleep.
        CpuDeepIdle = "cpu-deep-idle" Warning,
        /// The core's highest frequency depends on what others do.
        CpuTurbo = "cpu-turbo" Note,
        /// The core shares its execution units with another.
        CpuSmtSibling = "cpu-smt-sibling" Warning,
        /// The kernel takes the core from real-time threads (before 6.12).
        RealtimeThrottling = "realtime-throttling" Warning,
        /// The kernel's fair server takes the core from real-time threads (6.12 and later).
        FairServer = "fair-server" Warning,
        /// The hypervisor takes the core away.
        CpuStolen = "cpu-stolen" Warning,
        /// The hypervisor took the core away at some time since the boot.
        CpuStolenBefore = "cpu-stolen-before" Note,
        /// The daemon counted stalls that touched frames.
        Stalls = "stalls" Warning,
    }
    Memory {
        /// The daemon's memory is not locked.
        MemoryNotLocked = "memory-not-locked" Warning,
        /// A daemon that is started like this program cannot lock its memory.
        MemoryLockLimit = "memory-lock-limit" Note,
        /// Memory that is not locked can be swapped out.
        Swap = "swap" Warning,
        /// The kernel makes huge pages behind programs' backs.
        TransparentHugePages = "transparent-huge-pages" Note,
        /// No huge pages are set aside.
        NoHugePages = "no-huge-pages" Note,
        /// There are too few free huge pages for an uplink that needs them.
        HugePagesFew = "huge-pages-few" Error,
        /// DPDK's memory will lie in ordinary pages.
        OrdinaryPages = "ordinary-pages" Note,
        /// The free huge pages are on another NUMA node than the uplink.
        HugePagesRemote = "huge-pages-remote" Warning,
        /// The uplink's memory accesses are translated.
        IommuTranslates = "iommu-translates" Note,
        /// There is no IOMMU.
        NoIommu = "no-iommu" Note,
        /// The uplink and the worker's core are on different NUMA nodes.
        NumaRemote = "numa-remote" Warning,
    }
    Daemon {
        /// The configuration file cannot be used.
        ConfigurationInvalid = "configuration-invalid" Error,
        /// No daemon runs, or not at this socket.
        DaemonAbsent = "daemon-absent" Warning,
        /// A daemon was here and ended without removing its socket, or does not answer.
        DaemonDead = "daemon-dead" Error,
        /// The daemon is of another version than this program.
        VersionDiffers = "version-differs" Warning,
        /// What is pinned is of another layout than this version's.
        LayoutDiffers = "layout-differs" Warning,
        /// A pod is not served.
        PodWaits = "pod-waits" Warning,
        /// Frames were dropped for a cause that can be mended.
        Drops = "drops" Warning,
        /// The measured lead cannot be right, or there is none.
        Lead = "lead" Warning,
        /// Somebody set the clock while the daemon ran.
        ClockStepped = "clock-stepped" Warning,
    }
    Access {
        /// Something could not be read, for want of rights.
        NotReadable = "not-readable" Note,
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
