//! JSON of the YANG module.

use tsn_userspace::formats::{Format, Selection, read, write};

use crate::{GATES_JSON, GATES_YAML, fields, plain, refusal};

#[test]
fn the_gates_of_a_bridge_are_read_and_state_is_named() {
    let table = GATES_JSON
        .split_once("sched-if:gate-parameter-table\": ")
        .and_then(|(_, rest)| rest.rsplit_once("      }\n    ]"))
        .map(|(table, _)| table)
        .unwrap()
        .replace(
            "\"config-change\": true",
            "\"config-change\": false, \"oper-gate-states\": 4, \"tick-granularity\": 80",
        )
        .replace(
            "\"queue-max-sdu\": 200",
            "\"queue-max-sdu\": 200, \"transmission-overrun\": \"7\"",
        )
        .replace("65536", "32");
    let document = format!(
        r#"{{ "ietf-yang-library:yang-library": {{}}, "ietf-interfaces:interfaces": {{ "interface": [
            {{ "name": "eth0", "type": "iana-if-type:ethernetCsmacd" }},
            {{ "name": "eth1", "type": "iana-if-type:bridge", "enabled": true, "ieee802-dot1q-bridge:bridge-port": {{
                "pvid": 1, "ieee802-dot1q-sched-bridge:gate-parameter-table": {table} }} }} ] }} }}"#
    );
    let converted = plain(Format::Yang, &document);
    assert_eq!(
        write(Format::Tsnd, &converted.document).unwrap().document,
        GATES_YAML
    );
    let short: Vec<&str> = fields(&converted)
        .into_iter()
        .map(|field| field.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        short,
        [
            "ietf-yang-library:yang-library",
            "interface",
            "type",
            "enabled",
            "pvid",
            "transmission-overrun",
            "oper-gate-states",
            "tick-granularity",
            "supported-list-max",
            "config-change"
        ]
    );
}

#[test]
fn the_module_s_defaults_and_order_hold() {
    let document = r#"{ "ietf-interfaces:interfaces": { "interface": [ { "name": "eth1",
        "ieee802-dot1dc-sched-if:gate-parameter-table": { "admin-control-list": { "gate-control-entry": [
            { "index": 7, "operation-name": "ieee802-dot1q-sched:set-gate-states", "gate-states-value": 2, "time-interval-value": 5 },
            { "index": 3, "operation-name": "ieee802-dot1q-sched:set-gate-states", "gate-states-value": 1, "time-interval-value": 0 }
        ] } } } ] } }"#;
    let uplink = plain(Format::Yang, document);
    assert_eq!(uplink.losses, []);
    let written = write(Format::Tsnd, &uplink.document).unwrap().document;
    let wanted = "    gate-parameters:
      gate-enabled: false
      admin-base-time: { seconds: 0, nanoseconds: 0 }
      admin-control-list:
        - { gate-states-value: [0], time-interval-value: 0ns }
        - { gate-states-value: [1], time-interval-value: 5ns }
";
    assert!(written.ends_with(wanted), "{written}");
}

#[test]
fn wrong_yang_is_refused_by_line_or_path() {
    let with = |old: &str, new: &str| {
        assert!(GATES_JSON.contains(old), "{old}");
        GATES_JSON.replacen(old, new, 1)
    };
    let operation = "ieee802-dot1q-sched:set-gate-states";
    let cases = [
        (
            with(operation, "ieee802-dot1q-sched:set-and-hold-mac"),
            "gate-control-entry[index='0']/operation-name: `ieee802-dot1q-sched:set-and-hold-mac` preempts",
        ),
        (
            with(operation, "ieee802-dot1q-sched:set-and-release-mac"),
            "preempts frames",
        ),
        (
            with(operation, "set-gate-states"),
            "is no operation of the module; use `ieee802-dot1q-sched:",
        ),
        (
            with("\"index\": 1", "\"index\": 0"),
            "gate-control-entry[index='0']: is there twice",
        ),
        (
            with("\"seconds\": \"1700000000\"", "\"seconds\": 1700000000"),
            "admin-base-time.seconds: invalid type: integer `1700000000`, expected a 64-bit number as text",
        ),
        (
            with("\"seconds\": \"1700000000\"", "\"seconds\": \"soon\""),
            "\"soon\", expected a 64-bit number",
        ),
        (
            with(
                "\"seconds\": \"1700000000\"",
                "\"seconds\": \"18446744073709551615\"",
            ),
            "admin-base-time: seconds is",
        ),
        (
            with("250000000", "1000000000"),
            "admin-base-time: nanoseconds is 1000000000",
        ),
        (
            with("\"gate-states-value\": 4", "\"gate-states-value\": 256"),
            "gate-control-entry[0].gate-states-value: invalid value: integer `256`, expected u8 at line 29",
        ),
        (
            with(
                "\"time-interval-value\": 300000",
                "\"time-interval-value\": -1",
            ),
            "time-interval-value: invalid value",
        ),
        (
            with("\"gate-states-value\": 4,", ""),
            "missing field `gate-states-value`",
        ),
        (
            with(
                "\"gate-enabled\"",
                "\"ieee802-dot1dc-sched-if:gate-enabled\"",
            ),
            "unknown field `ieee802-dot1dc-sched-if:gate-enabled`, which the module does not have here at line",
        ),
        (
            with("\"denominator\": 1000", "\"denominator\": 0"),
            "admin-cycle-time: denominator is 0",
        ),
        (
            with(",\n            \"denominator\": 1000", ""),
            "give both",
        ),
        (
            with("\"traffic-class\": 1", "\"traffic-class\": 8"),
            "gate-parameter-table/queue-max-sdu-table[1]/traffic-class: traffic class 8",
        ),
        (
            with("\"traffic-class\": 1", "\"traffic-class\": 0"),
            "given twice",
        ),
        (
            with("ieee802-dot1dc-sched-if:gate-parameter-table", "x:y"),
            "no interface has an ieee802-dot1dc-sched-if:gate-parameter-table",
        ),
        (
            with("ietf-interfaces:interfaces", "interfaces"),
            "missing field `ietf-interfaces:interfaces`",
        ),
        (
            with(
                "\"name\": \"eth1\"",
                "\"name\": \"eth1\", \"ieee802-dot1q-bridge:bridge-port\": { \"ieee802-dot1q-sched-bridge:gate-parameter-table\": {} }",
            ),
            "one of its bridge-port",
        ),
        (format!("{GATES_JSON}!"), "after the document"),
        (GATES_JSON[..200].to_owned(), "EOF while parsing"),
        ("[".repeat(100_000), "the document"),
        (
            format!("{{\"a\": {}", "[".repeat(100_000)),
            "recursion limit exceeded",
        ),
    ];
    for (text, fragment) in cases {
        let error = refusal(Format::Yang, &text, Selection::default());
        assert!(error.contains(fragment), "no `{fragment}` in: {error}");
        assert!(error.len() < 500, "{error}");
    }
}

#[test]
fn of_several_interfaces_with_gates_one_is_chosen() {
    let interface = GATES_JSON
        .split_once("\"interface\": [")
        .and_then(|(_, rest)| rest.rsplit_once("    ]\n"))
        .map(|(interface, _)| interface)
        .unwrap();
    let two = |second: &str| {
        let second = interface.replace("eth1", second);
        GATES_JSON.replace(interface, &format!("{interface}, {second}"))
    };
    let chosen = |device| Selection {
        device,
        ..Selection::default()
    };
    let error = refusal(Format::Yang, &two("eth2"), Selection::default());
    assert!(
        error.contains("choose one of the interfaces with gates: eth1, eth2"),
        "{error}"
    );
    let error = refusal(Format::Yang, &two("eth2"), chosen(Some("eth3")));
    assert!(error.contains("eth1, eth2"), "{error}");
    let error = refusal(Format::Yang, &two("eth1"), chosen(Some("eth1")));
    assert!(error.contains("[name='eth1']: is there twice"), "{error}");
    let converted = read(Format::Yang, &two("eth2"), chosen(Some("eth2"))).unwrap();
    assert_eq!(converted.document.device, "eth2");
    assert_eq!(converted.losses.len(), 1);
    assert_eq!(converted.losses[0].value, "eth1");
}
