//! Locked memory, pages, IOMMU, NUMA.

use tsn_port::{DeviceKind, DeviceName};

use super::device::Uplink;
use super::processes::value_of;
use super::{Code, Findings, Machine, Subject};

/// `CAP_IPC_LOCK` of linux/capability.h.
const CAP_IPC_LOCK: u64 = 1 << 14;

pub(super) fn examine(
    machine: &Machine,
    subject: &Subject,
    name: Option<&DeviceName>,
    uplink: Option<&Uplink>,
    cpu: Option<usize>,
    findings: &mut Findings,
) {
    let locked = locked(machine, subject, findings);
    swap(machine, locked, findings);
    transparent_pages(machine, findings);
    // DPDK may yet be chosen. Once it is, `dpdk` says what the uplink needs.
    let is_open =
        subject.answers().is_none() && name.is_none_or(|name| name.kind() == DeviceKind::Interface);
    huge_pages(machine, is_open, findings);
    let bus = match name.filter(|name| name.kind() == DeviceKind::Pci) {
        Some(name) => Some(name.name()),
        None => uplink.and_then(|uplink| uplink.ethtool.bus.as_deref()),
    };
    iommu(machine, uplink, is_open, findings);
    numa(machine, bus, cpu, findings);
}

/// Whether the daemon's memory is locked, or would be; `None` where that cannot be seen.
fn locked(machine: &Machine, subject: &Subject, findings: &mut Findings) -> Option<bool> {
    let process = subject.answers().and_then(|answers| answers.process_id);
    match process {
        Some(process) => running(machine, process, findings),
        None if subject.answers().is_none() => would_be(machine, subject, findings),
        None => None,
    }
}

fn running(machine: &Machine, process: u32, findings: &mut Findings) -> Option<bool> {
    let status = machine.text(&format!("/proc/{process}/status"))?;
    let locked = value_of(&status, "VmLck").unwrap_or("0 kB");
    if locked != "0 kB" {
        findings.fine(Code::MemoryNotLocked, format!("tsnd has locked {locked}"));
        return Some(true);
    }
    let limits = machine.text(&format!("/proc/{process}/limits"));
    let limit = limits.as_deref().and_then(limit_bytes);
    findings.bad(
        Code::MemoryNotLocked,
        format!(
            "tsnd has locked no memory (its limit is {} bytes)",
            limit.map_or("unlimited".to_owned(), |bytes| bytes.to_string())
        ),
        "a page fault in the worker is a stall",
        "give tsnd CAP_IPC_LOCK, or LimitMEMLOCK=infinity in its unit, and restart it",
    );
    Some(false)
}

fn would_be(machine: &Machine, subject: &Subject, findings: &mut Findings) -> Option<bool> {
    let worker = subject.configuration().map(|known| known.worker.clone());
    let worker = worker.unwrap_or_default();
    let needed = u64::from(worker.frame_buffers) * u64::from(worker.frame_buffer_bytes);
    let (Some(status), Some(limits)) = (
        machine.text("/proc/self/status"),
        machine.text("/proc/self/limits"),
    ) else {
        return None;
    };
    let may_lock_all = value_of(&status, "CapEff")
        .and_then(|bits| u64::from_str_radix(bits, 16).ok())
        .is_some_and(|bits| bits & CAP_IPC_LOCK != 0);
    match limit_bytes(&limits) {
        Some(limit) if !may_lock_all && limit < needed => {
            findings.bad(
                Code::MemoryLockLimit,
                format!("a program that is started here may lock {limit} bytes; the frame buffers take {needed}"),
                "a page fault in the worker is a stall",
                "start tsnd with CAP_IPC_LOCK, or with LimitMEMLOCK=infinity in its unit",
            );
            Some(false)
        }
        _ => {
            findings.fine(Code::MemoryLockLimit, "memory can be locked");
            Some(true)
        }
    }
}

/// The soft limit of locked memory; `None` if there is none.
fn limit_bytes(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn swap(machine: &Machine, locked: Option<bool>, findings: &mut Findings) {
    let Some(swaps) = machine.text("/proc/swaps") else {
        return;
    };
    let devices: Vec<&str> = swaps
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    if devices.is_empty() {
        findings.fine(Code::Swap, "no swap");
    } else if locked == Some(true) {
        findings.fine(Code::Swap, "there is swap, and tsnd's memory is locked");
    } else if locked == Some(false) {
        findings.bad(
            Code::Swap,
            format!(
                "swap on {}, and tsnd's memory is not locked",
                devices.join(", ")
            ),
            "a page that is swapped out has to be read from the disk while frames are due",
            "lock tsnd's memory (CAP_IPC_LOCK), or swapoff -a",
        );
    }
}

fn transparent_pages(machine: &Machine, findings: &mut Findings) {
    let path = "/sys/kernel/mm/transparent_hugepage/enabled";
    match machine.text(path) {
        Some(choice) if choice.contains("[always]") => findings.bad(
            Code::TransparentHugePages,
            "transparent huge pages are made always",
            "the kernel moves the worker's memory together while it runs, and the worker waits for that",
            format!("echo madvise > {path}"),
        ),
        Some(_) => findings.fine(
            Code::TransparentHugePages,
            "transparent huge pages only where asked for",
        ),
        None => {}
    }
}

fn huge_pages(machine: &Machine, is_open: bool, findings: &mut Findings) {
    let memory = machine.text("/proc/meminfo");
    match memory
        .as_deref()
        .and_then(|text| value_of(text, "HugePages_Total"))
    {
        Some("0") if !is_open => {}
        Some("0") => findings.bad(
            Code::NoHugePages,
            "no huge pages are set aside",
            "AF_XDP does not use them; DPDK does without only with --no-huge",
            "sysctl -w vm.nr_hugepages=256, if DPDK is to be used",
        ),
        Some(pages) => findings.fine(Code::NoHugePages, format!("{pages} huge pages")),
        None => {}
    }
}

fn iommu(machine: &Machine, uplink: Option<&Uplink>, is_open: bool, findings: &mut Findings) {
    if machine.names("/sys/kernel/iommu_groups").is_empty() {
        if !is_open {
            return;
        }
        findings.bad(
            Code::NoIommu,
            "there is no IOMMU in use",
            "AF_XDP does not need one; vfio-pci, with which DPDK drives a device, does",
            "switch it on in the firmware and boot with intel_iommu=on or amd_iommu=on, if DPDK is to be used",
        );
        return;
    }
    findings.fine(Code::NoIommu, "there is an IOMMU");
    let group = uplink
        .and_then(|uplink| uplink.ethtool.bus.as_deref())
        .and_then(|bus| machine.text(&format!("/sys/bus/pci/devices/{bus}/iommu_group/type")));
    match group.as_deref() {
        Some("identity") => findings.fine(
            Code::IommuTranslates,
            "the IOMMU lets the uplink's memory accesses pass (identity)",
        ),
        Some(kind) => findings.bad(
            Code::IommuTranslates,
            format!("the IOMMU translates the uplink's memory accesses ({kind})"),
            "every frame that leaves is mapped and unmapped, which makes wake-ups longer and less even",
            "boot with iommu=pt",
        ),
        None => {}
    }
}

fn numa(machine: &Machine, bus: Option<&str>, cpu: Option<usize>, findings: &mut Findings) {
    let device_node =
        bus.and_then(|bus| machine.number(&format!("/sys/bus/pci/devices/{bus}/numa_node")));
    let cpu_node = cpu.and_then(|cpu| {
        machine
            .names(&format!("/sys/devices/system/cpu/cpu{cpu}"))
            .iter()
            .find_map(|name| name.strip_prefix("node")?.parse::<i64>().ok())
    });
    // A device of no node in particular says -1.
    let (Some(device_node @ 0..), Some(cpu_node)) = (device_node, cpu_node) else {
        return;
    };
    if device_node == cpu_node {
        findings.fine(
            Code::NumaRemote,
            format!("uplink and worker are on NUMA node {cpu_node}"),
        );
    } else {
        findings.bad(
            Code::NumaRemote,
            format!("the uplink is on NUMA node {device_node}, the worker's core on {cpu_node}"),
            "every access to the device's rings crosses between the nodes, which makes wake-ups longer",
            format!("choose --cpu out of /sys/devices/system/node/node{device_node}/cpulist"),
        );
    }
}
