//! Devices that DPDK drives.

use crate::{Device, Guest, Kernel, Test, TestFile, Wire};

/// Of DPDK, 64 of them, and some for what its drivers and sockets need later.
const HUGEPAGES_2_MIB: u32 = 80;

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    let test = |name: &str, shows: &str, part| {
        Test::new(name, shows, guest(part))
            .in_virtual_time()
            .limit_seconds(900)
    };
    vec![
        test(
            "vfio-card",
            "DPDK's poll-mode driver sends by a whole igb on vfio-pci, punctually, and the kernel has it back",
            "the_whole_card",
        ),
        test(
            "vfio-function",
            "DPDK's poll-mode driver sends by a virtual function of an igb, while the kernel keeps the rest",
            "a_virtual_function",
        )
        .quick_on(&[Kernel::Newest]),
    ]
}

/// An igb behind an IOMMU, and an e1000e at the other end of its wire. One CPU, since two would share their time.
fn guest(part: &'static str) -> Guest {
    Guest::running(TestFile::of_vm_tests("vfio").only(part))
        .cpus(1)
        .hugepages(HUGEPAGES_2_MIB)
        .modules(&["igb", "igbvf", "e1000e", "vfio_pci", "vfio_iommu_type1"])
        .machine_option("kernel-irqchip=split")
        .kernel_argument("intel_iommu=on")
        .kernel_argument("iommu=pt")
        .qemu(&["-device", "intel-iommu,intremap=on,caching-mode=on"])
        // A card's functions are apart for the IOMMU only behind a port of their own.
        .qemu(&["-device", "pcie-root-port,id=pcie1,chassis=1,slot=1"])
        .device(Device::Nic {
            model: "igb",
            properties: "bus=pcie1",
            wire: Wire::Hub(1),
        })
        .device(Device::Nic {
            model: "e1000e",
            properties: "",
            wire: Wire::Hub(1),
        })
}
