//! What happens around a change of schedule.

use tsn_core::TaiTime;
use tsn_userspace::config::Configuration;
use tsn_userspace::plan::model::SpanKind::{self, AdminGateStates, CutCycle, Cycle, ExtendedCycle};
use tsn_userspace::plan::{Command, Plan, PlanError, take_running_base_time, terminal};

use crate::{ASSUMPTIONS, configuration, example, row, times};

const NOW: u64 = crate::NOW.as_nanos();

fn old() -> Configuration {
    example("examples/tsnd.yaml")
}

fn new() -> Configuration {
    example("examples/tsnd-500us.yaml")
}

fn change(old: &Configuration, new: &Configuration, at: u64) -> Plan {
    let command = Command {
        now: TaiTime::from_nanos(NOW),
        at: Some(TaiTime::from_nanos(at)),
    };
    Plan::of_change(old, new, command, 2, &ASSUMPTIONS).unwrap()
}

fn spans(plan: &Plan) -> Vec<(i64, i64, SpanKind)> {
    let spans = plan.spans.iter();
    spans
        .map(|span| (span.start_ns, span.end_ns, span.kind))
        .collect()
}

fn story(plan: &Plan) -> String {
    plan.change.as_ref().unwrap().story.join("\n")
}

#[test]
fn a_start_in_mid_cycle_cuts_it() {
    let plan = change(&old(), &new(), NOW + 10_380_000);
    let change = plan.change.as_ref().unwrap();
    assert_eq!(change.config_change_time_ns, Some(NOW + 10_380_000));
    assert_eq!(
        (change.last_cycle_ns, change.config_change_error),
        (Some(380_000), false)
    );
    assert_eq!(
        spans(&plan),
        [
            (-2_380_000, -1_380_000, Cycle),
            (-1_380_000, -380_000, Cycle),
            (-380_000, 0, CutCycle),
            (0, 500_000, Cycle),
            (500_000, 1_000_000, Cycle),
        ]
    );
    assert!(
        story(&plan).contains("The old list's cycle of 1 ms is cut after 380 µs"),
        "{}",
        story(&plan)
    );
    assert!(story(&plan).contains("Class 0 best-effort does not open in the cut cycle."));
    let video = times(&row(&plan, 5).windows);
    assert_eq!(video[2], (Some(-80_000), Some(0)), "cut: {video:?}");
    assert_eq!(video[3], (Some(150_000), Some(250_000)));
}

#[test]
fn a_start_shortly_after_a_cycle_extends_it() {
    let plan = change(&old(), &new(), NOW + 10_080_000);
    assert_eq!(spans(&plan)[2], (-1_080_000, 0, ExtendedCycle));
    assert_eq!(plan.change.as_ref().unwrap().last_cycle_ns, Some(1_080_000));
    assert!(
        story(&plan).contains("is extended from 1 ms to 1.08 ms"),
        "{}",
        story(&plan)
    );
    let best_effort = times(&row(&plan, 0).windows);
    assert_eq!(
        best_effort[2],
        (Some(-580_000), Some(0)),
        "held: {best_effort:?}"
    );
}

#[test]
fn a_command_in_the_cycle_that_it_cuts_cannot_extend_the_one_before() {
    let command = Command {
        now: TaiTime::from_nanos(NOW + 20_000),
        at: Some(TaiTime::from_nanos(NOW + 80_000)),
    };
    let plan = Plan::of_change(&old(), &new(), command, 2, &ASSUMPTIONS).unwrap();
    assert_eq!(spans(&plan)[2], (-80_000, 0, CutCycle));
    assert!(
        story(&plan).contains("the command comes too late"),
        "{}",
        story(&plan)
    );
    assert_eq!(
        times(&row(&plan, 7).windows)[2],
        (Some(-80_000), Some(150_000)),
        "one across the change"
    );
}

#[test]
fn a_start_at_the_end_of_a_cycle_leaves_it_whole() {
    let plan = change(&old(), &new(), NOW + 10_000_000);
    let kinds: Vec<SpanKind> = plan.spans.iter().map(|span| span.kind).collect();
    assert_eq!(kinds, [Cycle; 4]);
    assert_eq!(plan.start_ns(), -2_000_000);
    assert!(
        story(&plan).contains("last cycle is whole: 1 ms"),
        "{}",
        story(&plan)
    );
}

#[test]
fn a_past_base_time_starts_with_the_next_cycle_and_counts_an_error() {
    // 130 µs before the command: the next start of a cycle of 500 µs is 370 µs after it.
    let plan = change(&old(), &new(), NOW - 130_000);
    let change = plan.change.as_ref().unwrap();
    assert_eq!(change.config_change_time_ns, Some(NOW + 370_000));
    assert!(change.config_change_error);
    assert!(
        story(&plan).contains("ConfigChangeError counts one up"),
        "{}",
        story(&plan)
    );
    assert_eq!(spans(&plan)[2], (-370_000, 0, CutCycle));
}

#[test]
fn without_an_old_list_the_admin_gate_states_stand_until_the_change() {
    let mut idle = old();
    idle.uplinks[0].gate_parameters.gate_enabled = false;
    let command = Command {
        now: TaiTime::from_nanos(NOW + 1_000),
        at: Some(TaiTime::from_nanos(NOW + 7_000)),
    };
    let plan = Plan::of_change(&idle, &new(), command, 2, &ASSUMPTIONS).unwrap();
    assert_eq!(spans(&plan)[0], (-500_000, 0, AdminGateStates));
    assert_eq!(plan.change.as_ref().unwrap().last_cycle_ns, None);
    assert!(
        story(&plan).contains("No list runs before it"),
        "{}",
        story(&plan)
    );
    // All are open up to the change; video is closed from then on.
    assert_eq!(times(&row(&plan, 5).windows)[0], (None, Some(0)));
    assert_eq!(times(&row(&plan, 7).windows)[0], (None, Some(150_000)));
}

#[test]
fn an_old_list_that_has_not_started_is_replaced() {
    let mut late = old();
    late.uplinks[0].gate_parameters.admin_base_time =
        tsn_userspace::config::BaseTime::from_ns(NOW + 50_000_000);
    let plan = change(&late, &new(), NOW + 10_000_000);
    assert_eq!(spans(&plan)[0].2, AdminGateStates);
    assert!(
        story(&plan).contains("The old list has not started when the command comes"),
        "{}",
        story(&plan)
    );
}

#[test]
fn the_new_admin_gate_states_hold_from_the_command_on() {
    let entry = "admin-control-list:
        - { gate-states-value: [0], time-interval-value: 1ms }";
    let classes = ["{ number: 7 }", "{ number: 6 }"];
    let old = configuration(&classes, "admin-gate-states: [6]");
    let new = configuration(&classes, &format!("admin-gate-states: [7]\n{entry}"));
    let command = Command {
        now: TaiTime::from_nanos(NOW),
        at: Some(TaiTime::from_nanos(NOW + 700_000)),
    };
    let plan = Plan::of_change(&old, &new, command, 2, &ASSUMPTIONS).unwrap();
    // As the picture has it.
    assert_eq!(
        times(&row(&plan, 6).windows),
        [(None, Some(-700_000))],
        "the old ones, up to the command"
    );
    assert_eq!(
        times(&row(&plan, 7).windows),
        [(Some(-700_000), Some(0))],
        "the new ones, up to the change"
    );
    assert!(
        story(&plan).ends_with(
            "No list runs before it. The gates stand as the old admin-gate-states says until the command, and as the new \
             one says from the command on until the change."
        ),
        "{}",
        story(&plan)
    );
}

#[test]
fn the_old_list_lies_as_the_daemon_runs_it() {
    let mut old = old();
    let mut running = old.uplinks[0].gate_parameters.clone();
    assert_eq!(take_running_base_time(&mut old, &running), None);
    running.admin_base_time = tsn_userspace::config::BaseTime::from_ns(300_000);
    let note = take_running_base_time(&mut old, &running).unwrap();
    assert!(
        note.contains("by the base time that the daemon was given, 0.000300000 s"),
        "{note}"
    );
    let plan = change(&old, &new(), NOW + 10_380_000);
    assert_eq!(
        plan.change.unwrap().last_cycle_ns,
        Some(1_080_000),
        "extended by 80 µs"
    );
    // Other gates: the file's own base time stays.
    running.admin_base_time = tsn_userspace::config::BaseTime::from_ns(500_000);
    running.admin_control_list.pop();
    let note = take_running_base_time(&mut old, &running).unwrap();
    assert!(note.contains("other gate parameters"), "{note}");
    assert_eq!(
        old.uplinks[0].gate_parameters.admin_base_time.instant(),
        TaiTime::from_nanos(300_000)
    );
}

#[test]
fn cycles_that_are_too_narrow_to_see_are_told() {
    let mut slow = new();
    slow.uplinks[0].gate_parameters.admin_cycle_time = None;
    for entry in &mut slow.uplinks[0].gate_parameters.admin_control_list {
        entry.time_interval_value.ns *= 666;
    }
    let plan = change(&old(), &slow, NOW + 10_000_000);
    let text = terminal::render(&plan, 40, false);
    assert!(
        text.replace('\n', " ")
            .contains("narrower, and not to be seen: old"),
        "{text}"
    );
    assert!(!terminal::render(&change(&old(), &new(), NOW), 40, false).contains("narrower"));
}

#[test]
fn without_a_new_list_the_gates_stand_from_the_command_on() {
    let none = configuration(&["{ number: 7, name: control }"], "admin-gate-states: 0x80");
    let command = Command {
        now: TaiTime::from_nanos(NOW + 250_000),
        at: None,
    };
    let plan = Plan::of_change(&old(), &none, command, 1, &ASSUMPTIONS).unwrap();
    let change = plan.change.as_ref().unwrap();
    assert_eq!(
        (change.at_ns, change.config_change_time_ns),
        (NOW + 250_000, None)
    );
    assert_eq!(
        spans(&plan),
        [
            (-1_250_000, -250_000, Cycle),
            (-250_000, 0, CutCycle),
            (0, 1_000_000, AdminGateStates),
        ]
    );
    // Open when the command comes, and for good from then on.
    assert_eq!(times(&row(&plan, 7).windows)[1], (Some(-250_000), None));
    assert!(
        plan.notes[0].contains("tsnctl apply refuses that")
            && plan.notes[0]
                .contains("drawn with the new file's speed, classes and stall-threshold"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn a_start_in_some_centuries_is_refused() {
    let command = Command {
        now: TaiTime::from_nanos(NOW),
        at: Some(TaiTime::MAX),
    };
    let refused = Plan::of_change(&old(), &new(), command, 2, &ASSUMPTIONS);
    assert!(
        matches!(refused, Err(PlanError::TooFar { .. })),
        "{refused:?}"
    );
}
