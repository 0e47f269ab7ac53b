//! A PCI device that a poll-mode driver is to have: whether the kernel has let go of it.

use super::super::{Code, Findings, Machine};
use super::interface;

/// Drivers of the kernel with which DPDK works through their own interface, so that the kernel keeps the device.
const SHARED_DRIVERS: [&str; 2] = ["mlx4_core", "mlx5_core"];
/// Drivers that hand a device to a program without an IOMMU between them.
const UIO_DRIVERS: [&str; 2] = ["igb_uio", "uio_pci_generic"];
/// Drivers beside which VFIO may have a device of the same IOMMU group: its own, that of nobody, and bridges'.
const HARMLESS_IN_GROUP: [&str; 3] = ["vfio-pci", "pci-stub", "pcieport"];
/// First byte of the class of network controllers (PCI Code and ID Assignment Specification).
const NETWORK_CLASS: &str = "0x02";

pub(super) fn examine(machine: &Machine, address: &str, is_running: bool, findings: &mut Findings) {
    let device = format!("/sys/bus/pci/devices/{address}");
    if !machine.exists(&device) {
        findings.bad(
            Code::DeviceMissing,
            format!("there is no PCI device {address}"),
            "no frame can leave by it; tsnd does not start without its uplink",
            "name the uplink as `lspci -D` does (--device, or uplinks[0].device); a virtual function must be made first \
             (sriov_numvfs)",
        );
        return;
    }
    let class = machine.text(&format!("{device}/class"));
    if let Some(class) = class.filter(|class| !class.starts_with(NETWORK_CLASS)) {
        findings.bad(
            Code::PciNotNetwork,
            format!("{address} is no network device, but one of class {class}"),
            "no frame can leave by it, and what the machine has it for would end with it",
            "choose one of `lspci -D | grep -i -e ethernet -e network`",
        );
        return;
    }
    let driver = machine.link_target(&format!("{device}/driver"));
    match driver.as_deref() {
        Some("vfio-pci") => {
            findings.fine(Code::PciDriver, format!("{address}: bound to vfio-pci"));
            vfio(machine, address, findings);
        }
        Some(driver) if SHARED_DRIVERS.contains(&driver) => findings.fine(
            Code::PciDriver,
            format!("{address}: bound to {driver}, which shares it with DPDK"),
        ),
        Some(driver) if UIO_DRIVERS.contains(&driver) => {
            findings.fine(Code::PciDriver, format!("{address}: bound to {driver}"));
            reaches_all_memory(address, format!("{address} is bound to {driver}"), findings);
        }
        other => {
            bound_to_kernel(machine, address, other, is_running, findings);
            iommu(machine, address, findings);
        }
    }
}

/// With a driver of the kernel that DPDK cannot work with, or with none.
fn bound_to_kernel(
    machine: &Machine,
    address: &str,
    driver: Option<&str>,
    is_running: bool,
    findings: &mut Findings,
) {
    let interfaces = interface::of_pci_device(machine, address);
    let is_bound = match (driver, &*interfaces) {
        (None, _) => "bound to no driver".to_owned(),
        (Some(driver), []) => format!("bound to {driver}"),
        (Some(driver), names) => format!("bound to {driver}, as interface {}", names.join(", ")),
    };
    findings.bad(
        Code::PciDriver,
        format!("{address} is {is_bound}"),
        if is_running {
            "the running tsnd has lost its uplink, or the daemon that answers is another one"
        } else {
            "DPDK cannot take the device: tsnd does not start"
        },
        format!(
            "modprobe vfio-pci; driverctl set-override {address} vfio-pci, which lasts over boots, or dpdk-devbind.py -b \
             vfio-pci {address}"
        ),
    );
    for name in &interfaces {
        let uses = interface::uses(machine, name);
        if uses.is_empty() {
            continue;
        }
        findings.bad(
            Code::PciInUse,
            format!("{address} is {name}, which {}", uses.join(", ")),
            "bound to vfio-pci, the interface is gone, and with it all that; this session may be part of it",
            "give tsnd another device, or move addresses and routes to another interface first; `uplinks[0].device: \
             INTERFACE` leaves the device to the kernel",
        );
    }
}

/// Bound to vfio-pci: whether VFIO can hand it out.
fn vfio(machine: &Machine, address: &str, findings: &mut Findings) {
    iommu(machine, address, findings);
    let Some(group) = group(machine, address) else {
        return;
    };
    let file = match machine.exists(&format!("/dev/vfio/noiommu-{group}")) {
        true => format!("/dev/vfio/noiommu-{group}"),
        false => format!("/dev/vfio/{group}"),
    };
    if machine.exists(&file) {
        findings.fine(Code::NoVfio, format!("{address}: {file}"));
    } else {
        findings.bad(
            Code::NoVfio,
            format!("{address} is bound to vfio-pci, and there is no {file}"),
            "DPDK cannot open the device: tsnd does not start",
            "in a container, mount /dev/vfio of the node; on the node, modprobe vfio-pci and bind the device anew",
        );
    }
}

fn iommu(machine: &Machine, address: &str, findings: &mut Findings) {
    let no_iommu_mode = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
    let Some(group) = group(machine, address) else {
        if machine.text(no_iommu_mode).as_deref() == Some("Y") {
            let what = format!("there is no IOMMU for {address}, and VFIO is in no-IOMMU mode");
            reaches_all_memory(address, what, findings);
        } else {
            findings.bad(
                Code::PciNoIommu,
                format!("there is no IOMMU for {address}"),
                "vfio-pci does not take the device",
                format!(
                    "switch it on in the firmware and boot with intel_iommu=on or amd_iommu=on; in a virtual machine \
                     without one, echo Y > {no_iommu_mode}"
                ),
            );
        }
        return;
    };
    let members = format!("/sys/kernel/iommu_groups/{group}/devices");
    let name = machine.text(&format!("/sys/kernel/iommu_groups/{group}/name"));
    if name.as_deref() == Some("vfio-noiommu") {
        let what = format!("{address} is in VFIO's no-IOMMU mode");
        reaches_all_memory(address, what, findings);
        return;
    }
    findings.fine(Code::PciNoIommu, format!("{address}: IOMMU group {group}"));
    let mut in_the_way = Vec::new();
    for other in machine.names(&members) {
        let driver = machine.link_target(&format!("/sys/bus/pci/devices/{other}/driver"));
        if let Some(driver) = driver
            && other != address
            && !HARMLESS_IN_GROUP.contains(&&*driver)
        {
            in_the_way.push(format!("{other} ({driver})"));
        }
    }
    if in_the_way.is_empty() {
        findings.fine(
            Code::IommuGroupShared,
            format!("{address}: nothing else of its IOMMU group is the kernel's"),
        );
    } else {
        findings.bad(
            Code::IommuGroupShared,
            format!(
                "in IOMMU group {group} of {address} the kernel has {}",
                in_the_way.join(", ")
            ),
            "VFIO hands out a group as a whole, and refuses while the kernel has a part of it",
            "bind these to vfio-pci too if the node can do without them, or put the card into another slot",
        );
    }
}

fn reaches_all_memory(address: &str, what: String, findings: &mut Findings) {
    findings.bad(
        Code::PciNoIommuMode,
        what,
        format!("a wrong address in a ring of {address} overwrites any memory of the node; tsnd must run as root"),
        "use vfio-pci with an IOMMU where there is one",
    );
}

/// The number of a device's IOMMU group.
fn group(machine: &Machine, address: &str) -> Option<String> {
    machine.link_target(&format!("/sys/bus/pci/devices/{address}/iommu_group"))
}
