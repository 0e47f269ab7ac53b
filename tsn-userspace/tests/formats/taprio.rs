//! Commands of `tc`.

use tsn_userspace::formats::{Format, Selection, guess, write};

use crate::{GATES_TC, GATES_YAML, fields, plain, refusal};

#[test]
fn a_pasted_script_is_read_and_what_is_not_carried_named() {
    let script = r#"#!/bin/bash
# tc qdisc replace dev eth0 parent root taprio (an old one)
tc qdisc del dev "$dev" root
sudo /sbin/tc qdisc add dev 'eth0' handle 8001: root taprio num_tc 3 \
    map 2 2 1 0 2 2 2 2 2 2 2 2 2 2 2 2 queues 1@0 1@0 2@1 \
    sched-entry S 0x1 0x493e0 sched-entry S ff 0300000 \
    sched-entry S 04 4294967295 max-sdu 0 1500 \
    flags 0x1 txtime-delay 40000 clockid tai fp E P E # the clock of all nodes
tc qdisc replace dev eth0 parent 100:1 etf; tc -s qdisc
"#;
    let read = plain(Format::Taprio, script);
    assert_eq!(guess(script), Some(Format::Taprio));
    assert_eq!(
        fields(&read),
        [
            "line 3, column 1",
            "line 9, column 1",
            "line 9, column 45",
            "sched-entry in line 6, column 31",
            "handle",
            "map",
            "queues",
            "flags",
            "txtime-delay",
            "fp"
        ]
    );
    let wanted = "# The gates and classes of an uplink. Add the pods and their streams before use.

uplinks:
  - device: eth0
    traffic-classes:
      - { number: 0 }
      - { number: 1, queue-max-sdu: 1500 }
      - { number: 2 }
    gate-parameters:
      admin-base-time: { seconds: 0, nanoseconds: 0 }
      admin-control-list:
        - { gate-states-value: [0], time-interval-value: 300us }
        - { gate-states-value: [0, 1, 2], time-interval-value: 98304ns }
        - { gate-states-value: [2], time-interval-value: 4294967295ns }
";
    assert_eq!(
        write(Format::Tsnd, &read.document).unwrap().document,
        wanted
    );
}

#[test]
fn full_offload_needs_no_clock_and_is_named() {
    let command = "tc qdisc replace dev eth0 parent root taprio sched-entry S 1 5 flags 0x2";
    assert_eq!(fields(&plain(Format::Taprio, command)), ["flags"]);
}

#[test]
fn a_cycle_that_differs_from_its_entries_is_written_as_802_1q_means_it() {
    let with_cycle = |cycle: &str| {
        let yaml = GATES_YAML.replace(
            "admin-cycle-time: 1ms",
            &format!("admin-cycle-time: {cycle}"),
        );
        let uplink = plain(Format::Tsnd, &yaml).document;
        let command = write(Format::Taprio, &uplink).unwrap().document;
        let entries = command.lines().filter(|line| line.contains("sched-entry"));
        let entries: Vec<&str> = entries.map(|line| line.trim_matches([' ', '\\'])).collect();
        entries.join(", ")
    };
    assert_eq!(
        with_cycle("2ms"),
        "sched-entry S 04 300000, sched-entry S 02 200000, sched-entry S 03 499500, sched-entry S 00 1000500"
    );
    assert_eq!(
        with_cycle("400us"),
        "sched-entry S 04 300000, sched-entry S 02 100000"
    );
    assert_eq!(
        with_cycle("5s"),
        "sched-entry S 04 300000, sched-entry S 02 200000, sched-entry S 03 499500, \
         sched-entry S 00 2499500250, sched-entry S 00 2499500250"
    );
}

#[test]
fn what_taprio_cannot_say_at_all_is_an_error() {
    for (old, new, fragment) in [
        (
            "admin-base-time:",
            "gate-enabled: false\n      admin-base-time:",
            "gate-enabled",
        ),
        (
            "seconds: 1700000000",
            "seconds: 9300000000",
            "admin-base-time",
        ),
        ("device: eth1", "device: \"e;reboot\"", "device"),
        ("device: eth1", "device: -s", "device"),
    ] {
        let uplink = plain(Format::Tsnd, &GATES_YAML.replace(old, new)).document;
        let error = write(Format::Taprio, &uplink).unwrap_err().to_string();
        assert!(error.contains(fragment), "{error}");
    }
}

#[test]
fn wrong_taprio_commands_are_refused_where_they_are_wrong() {
    let with = |old: &str, new: &str| {
        assert!(GATES_TC.contains(old), "{old}");
        GATES_TC.replace(old, new)
    };
    let cases = [
        (
            with("clockid CLOCK_TAI", "clockid CLOCK_REALTIME"),
            "line 13, column 5: clockid CLOCK_REALTIME: tsnd counts in CLOCK_TAI; convert",
        ),
        (
            with("clockid CLOCK_TAI", "clockid CLOCK_SUN"),
            "line 13, column 5: clockid CLOCK_SUN: is no clock",
        ),
        (
            with("clockid CLOCK_TAI", "txtime-delay 5"),
            "clockid is missing",
        ),
        (
            with("clockid CLOCK_TAI", "clockid TAI flags 0x2"),
            "goes with no full offload",
        ),
        (
            with("clockid CLOCK_TAI", "clockid TAI flags 3"),
            "flags 0x3: taprio knows",
        ),
        (
            with("clockid CLOCK_TAI", "clockid"),
            "line 13, column 5: the command ends here, after `clockid`",
        ),
        (
            with("S 04 300000", "H 04 300000"),
            "line 6, column 17: sched-entry `H`: set-and-hold-mac preempts",
        ),
        (
            with("S 04 300000", "R 04 300000"),
            "set-and-release-mac preempts",
        ),
        (with("S 04 300000", "X 04 300000"), "is no operation"),
        (
            with("S 04 300000", "S 04 300us"),
            "line 6, column 22: `300us`: tc takes a whole number here, without a unit",
        ),
        (
            with("S 04 300000", "S 04 089"),
            "`089`: tc takes a whole number",
        ),
        (
            with("S 04 300000", "S g4 300000"),
            "`g4`: a gate mask is hexadecimal",
        ),
        (with("S 04 300000", "S 04 4294967296"), "`4294967296`"),
        (with("S 04 300000", "S 04 0"), "lasts 0 ns"),
        (
            with("num_tc 3", "num_tc 9"),
            "line 2, column 5: num_tc 9: tsnd has 1 to 8",
        ),
        (
            with("map 0 1 2", "map 0 1 3"),
            "map has the traffic class 3; num_tc allows 0 to 2",
        ),
        (
            with("num_tc 3", "num_tc 3 num_tc 3"),
            "line 2, column 14: `num_tc` is there twice",
        ),
        (
            with("max-sdu 1500 0 200", "max-sdu 1 2 3 4"),
            "max-sdu has more than the 3 values",
        ),
        (
            with("max-sdu 1500 0 200", "max-sdu 4294967296"),
            "max-sdu: 4294967296 bytes",
        ),
        (
            with(
                "num_tc 3 \\\n    map 0 1 2 0 0 0 0 0 0 0 0 0 0 0 0 0",
                "map 0",
            )
            .replace("S 04", "S 100"),
            "100: tsnd has 8 traffic classes",
        ),
        (
            with("base-time 1700000000250000000", "base-time -5"),
            "`-5`: is negative",
        ),
        (
            with("base-time 1700000000250000000", "base_time 5"),
            "line 5, column 5: `base_time` is no argument",
        ),
        (
            with("cycle-time 1000000", "cycle-time 5000000001"),
            "line 10, column 5: a cycle of 5000000001 ns is no fraction",
        ),
        (
            with("parent root", "parent 100:1"),
            "`100:1` stands where root, since taprio is a root qdisc",
        ),
        (
            with("dev eth1", "dev $IFACE"),
            "line 1, column 22: `$IFACE`: a shell would do something with `$`",
        ),
        (with("dev eth1 ", ""), "dev is missing"),
        (
            with("queues 1@0 1@1 1@2", "queues x@y"),
            "line 4, column 12: `x@y` is no argument",
        ),
        (
            with("queues 1@0", "queues 1@65536"),
            "`1@65536` is no argument",
        ),
        (
            with("max-sdu 1500 0 200", "fp E P"),
            "line 13, column 5: `clockid` follows fp, where tc takes E or P alone",
        ),
        (
            with("dev eth1", "dev a-name-that-is-too-long"),
            "dev: `a-name-that-is-too-long`",
        ),
        (
            with("qdisc replace", "qdisc del"),
            "`del` stands where add, replace or change",
        ),
        (
            with("tc qdisc", "ip netns exec a tc qdisc"),
            "`ip` stands where tc is expected",
        ),
        (
            format!("{GATES_TC}{GATES_TC}"),
            "line 14, column 1: another taprio command",
        ),
        (
            "tc qdisc add dev eth0 root taprio clockid TAI".to_owned(),
            "sched-entry is missing",
        ),
        (
            "# tc taprio".to_owned(),
            "a line that begins with # is a comment",
        ),
        (String::new(), "there is no"),
    ];
    for (text, fragment) in cases {
        let error = refusal(Format::Taprio, &text, Selection::default());
        assert!(error.contains(fragment), "no `{fragment}` in: {error}");
    }
}

#[test]
fn a_list_that_tc_would_cut_off_says_so() {
    let long = "        - { gate-states-value: [2], time-interval-value: 300us }\n";
    for (entries, warned) in [(20, false), (21, true)] {
        let yaml = format!("{GATES_YAML}{}", long.repeat(entries));
        let uplink = plain(
            Format::Tsnd,
            &yaml.replace("      admin-cycle-time: 1ms\n", ""),
        )
        .document;
        let written = write(Format::Taprio, &uplink).unwrap();
        let command = &written.document;
        assert_eq!(command.starts_with("# tc of iproute2"), warned, "{command}");
        let wanted: &[&str] = if warned {
            &["uplinks[0].gate-parameters.admin-control-list"]
        } else {
            &[]
        };
        assert_eq!(fields(&written), wanted);
        assert_eq!(plain(Format::Taprio, command).losses, []);
    }
}

#[test]
fn an_entry_that_the_kernel_refuses_for_its_length_is_named() {
    // The interval of the last of four entries, the link's speed, and what is said of it.
    for (interval, speed_mbps, said) in [
        ("480ns", "", None),
        (
            "479ns",
            "",
            Some("[3].time-interval-value 479 ns: the kernel refuses"),
        ),
        ("0ns", "", Some("[3].time-interval-value 1 ns: ")),
        ("479ns", "2500", None),
        ("4800ns", "100", None),
        (
            "4799ns",
            "100",
            Some("4800 ns at 100 Mb/s (1 of the 4 here)"),
        ),
    ] {
        let yaml = GATES_YAML
            .replace("      admin-cycle-time: 1ms\n", "")
            .replace(
                "time-interval-value: 500ns",
                &format!("time-interval-value: {interval}"),
            );
        let mut uplink = plain(Format::Tsnd, &yaml).document;
        uplink.link_speed = speed_mbps.parse().ok();
        let written = write(Format::Taprio, &uplink).unwrap();
        let losses: Vec<String> = written.losses.iter().map(ToString::to_string).collect();
        let short = losses
            .iter()
            .find(|loss| loss.contains("time-interval-value"));
        match (short, said) {
            (None, None) => {}
            (Some(loss), Some(said)) => assert!(loss.contains(said), "no `{said}` in: {loss}"),
            _ => panic!("{interval} at {speed_mbps}: {losses:?}"),
        }
    }
    // A long interval is not split into a long part and one that is too short.
    let yaml = GATES_YAML
        .replace("      admin-cycle-time: 1ms\n", "")
        .replace(
            "time-interval-value: 500ns",
            "time-interval-value: 4294967296ns",
        );
    let written = write(Format::Taprio, &plain(Format::Tsnd, &yaml).document).unwrap();
    assert_eq!(written.losses, []);
    assert_eq!(
        written
            .document
            .matches("sched-entry S 00 2147483648")
            .count(),
        2,
        "{}",
        written.document
    );
}
