//! Virtual machines as pods.

use crate::{Guest, Kernel, Program, Test, TestFile};

/// The guest's part.
const PROGRAM: &str = concat!(
    "exec python3 - <<'END'\n",
    include_str!("vhost_user/guest.py"),
    "END\n"
);

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    let guest = Guest::running(Program::Shell(PROGRAM))
        .cpus(1)
        .memory_mib(1024)
        .kernel_argument("ipv6.disable=1") // its unasked frames match no stream
        .modules(&["virtio_net"]);
    let shows =
        "a guest's virtio card is a pod of the host's tsnd: gates, launch times and delivery";
    vec![
        Test::new("vhost-user", shows, guest)
            .from_host(TestFile::of_vm_tests("vhost_user_vm"))
            .on(&Kernel::WITH_NICS)
            .quick_on(&[Kernel::Newest]),
    ]
}
