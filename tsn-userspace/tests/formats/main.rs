//! Schedules in and out of other tools' formats: real samples, each loss and each error.

mod behaviour;
mod command;
mod round_trip;
mod shape;
mod taprio;
mod tsnkit;
mod yang;

use tsn_userspace::config::{Configuration, GateControlEntry, GateStatesValue, Interval, Uplink};
use tsn_userspace::formats::{Converted, Format, Selection, convert, guess, read, write};

const GATES_YAML: &str = include_str!("../data/gates.yaml");
const GATES_JSON: &str = include_str!("../data/gates.json");
const GATES_TC: &str = include_str!("../data/gates.sh");
const EXAMPLE: &str = include_str!("../../../examples/tsnd.yaml");

fn plain(format: Format, text: &str) -> Converted<Uplink> {
    read(format, text, Selection::default()).unwrap()
}

fn fields<T>(converted: &Converted<T>) -> Vec<&str> {
    let losses = converted.losses.iter();
    losses.map(|loss| loss.field.as_str()).collect()
}

fn refusal(format: Format, text: &str, selection: Selection<'_>) -> String {
    match read(format, text, selection) {
        Ok(uplink) => panic!("{text}\nwas taken for {uplink:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_all_formats_can_say_goes_each_way_without_a_loss() {
    let documents = [
        (Format::Tsnd, GATES_YAML),
        (Format::Yang, GATES_JSON),
        (Format::Taprio, GATES_TC),
    ];
    for (from, source) in documents {
        assert_eq!(guess(source), Some(from));
        let uplink = plain(from, source);
        assert_eq!(uplink.losses, [], "{from:?}");
        for (to, wanted) in documents {
            let written = write(to, &uplink.document).unwrap();
            assert_eq!(written.losses, [], "{from:?} to {to:?}");
            assert_eq!(written.document, wanted, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn what_only_tsnd_says_is_named_once() {
    let configuration = EXAMPLE
        .replace("holdover: 10s", "holdover: 11s")
        .replace("poll-mode: adaptive", "poll-mode: busy")
        .replace(
            "link-speed: 1000",
            "per-frame-overhead: 28\n    lead-probes: 1",
        )
        .replace("launch-time-required: false", "launch-time-required: true")
        .replace(
            "admin-base-time: {",
            "admin-gate-states: [control]\n      admin-base-time: {",
        )
        .replace("denominator: 1000 }", "denominator: 1001 }");
    let read = plain(Format::Tsnd, &configuration);
    assert_eq!(
        fields(&read),
        [
            "pods[0]",
            "pods[1]",
            "profiles[0]",
            "worker.poll-mode",
            "clock.holdover"
        ]
    );
    assert_eq!(read.losses[0].value, "controller");
    let mut own = vec![
        "uplinks[0].lead-probes",
        "uplinks[0].per-frame-overhead",
        "uplinks[0].traffic-classes[0].critical",
        "uplinks[0].traffic-classes[0].dscp",
        "uplinks[0].traffic-classes[0].launch-time-required",
        "uplinks[0].traffic-classes[0].name",
        "uplinks[0].traffic-classes[0].pcp",
        "uplinks[0].traffic-classes[1].name",
        "uplinks[0].traffic-classes[2].capacity",
        "uplinks[0].traffic-classes[2].name",
    ];
    assert_eq!(fields(&write(Format::Yang, &read.document).unwrap()), own);
    own.extend([
        "uplinks[0].gate-parameters.admin-gate-states",
        "uplinks[0].gate-parameters.admin-cycle-time",
    ]);
    let taprio = write(Format::Taprio, &read.document).unwrap();
    assert_eq!(fields(&taprio), own);
    assert!(
        taprio.document.contains("cycle-time 999000 "),
        "{}",
        taprio.document
    );
    // The uplink itself is written whole.
    let again = write(Format::Tsnd, &read.document).unwrap();
    assert_eq!(plain(Format::Tsnd, &again.document).document, read.document);
}

#[test]
fn names_that_yaml_could_take_for_something_else_are_quoted() {
    let mut uplink = plain(Format::Tsnd, GATES_YAML).document;
    for name in ["yes", "N", "~", "a: b", "#", "\"", "\\", "é😀", "- x", "e0"] {
        uplink.traffic_classes[0].name = Some(name.to_owned());
        let written = write(Format::Tsnd, &uplink).unwrap().document;
        let again = Configuration::from_yaml(&written).unwrap();
        assert_eq!(again.uplinks[0].traffic_classes, uplink.traffic_classes);
    }
}

#[test]
fn a_doubtful_text_is_not_guessed_at() {
    for text in [
        "",
        "hello",
        "# tc taprio",
        &format!("{GATES_YAML}\n{GATES_TC}"),
    ] {
        assert_eq!(guess(text), None, "{text}");
    }
    assert_eq!(guess(EXAMPLE), Some(Format::Tsnd));
    for key in ["uplinks :", "\"uplinks\":", "'uplinks' :"] {
        let text = GATES_YAML.replace("uplinks:", key);
        assert_eq!(guess(&text), Some(Format::Tsnd), "{key}");
        plain(Format::Tsnd, &text);
    }
    for text in [GATES_YAML, GATES_JSON, GATES_TC] {
        let marked = format!("\u{feff}{text}");
        let format = guess(text).unwrap();
        assert_eq!(guess(&marked), Some(format));
        plain(format, &marked);
    }
}

#[test]
fn the_longest_list_is_read_again_in_each_format() {
    let mut uplink = plain(Format::Yang, GATES_JSON).document;
    let gates = &mut uplink.gate_parameters;
    gates.admin_cycle_time = None;
    // Seven of eight classes open: the most words that an entry takes.
    gates.admin_control_list = vec![
        GateControlEntry {
            gate_states_value: GateStatesValue::Mask(0xfe),
            time_interval_value: Interval::from_us(1),
        };
        tsn_core::MAX_ENTRIES
    ];
    for format in [Format::Tsnd, Format::Yang, Format::Taprio] {
        let written = write(format, &uplink).unwrap().document;
        let again = plain(format, &written).document.gate_parameters;
        assert_eq!(again.admin_control_list.len(), tsn_core::MAX_ENTRIES);
    }
}

#[test]
fn what_is_lost_is_named_in_the_words_of_the_source() {
    let json = GATES_JSON
        .replace("\"admin-gate-states\": 255", "\"admin-gate-states\": 1")
        .replace("\"time-interval-value\": 500", "\"time-interval-value\": 5");
    let tc = GATES_TC.replace("extension 100000", "extension 5000000000");
    let to_taprio = convert(Format::Yang, Format::Taprio, &json, Selection::default());
    let to_yang = convert(Format::Taprio, Format::Yang, &tc, Selection::default());
    let to_taprio = to_taprio.unwrap();
    assert_eq!(
        fields(&to_taprio),
        ["gate-parameter-table/admin-gate-states"]
    );
    assert_eq!(fields(&to_yang.unwrap()), ["cycle-time-extension"]);
    let off = GATES_JSON.replace("\"gate-enabled\": true", "\"gate-enabled\": false");
    let refused = convert(Format::Yang, Format::Taprio, &off, Selection::default());
    let error = refused.unwrap_err().to_string();
    assert!(
        error.starts_with("gate-parameter-table: no gate"),
        "{error}"
    );
}
