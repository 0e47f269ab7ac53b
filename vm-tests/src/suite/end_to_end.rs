//! The files of `tests/tests`, unchanged.

use crate::{Guest, Kernel, Test, TestFile};

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    vec![
        Test::new(
            "end-to-end-launch",
            "frames leave the daemon at their launch times",
            Guest::running(TestFile::end_to_end("launch")),
        )
        .on(&Kernel::ALL)
        .quick_on(&Kernel::QUICK)
        .limit_seconds(400),
    ]
}
