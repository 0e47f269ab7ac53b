//! Two nodes that a VLAN joins.

use crate::{Guest, Kernel, Test, TestFile};

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    vec![vlan()]
}

fn vlan() -> Test {
    Test::new(
        "vlan",
        "tunnels and routes over a VLAN: the kernel's bytes, with the priority of the class in the tag",
        Guest::running(TestFile::of_vm_tests("vlan")),
    )
    .on(&Kernel::ALL)
    .quick_on(&[Kernel::V6_12Rt])
    .limit_seconds(600)
}
