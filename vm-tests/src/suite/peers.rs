//! `tsnd` beside the kernel's own schedulers.

use crate::{Guest, Kernel, Test, TestFile, report};

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    // One CPU: with icount a thread that spins would keep another CPU from running for as long as no timer is due. So
    // the kernel must be able to take that CPU from whatever runs, as on a machine that is set up for real time.
    let all_cases = "in_all_cases";
    let file = || TestFile::of_vm_tests("peers");
    let guest = |file| {
        Guest::running(file)
            .cpus(1)
            .modules(&["sch_taprio", "sch_etf", "sch_mqprio", "sch_fq"])
            .kernel_argument("preempt=full")
            .kernel_argument("threadirqs")
            .kernel_argument("rcutree.use_softirq=0")
    };
    // Only there so far. On a real-time kernel the one CPU has one lock for all its softirqs, and the worker waits for whoever
    // the flood left with it; on 6.1 it was not measured.
    vec![
        Test::new(
            report::peers::TEST,
            "tsnd leaves no frame outside its gates, and is nearer to launch times than taprio and ETF, in six cases",
            guest(file().only(all_cases)),
        )
        .on(&[Kernel::Newest])
        .in_virtual_time()
        .limit_seconds(1_500),
        Test::new(
            "quick-peers",
            "the same at rest and across a change in mid-cycle",
            guest(file().without(all_cases)),
        )
        .on(&[Kernel::Newest])
        .quick_on(&[Kernel::Newest])
        .in_virtual_time()
        .limit_seconds(600),
    ]
}
