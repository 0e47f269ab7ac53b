//! What a kernel has, and what `tsnd` does without it.

use crate::{Guest, Kernel, Test, TestFile, report::kernels};

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    let mut tests = programs();
    tests.push(features());
    tests
}

fn features() -> Test {
    let guest = Guest::running(TestFile::of_vm_tests("features"));
    Test::new(
        kernels::TEST,
        "what the kernel has of what tsnd uses, by trying it, and that tsnd takes it for what it is",
        guest,
    )
    .on(&Kernel::WITH_NICS)
    .quick_on(&Kernel::QUICK)
    .in_time_of_work()
    .limit_seconds(300)
}

/// The tests of the kernel programs, by their modules: each takes minutes in a guest.
fn programs() -> Vec<Test> {
    let parts = [
        (
            "forward",
            "frames from the uplink come to overlay pods by XDP",
        ),
        (
            "frames",
            "frames are stamped, redirected or left to the kernel",
        ),
        (
            "lifecycle",
            "programs are attached, adopted, lost, detached",
        ),
    ];
    let test = |(part, shows)| {
        let guest = Guest::running(TestFile::of_programs().only(part));
        Test::new(&format!("programs-{part}"), shows, guest)
            .on(&Kernel::WITH_NICS)
            .in_time_of_work()
            .limit_seconds(1500)
    };
    parts.map(test).into()
}
