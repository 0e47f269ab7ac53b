//! Network cards over AF_XDP: those that have XDP in their driver, and one and a virtual function that have not.

use crate::{Device, Guest, Kernel, Test, TestFile, Wire};

/// What a virtio device needs for zero-copy: that its driver maps the memory.
const BEHIND_IOMMU: &str = "iommu_platform=on,disable-legacy=on";

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    let (copied, zero_copy) = ("a_card_sends", "without_a_copy");
    vec![
        card("igb", "igb", "", copied).quick_on(&[Kernel::Newest]),
        card("igb-zero-copy", "igb", "", zero_copy),
        card("virtio-net", "virtio-net-pci", BEHIND_IOMMU, copied),
        card(
            "virtio-net-zero-copy",
            "virtio-net-pci",
            BEHIND_IOMMU,
            zero_copy,
        ),
        card("e1000e", "e1000e", "", copied),
        function(),
    ]
}

/// One CPU: two would take turns, and the moment of arrival would be that of the far end's turn. Not twice, since TCP beside
/// the talkers takes a course of its own each time.
fn card(name: &str, model: &'static str, properties: &'static str, test: &'static str) -> Test {
    let of = |model, properties| Device::Nic {
        model,
        properties,
        wire: Wire::Hub(0),
    };
    let guest = Guest::running(TestFile::of_vm_tests("nic").only(test))
        .cpus(1)
        .kernel_argument("preempt=full")
        .modules(&["igb", "virtio_net", "e1000e"])
        .device(of(model, properties))
        .device(of("e1000e", ""));
    Test::new(
        &format!("nic-{name}"),
        "a card sends at launch times, inside gates, and keeps serving the kernel, in the modes that the daemon tells",
        guest,
    )
    .on(&Kernel::WITH_NICS)
    .in_virtual_time()
    .once()
    .limit_seconds(600)
}

/// Not on kernels with real-time preemption: there the card's interrupt is a thread that waits for the softirqs of its CPU,
/// which igbvf holds back while it polls for the answer that this thread gives, and the guest has one CPU.
fn function() -> Test {
    let of = |model, properties| Device::Nic {
        model,
        properties,
        wire: Wire::Hub(0),
    };
    let guest = Guest::running(TestFile::of_vm_tests("nic").only("a_virtual_function"))
        .cpus(1)
        .kernel_argument("preempt=full")
        .modules(&["igb", "igbvf", "e1000e"])
        // As a device of the root complex, QEMU's igb would have functions whose registers the guest does not reach.
        .qemu(&["-device", "pcie-root-port,id=pcie1,chassis=1,slot=1"])
        .device(of("igb", "bus=pcie1"))
        .device(of("e1000e", ""));
    Test::new(
        "nic-igb-function",
        "a virtual function (SR-IOV) sends at launch times and keeps serving the kernel, by generic XDP",
        guest,
    )
    .on(&[Kernel::V6_1, Kernel::V6_12, Kernel::Newest])
    .quick_on(&[Kernel::Newest])
    .in_virtual_time()
    .once()
    .limit_seconds(600)
}
