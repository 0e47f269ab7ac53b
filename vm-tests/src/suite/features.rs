//! What a kernel has, and what `tsnd` does without it.

use crate::{Guest, Kernel, Test, TestFile};

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    vec![programs()]
}

fn programs() -> Test {
    let guest = Guest::running(TestFile::of_programs());
    Test::new(
        "programs",
        "the kernel programs load, attach, stamp, redirect and are detached",
        guest,
    )
    .on(&Kernel::WITH_NICS)
    .quick_on(&[Kernel::V6_1])
    .in_time_of_work()
    .limit_seconds(1500)
}
