//! Schedules in and out of other tools' formats: real samples, each loss and each error.

mod behaviour;
mod command;
mod round_trip;
mod shape;
mod taprio;
mod tsnkit;
mod yang;

use tsn_userspace::config::{Configuration, Uplink};
use tsn_userspace::formats::{Converted, Format, Selection, guess, read, write};

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
        ["pods[0]", "pods[1]", "worker.poll-mode", "clock.holdover"]
    );
    assert_eq!(read.losses[0].value, "controller");
    let mut own = vec![
        "uplinks[0].lead-probes",
        "uplinks[0].per-frame-overhead",
        "uplinks[0].traffic-classes[0].critical",
        "uplinks[0].traffic-classes[0].launch-time-required",
        "uplinks[0].traffic-classes[0].name",
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
}
