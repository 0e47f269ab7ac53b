//! What is told of the worker's core, in figures and in ways out.

use std::os::unix::fs::PermissionsExt;

use super::super::{Code, Finding, Severity};
use super::fake::Scenario;
use super::{bad, of};

fn told(scenario: Scenario, code: Code) -> Finding {
    of(&scenario.examine(), code).clone()
}

const MOVED_HERE: &str =
    "77 (moved) S 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 3 50 1 0\n";

#[test]
fn a_thread_that_moved_here_is_not_charged_with_what_it_ran_elsewhere() {
    let mut scenario = Scenario::healthy();
    scenario.thread(77, 77, "moved", 2, 0);
    scenario.meanwhile(&[
        ("/proc/77/task/77/stat", MOVED_HERE),
        ("/proc/77/task/77/schedstat", "199000000 0 2\n"),
    ]);
    assert!(!bad(&scenario.examine()).contains(&Code::CpuCompetitors));
}

#[test]
fn competitors_have_no_more_of_the_core_than_there_is_and_are_told_by_their_number() {
    let mut scenario = Scenario::healthy();
    scenario.thread(77, 78, "greedy", 3, 0);
    scenario.thread(79, 79, "late", 3, 0);
    scenario.meanwhile(&[
        ("/proc/77/task/78/schedstat", "201279000 0 2\n"),
        ("/proc/79/task/79/schedstat", "50000000 0 2\n"),
    ]);
    let finding = told(scenario, Code::CpuCompetitors);
    assert!(
        finding.what.contains("greedy (thread 78) 200000 us"),
        "{finding:?}"
    );
    assert!(finding.why.unwrap().contains("for 200000 us of 200 ms"));
    let mend = finding.mend.unwrap();
    assert!(mend.contains("taskset -pc OTHER-CORES 78"), "{mend}");
}

#[test]
fn nobody_is_told_to_move_a_thread_of_the_kernel() {
    let mut scenario = Scenario::healthy();
    let stat = "/proc/16/task/16/stat";
    let there = scenario.root.path().join(&stat[1..]);
    let here = std::fs::read_to_string(there)
        .unwrap()
        .replace(" 17 0 0", " 17 3 0");
    scenario.write(stat, &here);
    scenario.meanwhile(&[("/proc/16/task/16/schedstat", "9000000 0 2\n")]);
    let finding = told(scenario, Code::CpuCompetitors);
    assert!(finding.what.contains("kernel, thread 16"), "{finding:?}");
    assert!(!finding.mend.unwrap().contains("taskset"));
}

#[test]
fn the_worker_itself_is_no_competitor() {
    let mut scenario = Scenario::healthy();
    scenario.meanwhile(&[
        ("/proc/stat", "cpu3 21 2 3 4 5 6 7 0 9 0\n"),
        ("/proc/4000001/task/4000002/schedstat", "200001000 0 2\n"),
    ]);
    assert!(bad(&scenario.examine()).is_empty());
}

#[test]
fn the_kernels_housekeeping_is_no_competitor() {
    let mut scenario = Scenario::healthy();
    scenario.thread(77, 77, "rare", 3, 0);
    scenario.meanwhile(&[("/proc/77/task/77/schedstat", "90000 0 2\n")]);
    assert!(bad(&scenario.examine()).is_empty());
}

#[test]
fn the_fair_server_of_an_undisturbed_core_is_no_fault() {
    let scenario = Scenario::healthy();
    let runtime = "/sys/kernel/debug/sched/fair_server/cpu3/runtime";
    scenario.write(runtime, "50000000\n");
    let finding = told(scenario, Code::FairServer);
    assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
}

#[test]
fn nobody_is_told_to_write_where_a_managed_interrupt_goes() {
    let mend = |mode| {
        let scenario = Scenario::healthy();
        scenario.write(
            "/proc/interrupts",
            "  CPU0 CPU3\n 24: 7 12 PCI-MSI 1-edge nvme0q1\n",
        );
        scenario.write("/proc/irq/24/effective_affinity_list", "3\n");
        let list = scenario.root.path().join("proc/irq/24/smp_affinity_list");
        std::fs::set_permissions(list, PermissionsExt::from_mode(mode)).unwrap();
        told(scenario, Code::CpuInterrupts).mend.unwrap()
    };
    assert!(mend(0o644).contains("/proc/irq/24/smp_affinity_list"));
    let managed = mend(0o444);
    assert!(!managed.contains("smp_affinity_list"), "{managed}");
    assert!(managed.contains("isolcpus=managed_irq"), "{managed}");
}

#[test]
fn what_a_shared_core_costs_depends_on_the_workers_policy() {
    let why = |policy: &str| {
        let scenario = Scenario::healthy();
        let stat = "/proc/4000001/task/4000002/stat";
        let path = scenario.root.path().join(&stat[1..]);
        let text = std::fs::read_to_string(path).unwrap();
        scenario.write(stat, &text.replace(" 50 1 0", policy));
        scenario.write("/sys/devices/system/cpu/isolated", "2\n");
        told(scenario, Code::CpuNotIsolated).why.unwrap()
    };
    assert!(why(" 50 1 0").contains("robbed of 50 ms"));
    assert!(why(" 0 0 0").contains("without real-time policy"));
}

#[test]
fn without_a_configuration_the_daemons_default_limits_the_mtu() {
    let mut scenario = Scenario::healthy();
    scenario.subject.configuration = None;
    let finding = told(scenario, Code::MtuTooLarge);
    assert_eq!(finding.what, "eth1: MTU 1500, of at most 1770");
}
