//! The runner itself: each way in which a guest can fail, made to happen.

use crate::{Expected, Guest, Kernel, Program, Test};

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    let shell = |command| Guest::running(Program::Shell(command)).cpus(1);
    vec![
        Test::new(
            "fault-panic",
            "a guest whose kernel panics is told as such",
            shell("echo c > /proc/sysrq-trigger"),
        )
        .on(&Kernel::WITH_NICS)
        .quick_on(&[Kernel::Newest])
        .limit_seconds(120)
        .expecting(Expected::Panicked("sysrq")),
        Test::new(
            "fault-hang",
            "a guest that does not end is killed at its limit, and its last line is told",
            shell("echo waiting for nothing; sleep infinity"),
        )
        .on(&Kernel::WITH_NICS)
        .quick_on(&[Kernel::V6_1])
        .limit_seconds(60)
        .expecting(Expected::Hung("waiting for nothing")),
        Test::new(
            "fault-no-module",
            "a kernel that lacks a module that a test needs is told with the module's name",
            shell("true").modules(&["ovpn"]), // new in 6.16
        )
        .on(&[Kernel::V6_1, Kernel::V6_12, Kernel::V6_12Rt])
        .quick_on(&[Kernel::V6_1])
        .limit_seconds(120)
        .expecting(Expected::Refused("no module ovpn")),
        Test::new(
            "fault-no-files",
            "a kernel without the means to see the host's files is told as such",
            shell("true"),
        )
        .on(&[Kernel::V6_1Cloud, Kernel::V6_12Cloud, Kernel::NewestCloud])
        .expecting(Expected::Refused("no module 9pnet_virtio")),
        Test::new(
            "fault-no-device",
            "a device that QEMU has not is told in QEMU's words",
            shell("true").qemu(&["-device", "tsn-no-such-device"]),
        )
        .on(&Kernel::WITH_NICS)
        .quick_on(&[Kernel::V6_1])
        .limit_seconds(120)
        .expecting(Expected::Refused("tsn-no-such-device")),
    ]
}
