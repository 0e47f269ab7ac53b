//! What the published module allows: IEEE Std 802.1DC-2024, `ieee802-dot1dc-sched-if` revision 2024-09-26 with
//! `ieee802-dot1q-sched` revision 2023-10-22, as configuration in JSON (RFC 7951).

use std::collections::HashSet;

use serde_json::{Map, Value};

/// The types that occur, as RFC 7951 writes them.
enum Type {
    Unsigned(u64),
    /// As text.
    Uint64,
    Boolean,
    Operation,
    Container(&'static [(&'static str, Type)]),
    /// Its nodes and its key.
    List(&'static [(&'static str, Type)], &'static str),
}

const UINT32: Type = Type::Unsigned(u32::MAX as u64);
const UINT8: Type = Type::Unsigned(u8::MAX as u64);
const RATIONAL: Type = Type::Container(&[("numerator", UINT32), ("denominator", UINT32)]);
const ENTRY: &[(&str, Type)] = &[
    ("index", UINT32),
    ("operation-name", Type::Operation),
    ("gate-states-value", UINT8),
    ("time-interval-value", UINT32),
];
const TABLE: &[(&str, Type)] = &[
    (
        "queue-max-sdu-table",
        Type::List(
            &[
                ("traffic-class", Type::Unsigned(7)),
                ("queue-max-sdu", UINT32),
            ],
            "traffic-class",
        ),
    ),
    ("gate-enabled", Type::Boolean),
    ("admin-gate-states", UINT8),
    (
        "admin-control-list",
        Type::Container(&[("gate-control-entry", Type::List(ENTRY, "index"))]),
    ),
    ("admin-cycle-time", RATIONAL),
    ("admin-cycle-time-extension", UINT32),
    (
        "admin-base-time",
        Type::Container(&[("seconds", Type::Uint64), ("nanoseconds", UINT32)]),
    ),
    ("config-change", Type::Boolean),
    ("supported-list-max", UINT32),
    ("supported-cycle-max", RATIONAL),
    ("supported-interval-max", UINT32),
];

/// Panics where a document is not valid by the module.
pub fn check(document: &str) {
    let document: Value = serde_json::from_str(document).unwrap();
    let interfaces = only(&document, "ietf-interfaces:interfaces");
    let [interface] = only(interfaces, "interface").as_array().unwrap().as_slice() else {
        panic!("one interface is written");
    };
    let interface = interface.as_object().unwrap();
    assert_eq!(interface.len(), 3);
    assert!(interface["name"].is_string());
    assert_eq!(interface["type"], "iana-if-type:ethernetCsmacd");
    let table = &interface["ieee802-dot1dc-sched-if:gate-parameter-table"];
    check_members(table.as_object().unwrap(), TABLE);
    check_musts(table);
}

fn only<'a>(value: &'a Value, name: &str) -> &'a Value {
    let members = value.as_object().unwrap();
    assert_eq!(members.len(), 1, "{members:?}");
    &members[name]
}

fn check_members(members: &Map<String, Value>, nodes: &[(&str, Type)]) {
    for (name, value) in members {
        let node = nodes.iter().find(|(node, _)| node == name);
        let (_, kind) = node.unwrap_or_else(|| panic!("no node is called {name}"));
        let right = match kind {
            Type::Unsigned(most) => value.as_u64().is_some_and(|number| number <= *most),
            Type::Uint64 => value
                .as_str()
                .is_some_and(|text| text.parse::<u64>().is_ok()),
            Type::Boolean => value.is_boolean(),
            Type::Operation => value == "ieee802-dot1q-sched:set-gate-states",
            Type::Container(nodes) => {
                check_members(value.as_object().unwrap(), nodes);
                true
            }
            Type::List(nodes, key) => {
                let rows = value.as_array().unwrap();
                rows.iter()
                    .for_each(|row| check_members(row.as_object().unwrap(), nodes));
                let keys: HashSet<u64> =
                    rows.iter().map(|row| row[*key].as_u64().unwrap()).collect();
                keys.len() == rows.len()
            }
        };
        assert!(right, "{name}: {value}");
    }
}

/// The `must` statements; a comparison with a node that is absent is false (XPath 1.0, 3.4).
fn check_musts(table: &Value) {
    let entries = table["admin-control-list"]["gate-control-entry"].as_array();
    let entries = entries.map_or(&[][..], Vec::as_slice);
    assert!(entries.len() as u64 <= table["supported-list-max"].as_u64().unwrap());
    let longest = table["supported-interval-max"].as_u64().unwrap();
    for entry in entries {
        assert!(entry["time-interval-value"].as_u64().unwrap() <= longest);
        assert!(entry["gate-states-value"].is_u64(), "is mandatory");
    }
    let quotient = |rational: &Value| {
        rational["numerator"].as_f64().unwrap() / rational["denominator"].as_f64().unwrap()
    };
    assert!(quotient(&table["admin-cycle-time"]) <= quotient(&table["supported-cycle-max"]));
}
