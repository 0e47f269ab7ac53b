//! The pictures, to the letter.

use roxmltree::{Document, Node};
use tsn_core::{Nanoseconds, TaiTime};
use tsn_userspace::plan::{Assumptions, Command, Plan, svg, terminal};

use crate::{ASSUMPTIONS, NOW, configuration, example, repository_file};

/// Cuts a cycle of the example.
const AT_NS: u64 = 4_000_000_000_000_380_000;

fn plan() -> Plan {
    Plan::of(&example("examples/tsnd.yaml"), 1, NOW, &ASSUMPTIONS).unwrap()
}

fn change() -> Plan {
    let command = Command {
        now: TaiTime::from_nanos(AT_NS - 2_000_000_000),
        at: Some(TaiTime::from_nanos(AT_NS)),
    };
    let [old, new] = ["examples/tsnd.yaml", "examples/tsnd-500us.yaml"].map(example);
    Plan::of_change(&old, &new, command, 2, &ASSUMPTIONS).unwrap()
}

/// 1024 entries of 2 µs: many windows, few, narrow gaps; and names that try something.
fn crowded() -> Plan {
    let classes = [
        "{ number: 7, name: \"</text><script>alert(1)</script>\", queue-max-sdu: 100 }",
        "{ number: 6, name: \"[2J]]>\\\"&'<\", queue-max-sdu: 100 }",
        "{ number: 5, name: 日本語, queue-max-sdu: 100 }",
        "{ number: 4, name: thin, queue-max-sdu: 100 }",
    ];
    let mut gates = "admin-control-list:\n".to_owned();
    for entry in 0..1_024 {
        let mut states = 0x01;
        states |= if entry % 2 == 0 { 0x80 } else { 0 };
        states |= if entry < 512 { 0x40 } else { 0 };
        states |= if entry % 300 == 200 { 0 } else { 0x20 };
        states |= if entry % 300 == 200 { 0x10 } else { 0 };
        gates += &format!("- {{ gate-states-value: {states}, time-interval-value: 2us }}\n");
    }
    let mut configuration = configuration(&classes, &gates);
    // Fast enough that some frames fit.
    configuration.uplinks[0].link_speed = Some(10_000);
    configuration.worker.stall_threshold.ns = 1_000;
    let assumptions = Assumptions {
        lead: Nanoseconds::ZERO,
        ..ASSUMPTIONS
    };
    Plan::of(&configuration, 1, NOW, &assumptions).unwrap()
}

/// Compares with a file of the repository that a person has looked at.
fn expect_file(path: &str, made: &str, way_out: &str) {
    let path = repository_file(path);
    if std::env::var_os("WRITE_PICTURES").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        made == kept,
        "{} is not what is made now; {way_out}\n{made}",
        path.display()
    );
}

/// The marks of a row's strip.
fn strip_of(text: &str, class: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(class)).unwrap();
    line.trim_start_matches(class).to_owned()
}

#[test]
fn a_window_too_short_for_the_longest_frame_is_marked_and_every_mark_explained() {
    let gates = "admin-control-list:
        - { gate-states-value: [7], time-interval-value: 492us }
        - { gate-states-value: [1], time-interval-value: 8us }
        - { gate-states-value: [7], time-interval-value: 250us }
        - { gate-states-value: [], time-interval-value: 250us }";
    let classes = ["{ number: 7 }", "{ number: 1, queue-max-sdu: 46 }"];
    let plan = Plan::of(&configuration(&classes, gates), 1, NOW, &ASSUMPTIONS).unwrap();
    for width in [60, 100, 200, 1_000] {
        let text = terminal::render(&plan, width, false);
        let short = strip_of(&text, "1 ");
        assert!(
            short.contains('×') && !short.contains(['█', '▌', '│', '▐']),
            "{text}"
        );
        assert!(
            text.contains("× window too short for the longest frame"),
            "{text}"
        );
        let blocks = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '▕', '▐'];
        assert_eq!(
            strip_of(&text, "7 ").contains(blocks),
            text.contains("▌ open for a part of the column"),
            "{text}"
        );
    }
}

fn expect_text(name: &str, made: &str, width: usize) {
    for line in made.lines() {
        let columns = unicode_width::UnicodeWidthStr::width(line);
        assert!(columns <= width, "{columns} columns: {line}");
    }
    let way_out = "look at it, and run the test with WRITE_PICTURES=1 if it is right";
    expect_file(
        &format!("tsn-userspace/tests/plan/golden/{name}.txt"),
        made,
        way_out,
    );
}

#[test]
fn the_text_fits_narrow_usual_and_wide_terminals() {
    for width in [60, 100, 200] {
        expect_text(
            &format!("plan_{width}"),
            &terminal::render(&plan(), width, false),
            width,
        );
        expect_text(
            &format!("change_{width}"),
            &terminal::render(&change(), width, false),
            width,
        );
    }
    expect_text(
        "crowded_100",
        &terminal::render(&crowded(), 100, false),
        100,
    );
}

#[test]
fn colours_change_nothing_but_colours() {
    let plain = terminal::render(&plan(), 100, false);
    let coloured = terminal::render(&plan(), 100, true);
    assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'));
    let mut text = String::new();
    for (index, part) in coloured.split('\u{1b}').enumerate() {
        text += if index == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        };
    }
    assert_eq!(text, plain);
}

#[test]
fn the_pictures_of_the_documentation_are_what_is_made_now() {
    let way_out = "look at it, and run the test with WRITE_PICTURES=1 if it is right";
    expect_file("docs/plan.svg", &svg::render(&plan()), way_out);
    expect_file("docs/plan-change.svg", &svg::render(&change()), way_out);
    let page = std::fs::read_to_string(repository_file("docs/plan.md")).unwrap();
    for plan in [plan(), change()] {
        let text = terminal::render(&plan, 100, false);
        assert!(
            page.contains(text.trim_end()),
            "docs/plan.md does not show what is made now:\n{text}"
        );
    }
}

fn attribute(node: Node<'_, '_>, name: &str) -> i64 {
    node.attribute(name).unwrap().parse().unwrap()
}

#[test]
fn the_svg_is_well_formed_and_has_every_window() {
    for plan in [plan(), change(), crowded()] {
        let text = svg::render(&plan);
        let document = Document::parse(&text).unwrap();
        let drawn: Vec<(i64, i64)> = document
            .descendants()
            .filter(|node| node.has_attribute("data-open-ns"))
            .map(|node| {
                (
                    attribute(node, "data-open-ns"),
                    attribute(node, "data-close-ns"),
                )
            })
            .collect();
        let (start, end) = (plan.start_ns(), plan.end_ns());
        let expected: Vec<(i64, i64)> = plan
            .rows
            .iter()
            .flat_map(|row| &row.windows)
            .map(|window| {
                (
                    window.open_ns.unwrap_or(start).max(start),
                    window.close_ns.unwrap_or(end).min(end),
                )
            })
            .collect();
        assert_eq!(drawn, expected);
        let root = document.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        assert!(
            !text.contains("http") || text.matches("http").count() == 1,
            "it needs nothing else"
        );
    }
}

#[test]
fn names_are_text_in_the_svg_and_on_the_terminal() {
    let plan = crowded();
    let text = svg::render(&plan);
    let document = Document::parse(&text).unwrap();
    assert!(
        document
            .descendants()
            .all(|node| !node.has_tag_name("script"))
    );
    let is_name = |node: Node<'_, '_>| node.text() == Some("6 [2J]]>\"&'<");
    assert!(document.descendants().any(is_name));
    let text = terminal::render(&plan, 100, false);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    // Machines get the name as it is.
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["rows"][1]["name"], "[2J]]>\"&'<");
}
