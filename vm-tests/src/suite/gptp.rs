//! Two nodes: joined by a wire, one with the clock of the other; and joined by a VLAN.

use crate::{Device, Guest, Kernel, Test, TestFile, Wire};

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    vec![clock(), vlan()]
}

/// In wall-clock time, since two guests have no virtual time in common.
fn clock() -> Test {
    let node = |test| {
        let card = Device::Nic {
            model: "virtio-net-pci",
            properties: "",
            wire: Wire::BetweenGuests,
        };
        Guest::running(TestFile::of_vm_tests("gptp").only(test))
            .modules(&["virtio_net"])
            .device(card)
    };
    // It is months wrong, so that nothing but gPTP can have set it.
    let follower = node("follower").qemu(&["-rtc", "base=2026-01-01"]);
    Test::new(
        "gptp",
        "the daemon follows ptp4l's clock: locked, holdover, lost, and what the gates then do",
        node("grandmaster"),
    )
    .and_guest(follower)
    // Not in the quick matrix: two guests with threads of their own keep both cores busy for three minutes, and QEMU's
    // emulation ended by an assertion of its own (`iotlb_to_section`) in one of five runs.
    .on(&Kernel::WITH_NICS)
    .limit_seconds(600)
}

fn vlan() -> Test {
    Test::new(
        "vlan",
        "tunnels and routes over a VLAN: the kernel's bytes, with the priority of the class in the tag",
        Guest::running(TestFile::of_vm_tests("vlan")),
    )
    .on(&Kernel::WITH_NICS)
    .quick_on(&[Kernel::V6_12Rt])
    .in_virtual_time()
    .once()
    .limit_seconds(600)
}
