//! Findings about gates, and about frames in their windows.

use tsn_core::{
    CycleTime, GateControlEntry, GateStates, Nanoseconds, Schedule, ScheduleParameters, TaiTime,
    TrafficClass, Window,
};

use super::super::windows::windows;
use super::*;

#[test]
fn gates_that_never_open_are_found() {
    let warns = |line: &str, changes: &[(&str, &str)]| {
        finds(
            Severity::Warning,
            "gate-never-opens",
            line,
            "its gate never opens",
            changes,
        );
    };
    warns("number: 5", &[("value: [video]", "value: [rest]")]);
    // While the list does not run, the gates stand as admin-gate-states says.
    let list = [
        ("gate-enabled: true", "admin-gate-states: [control, rest]"),
        ("admin-cycle-time: 1ms", "gate-enabled: false"),
    ];
    let report = check(&changed(&list), &environment());
    let codes: Vec<&str> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["gate-never-opens", "list-disabled"]);
}

#[test]
fn lists_that_do_not_fill_the_cycle_are_found() {
    use Severity::{Note, Warning};
    let cut = [("admin-cycle-time: 1ms", "admin-cycle-time: 0.9ms")];
    finds(
        Warning,
        "entry-cut",
        "[rest]",
        "entry 2 runs for 400 µs of its 500 µs",
        &cut,
    );
    let held = [("admin-cycle-time: 1ms", "admin-cycle-time: 1.5ms")];
    finds(
        Warning,
        "entry-held",
        "[rest]",
        "entry 2 is held for 500 µs beyond its 500 µs",
        &held,
    );
    // A third of a millisecond for each entry: the rounding is no finding.
    let third = [
        (
            "admin-cycle-time: 1ms",
            "admin-cycle-time: { numerator: 1, denominator: 1500 }",
        ),
        ("300us", "222222"),
        ("200us", "222222"),
        ("500us", "222222"),
    ];
    assert_eq!(check(&changed(&third), &environment()).findings, []);
    let never = [(
        "value: [rest], time-interval-value: 500us }",
        "value: [rest], time-interval-value: 500us }\n        - { gate-states-value: [control], time-interval-value: 1us }",
    )];
    finds(
        Warning,
        "entries-never-run",
        "1us",
        "entry 3 never runs: the cycle is 1 ms",
        &never,
    );
    let extension = [("extension: 0", "extension: 1.1ms")];
    finds(
        Warning,
        "extension-exceeds-cycle",
        "extension",
        "by 1.1 ms",
        &extension,
    );
    let disabled = [("gate-enabled: true", "gate-enabled: false")];
    finds(
        Note,
        "list-disabled",
        "gate-enabled",
        "does not run",
        &disabled,
    );
}

#[test]
fn base_times_that_are_hardly_meant_are_found() {
    use Severity::{Note, Warning};
    let finds = |severity, code, message: &str, base: &str| {
        let change = [("admin-base-time: 0", base)];
        finds(severity, code, "admin-base-time", message, &change);
    };
    let at = |seconds: u64| format!("admin-base-time: {{ seconds: {seconds} }}");
    finds(
        Note,
        "base-time-past",
        "100.000 s ago; the list starts at the next whole cycle, 1800000000.001000000 s TAI",
        &at(NOW_S - 100),
    );
    finds(Warning, "base-time-utc", "20.000 s ago", &at(NOW_S - 20));
    finds(Warning, "base-time-far", "in 2.0 hours", &at(NOW_S + 7_200));
    finds(
        Warning,
        "base-time-unit",
        "as seconds",
        &format!("admin-base-time: {NOW_S}"),
    );
    finds(
        Warning,
        "base-time-unit",
        "as microseconds",
        &format!("admin-base-time: {NOW_S}000001"),
    );
    let near = changed(&[("admin-base-time: 0", &at(NOW_S + 60))]);
    assert_eq!(check(&near, &environment()).findings, []);
}

#[test]
fn frames_that_do_not_fit_are_found() {
    use Severity::{Note, Warning};
    // 1514 bytes and 24 of overhead: 12.304 µs; with 5 µs of lead and 10 µs of stall-threshold 27.304 µs.
    let window = |us: &str| [("300us", us.to_owned()), ("500us", "800us".to_owned())];
    let finds_with = |severity, code, line: &str, message: &str, us: &str, more: (&str, &str)| {
        let [first, second] = window(us);
        let cycle = ("admin-cycle-time: 1ms\n      ", "");
        let changes = [
            (first.0, first.1.as_str()),
            (second.0, second.1.as_str()),
            cycle,
            more,
        ];
        finds(severity, code, line, message, &changes);
    };
    let none = ("eth1", "eth1");
    let never = "frame-never-fits";
    finds_with(
        Warning,
        never,
        "number: 7",
        "needs 27.304 µs (1514 bytes at 1000 Mb/s: 12.304 µs",
        "27.303us",
        none,
    );
    finds_with(
        Warning,
        never,
        "number: 7",
        "more than 1513 bytes are dropped",
        "27.303us",
        none,
    );
    finds_with(
        Warning,
        never,
        "number: 7",
        "all its frames are dropped",
        "15us",
        none,
    );
    let spare = "window-within-clock-error";
    finds_with(
        Warning,
        spare,
        "number: 7",
        "0 ns are to spare",
        "27.304us",
        none,
    );
    finds_with(
        Warning,
        spare,
        "number: 7",
        "999 ns are to spare",
        "28.303us",
        none,
    );
    let limit = ("name: control", "name: control, queue-max-sdu: 100");
    finds_with(
        Warning,
        never,
        "number: 7",
        "needs 16.104 µs (114 bytes",
        "16.103us",
        limit,
    );
    // A tag takes another 4 bytes.
    let tagged = ("udp-destination-port: 5001-5009", "vlan-id: 2");
    finds_with(
        Warning,
        never,
        "number: 7",
        "needs 27.336 µs (1518 bytes",
        "27.335us",
        tagged,
    );
    let short = [
        (
            "value: [video], time-interval-value: 200us",
            "value: [video, control], time-interval-value: 200us",
        ),
        (
            "value: [rest], time-interval-value: 500us }",
            "value: [rest], time-interval-value: 480us }\n        - { gate-states-value: [video], time-interval-value: 20us }",
        ),
    ];
    finds(
        Note,
        "window-too-short",
        "20us",
        "1 of its 2 windows are shorter; the one that opens here is 20 µs",
        &short,
    );
}

#[test]
fn the_longest_window_is_the_schedulers() {
    let mut random = 1_u64;
    let mut next = |limit: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % limit
    };
    for _ in 0..2_000 {
        let entries = (0..=next(6))
            .map(|_| GateControlEntry {
                gate_states: GateStates(next(256) as u8),
                time_interval: Nanoseconds::from_nanos(next(5)),
            })
            .collect();
        let cycle_time = (next(2) == 0).then(|| CycleTime {
            numerator: 1 + next(20) as u32,
            denominator: 1_000_000_000,
        });
        let schedule = Schedule::new(ScheduleParameters {
            base_time: TaiTime::from_nanos(0),
            cycle_time,
            cycle_time_extension: Nanoseconds::ZERO,
            entries,
        })
        .unwrap();
        for class in TrafficClass::ALL {
            let longest = windows(&schedule, class, true)
                .iter()
                .map(|window| window.ns)
                .max();
            let closed = windows(&schedule, class, false);
            match schedule.longest_window(class) {
                Window::Longest(window) => {
                    assert_eq!(longest, Some(window.as_nanos()), "{schedule:?}");
                    assert!(!closed.is_empty());
                }
                Window::Never | Window::Always => assert_eq!((longest, closed.len()), (None, 0)),
            }
        }
    }
}
