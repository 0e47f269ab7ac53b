//! The memory that DPDK keeps frames in.

use tsn_port::{DeviceKind, DeviceName};

use super::super::{Code, Findings, Machine, Subject};
use crate::config::{Configuration, DpdkSettings, HugepageSize};

/// What ordinary pages mean for a PCI device.
const NOT_REACHED: &str =
    "no PCI device can reach ordinary pages: tsnd does not start, or no frame leaves";
/// Huge pages of 2 MiB and of 1 GiB, in KiB. The smaller ones can be had while the machine runs.
const SIZES_KIB: [u64; 2] = [2_048, 1_048_576];
/// What the backend asks for beside each frame buffer, for mbuf, headroom and the pool's header.
const BESIDE_BUFFER_BYTES: u64 = 512;
/// What it asks for beside all of them.
const OTHER_BYTES: u64 = 64 << 20;

pub(super) fn examine(
    machine: &Machine,
    subject: &Subject,
    uplink: &DeviceName,
    findings: &mut Findings,
) {
    let known = subject.configuration();
    let settings = known.map(|known| known.dpdk.clone()).unwrap_or_default();
    let is_pci = uplink.kind() == DeviceKind::Pci;
    let sizes_kib: &[u64] = match settings.hugepages {
        HugepageSize::Auto => &SIZES_KIB,
        HugepageSize::TwoMegabytes => &SIZES_KIB[..1],
        HugepageSize::OneGigabyte => &SIZES_KIB[1..],
        HugepageSize::None if is_pci => {
            return findings.bad(
                Code::HugePagesFew,
                format!("dpdk.hugepages is none, and the uplink is {uplink}"),
                NOT_REACHED,
                "set dpdk.hugepages to auto, 2MB or 1GB",
            );
        }
        HugepageSize::None => {
            return findings.fine(Code::OrdinaryPages, "ordinary pages, as configured");
        }
    };
    let needed_bytes = needed_bytes(known, &settings);
    let needed_mib = needed_bytes.div_ceil(1 << 20);
    let all_nodes = "/sys/kernel/mm/hugepages";
    let fitting = sizes_kib
        .iter()
        .copied()
        .find(|size_kib| has_free(machine, all_nodes, *size_kib, needed_bytes));
    let Some(size_kib) = fitting else {
        let what = format!(
            "{} free, and tsnd asks for {needed_mib} MiB",
            free_shown(machine)
        );
        let mend = more_pages(sizes_kib, needed_bytes);
        let is_auto = settings.hugepages == HugepageSize::Auto;
        let (code, why) = match (is_auto, is_pci) {
            (false, _) => (
                Code::HugePagesFew,
                "tsnd does not start without those that dpdk.hugepages names",
            ),
            (true, true) => (Code::HugePagesFew, NOT_REACHED),
            (true, false) => (
                Code::OrdinaryPages,
                "DPDK uses ordinary pages: more misses of the TLB",
            ),
        };
        return findings.bad(code, what, why, mend);
    };
    findings.fine(
        Code::HugePagesFew,
        format!(
            "{} free, and tsnd asks for {needed_mib} MiB",
            free_shown(machine)
        ),
    );
    let node = machine.number(&format!("/sys/bus/pci/devices/{}/numa_node", uplink.name()));
    let Some(node @ 0..) = node else { return };
    let of_node = format!("/sys/devices/system/node/node{node}/hugepages");
    if has_free(machine, &of_node, size_kib, needed_bytes) {
        findings.fine(
            Code::HugePagesRemote,
            format!("enough of them are on NUMA node {node}, as the uplink"),
        );
    } else {
        findings.bad(
            Code::HugePagesRemote,
            format!("too few of them are on NUMA node {node}, where the uplink is"),
            "every frame crosses between the nodes, on its way into memory and out of it",
            format!(
                "echo {} > {of_node}/hugepages-{size_kib}kB/nr_hugepages, or more",
                needed_bytes.div_ceil(size_kib * 1024)
            ),
        );
    }
}

/// What the backend will ask DPDK for.
fn needed_bytes(known: Option<&Configuration>, settings: &DpdkSettings) -> u64 {
    if let Some(mib) = settings.memory {
        return u64::from(mib) << 20;
    }
    let worker = known.map(|known| known.worker.clone()).unwrap_or_default();
    let buffer_bytes = u64::from(worker.frame_buffer_bytes) + BESIDE_BUFFER_BYTES;
    u64::from(worker.frame_buffers) * buffer_bytes + OTHER_BYTES
}

fn more_pages(sizes_kib: &[u64], needed_bytes: u64) -> String {
    let pages = |size_kib: u64| needed_bytes.div_ceil(size_kib * 1024);
    let [small, large] = SIZES_KIB.map(pages);
    if sizes_kib.contains(&SIZES_KIB[0]) {
        format!(
            "sysctl -w vm.nr_hugepages={small} or more (2 MiB each), or hugepages={small} at boot; a container has a limit \
             of its own beside that"
        )
    } else {
        format!("boot with hugepagesz=1G hugepages={large}, or more")
    }
}

fn free_pages(machine: &Machine, directory: &str, size_kib: u64) -> u64 {
    let file = format!("{directory}/hugepages-{size_kib}kB/free_hugepages");
    let pages = machine.number(&file).unwrap_or(0);
    u64::try_from(pages).unwrap_or(0)
}

fn has_free(machine: &Machine, directory: &str, size_kib: u64, needed_bytes: u64) -> bool {
    free_pages(machine, directory, size_kib).saturating_mul(size_kib * 1024) >= needed_bytes
}

fn free_shown(machine: &Machine) -> String {
    let pages = |size_kib| free_pages(machine, "/sys/kernel/mm/hugepages", size_kib);
    let [small, large] = SIZES_KIB.map(pages);
    format!("{small} huge pages of 2 MiB and {large} of 1 GiB are")
}
