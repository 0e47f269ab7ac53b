//! The memory that DPDK keeps frames in.

use tsn_port::{DeviceKind, DeviceName};

use super::super::{Code, Findings, Machine, Subject};

/// Sizes of huge pages in KiB, the smaller first: it can be had while the machine runs.
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
    let worker = subject.configuration().map(|known| known.worker.clone());
    let worker = worker.unwrap_or_default();
    let needed_bytes = u64::from(worker.frame_buffers)
        * (u64::from(worker.frame_buffer_bytes) + BESIDE_BUFFER_BYTES)
        + OTHER_BYTES;
    let needed_mib = needed_bytes.div_ceil(1 << 20);
    let all_nodes = "/sys/kernel/mm/hugepages";
    let fitting = SIZES_KIB
        .into_iter()
        .find(|size_kib| has_free(machine, all_nodes, *size_kib, needed_bytes));
    let Some(size_kib) = fitting else {
        let what = format!(
            "{} free, and tsnd asks for {needed_mib} MiB",
            free_shown(machine)
        );
        let pages = needed_bytes.div_ceil(SIZES_KIB[0] * 1024);
        let mend = format!(
            "sysctl -w vm.nr_hugepages={pages} or more (2 MiB each), or hugepages={pages} at boot; in a container, its \
             limit of huge pages too"
        );
        return if uplink.kind() == DeviceKind::Pci {
            let why = "without them DPDK uses ordinary pages, which no PCI device can reach";
            findings.bad(Code::HugePagesFew, what, why, mend);
        } else {
            let why = "DPDK uses ordinary pages: more misses of the TLB, and a slower start";
            findings.bad(Code::OrdinaryPages, what, why, mend);
        };
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
