//! The figures of a list that repeats.

use tsn_userspace::config::Configuration;
use tsn_userspace::plan::model::{Gate, Window};
use tsn_userspace::plan::{Plan, PlanError};

use crate::{ASSUMPTIONS, NOW, configuration, example, row, times};

#[test]
fn the_example_has_its_windows_guard_bands_and_spare_times() {
    let plan = Plan::of(&example("examples/tsnd.yaml"), 1, NOW, &ASSUMPTIONS).unwrap();
    assert_eq!((plan.start_ns(), plan.end_ns()), (0, 1_000_000));
    let control = row(&plan, 7);
    // 1500 bytes, header, FCS, preamble and gap: 1538 bytes of 8 ns; and a tag where the streams have one.
    assert_eq!(control.longest_frame.wire_bytes, 1_538);
    assert_eq!(control.longest_frame.wire_time_ns, 12_304);
    assert_eq!(row(&plan, 5).longest_frame.wire_bytes, 1_542);
    assert_eq!(
        control.windows,
        [Window {
            open_ns: Some(0),
            close_ns: Some(300_000),
            latest_start_ns: Some(300_000 - 10_000 - 12_304),
            spare_ns: Some(300_000 - 5_000 - 10_000 - 12_304),
        }]
    );
    assert_eq!(control.figures.guard_band_ns, Some(12_304));
    assert_eq!(control.figures.open_share, 0.3);
    assert_eq!(control.streams, ["controller/loop"]);
    assert_eq!(
        times(&row(&plan, 5).windows),
        [(Some(300_000), Some(500_000))]
    );
    let others = row(&plan, 6);
    assert_eq!(
        (others.numbers().as_str(), others.figures.gate),
        ("6, 4-1", Gate::NeverOpen)
    );
    assert!(plan.notes.is_empty(), "{:?}", plan.notes);
}

#[test]
fn the_guard_band_is_the_wire_time_of_the_longest_frame() {
    let gates = "admin-control-list:
        - { gate-states-value: 0xe0, time-interval-value: 500us }
        - { gate-states-value: 0x01, time-interval-value: 500us }";
    let classes = [
        "{ number: 7, queue-max-sdu: 10 }",
        "{ number: 6, queue-max-sdu: 46 }",
        "{ number: 5, queue-max-sdu: 9000 }",
    ];
    let mut configuration = configuration(&classes, gates);
    let guard_bands = |configuration: &Configuration| {
        let plan = Plan::of(configuration, 1, NOW, &ASSUMPTIONS).unwrap();
        [7, 6, 5, 0].map(|class| row(&plan, class).figures.guard_band_ns.unwrap())
    };
    // Padded to 60 bytes; 46 + 14 + 24, just so; 9000 + 14 + 24; the MTU.
    assert_eq!(
        guard_bands(&configuration),
        [84 * 8, 84 * 8, 9_038 * 8, 1_538 * 8]
    );
    configuration.uplinks[0].link_speed = Some(100);
    assert_eq!(guard_bands(&configuration)[3], 1_538 * 80);
}

#[test]
fn a_window_across_the_end_of_the_cycle_is_one_and_has_no_guard_band_there() {
    let gates = "admin-control-list:
        - { gate-states-value: [7], time-interval-value: 100us }
        - { gate-states-value: [0], time-interval-value: 700us }
        - { gate-states-value: [7], time-interval-value: 200us }";
    let plan = Plan::of(
        &configuration(&["{ number: 7 }"], gates),
        1,
        NOW,
        &ASSUMPTIONS,
    )
    .unwrap();
    let seven = row(&plan, 7);
    assert_eq!(
        times(&seven.windows),
        [
            (Some(-200_000), Some(100_000)),
            (Some(800_000), Some(1_100_000))
        ]
    );
    assert_eq!(
        seven.windows[1].latest_start_ns,
        Some(1_100_000 - 10_000 - 12_304)
    );
    assert_eq!(seven.figures.windows, 1);
    assert_eq!(seven.figures.open_ns, 300_000);
    assert_eq!(seven.figures.shortest_window_ns, Some(300_000));
    assert_eq!(
        times(&row(&plan, 0).windows),
        [(Some(100_000), Some(800_000))]
    );
}

#[test]
fn a_gate_that_never_closes_has_no_guard_band_and_one_that_never_opens_no_window() {
    let gates = "admin-control-list:
        - { gate-states-value: [7, 3], time-interval-value: 100us }
        - { gate-states-value: [7], time-interval-value: 100us }";
    let classes = ["{ number: 7 }", "{ number: 5, name: forgotten }"];
    let plan = Plan::of(&configuration(&classes, gates), 1, NOW, &ASSUMPTIONS).unwrap();
    let always = &row(&plan, 7).figures;
    assert_eq!(
        (always.gate, always.windows, always.open_share),
        (Gate::AlwaysOpen, 0, 1.0)
    );
    assert_eq!((always.guard_band_ns, always.spare_ns), (None, None));
    assert_eq!(times(&row(&plan, 7).windows), [(None, None)]);
    let never = row(&plan, 5);
    assert_eq!(
        (never.figures.gate, never.figures.open_ns),
        (Gate::NeverOpen, 0)
    );
    assert!(never.windows.is_empty());
    assert!(
        plan.notes[0].starts_with("class 5 forgotten never opens"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn each_stream_takes_a_frame_from_the_spare_time() {
    let mut configuration = example("examples/tsnd.yaml");
    let mut second = configuration.pods[0].streams[0].clone();
    second.name = "second".to_owned();
    configuration.pods[0].streams.push(second);
    let plan = Plan::of(&configuration, 1, NOW, &ASSUMPTIONS).unwrap();
    assert_eq!(
        row(&plan, 7).figures.spare_ns,
        Some(300_000 - 15_000 - 2 * 12_304)
    );
}

#[test]
fn frames_that_fit_into_no_window_and_entries_that_never_run_are_told() {
    let gates = "admin-cycle-time: 120us
        admin-control-list:
        - { gate-states-value: [7], time-interval-value: 20us }
        - { gate-states-value: [0], time-interval-value: 100us }
        - { gate-states-value: [5], time-interval-value: 100us }";
    let plan = Plan::of(
        &configuration(&["{ number: 7 }"], gates),
        1,
        NOW,
        &ASSUMPTIONS,
    )
    .unwrap();
    assert_eq!(
        row(&plan, 7).figures.spare_ns,
        Some(20_000 - 15_000 - 12_304)
    );
    assert!(
        plan.notes[0].starts_with("of the 3 entries the last never runs: the cycle ends before it"),
        "{:?}",
        plan.notes
    );
    assert!(
        plan.notes[1].contains("a frame of 1500 bytes needs a window of 27.304 µs"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn the_last_entry_holds_until_a_longer_cycle_ends() {
    let gates = "admin-cycle-time: 1ms
        admin-control-list:
        - { gate-states-value: [7], time-interval-value: 100us }
        - { gate-states-value: [0], time-interval-value: 100us }";
    let plan = Plan::of(
        &configuration(&["{ number: 7 }"], gates),
        1,
        NOW,
        &ASSUMPTIONS,
    )
    .unwrap();
    assert_eq!(
        times(&row(&plan, 0).windows),
        [(Some(100_000), Some(1_000_000))]
    );
}

#[test]
fn cycles_of_a_fraction_of_a_nanosecond_follow_each_other() {
    let gates = "admin-cycle-time: { numerator: 1, denominator: 3000 }
        admin-control-list:
        - { gate-states-value: [7], time-interval-value: 100us }
        - { gate-states-value: [0], time-interval-value: 100us }";
    let plan = Plan::of(
        &configuration(&["{ number: 7 }"], gates),
        3,
        NOW,
        &ASSUMPTIONS,
    )
    .unwrap();
    let ends: Vec<i64> = plan.spans.iter().map(|span| span.end_ns).collect();
    // From the cycle that starts at 333,334 (rounded up) on.
    assert_eq!(ends, [333_333, 666_666, 1_000_000]);
    let opens = row(&plan, 7)
        .windows
        .iter()
        .map(|window| window.open_ns.unwrap());
    assert_eq!(opens.collect::<Vec<_>>(), [0, 333_333, 666_666]);
}

#[test]
fn a_list_that_starts_later_is_told_with_what_holds_until_then() {
    let notes = |base_time: u64, states: &str| {
        let gates = format!(
            "admin-base-time: {base_time}
            admin-gate-states: {states}
            admin-control-list:
            - {{ gate-states-value: [0], time-interval-value: 1ms }}"
        );
        let configuration = configuration(&["{ number: 0 }"], &gates);
        Plan::of(&configuration, 1, NOW, &ASSUMPTIONS)
            .unwrap()
            .notes
    };
    let now = NOW.as_nanos();
    assert!(notes(now, "[]").is_empty());
    let closed = notes(4_000_000_000_000_000_000, "[]").concat();
    for words in [
        "4000000000.000000000 s TAI, 126 years from now",
        "all are closed, and nothing",
    ] {
        assert!(closed.contains(words), "{closed}");
    }
    let some = notes(now + 5_000_000_000, "[7, 5]").concat();
    assert!(
        some.contains("5 s from now") && some.contains("open for 5, 7 alone"),
        "{some}"
    );
}

#[test]
fn without_a_list_the_admin_gate_states_are_drawn() {
    let plan = Plan::of(
        &configuration(&["{ number: 7 }"], "admin-gate-states: 0x80"),
        4,
        NOW,
        &ASSUMPTIONS,
    )
    .unwrap();
    assert_eq!(plan.list, None);
    assert_eq!(plan.spans.len(), 1);
    assert_eq!(row(&plan, 7).figures.gate, Gate::AlwaysOpen);
    assert_eq!(row(&plan, 0).figures.gate, Gate::NeverOpen);
    assert_eq!(
        plan.notes,
        ["no list runs: the gates stand as admin-gate-states says"]
    );
}

#[test]
fn a_speed_that_the_file_does_not_give_is_told() {
    let mut configuration = example("examples/tsnd.yaml");
    configuration.uplinks[0].link_speed = None;
    let plan = Plan::of(&configuration, 1, NOW, &ASSUMPTIONS).unwrap();
    assert_eq!(
        plan.notes,
        ["the file gives no link-speed; reckoned with 1 Gb/s"]
    );
}

#[test]
fn cycles_of_centuries_are_refused() {
    let gates = "admin-control-list:
        - { gate-states-value: [7], time-interval-value: 4000000000s }";
    let refused = Plan::of(
        &configuration(&["{ number: 7 }"], gates),
        1,
        NOW,
        &ASSUMPTIONS,
    );
    assert!(
        matches!(refused, Err(PlanError::TooLong { cycles: 1, .. })),
        "{refused:?}"
    );
    let message = refused.unwrap_err().to_string();
    assert!(
        message.starts_with("a cycle of 4000000000 s, with"),
        "{message}"
    );
}
