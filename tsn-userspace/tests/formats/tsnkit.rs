//! The files of tsnkit: those of one run of its `smt_wa` on a line of three bridges.

use tsn_userspace::formats::{Format, Selection, guess, read, write};

use crate::refusal;

const TSNKIT_GCL: &str = include_str!("../data/tsnkit/demo-GCL.csv");
const TSNKIT_OFFSET: &str = include_str!("../data/tsnkit/demo-OFFSET.csv");
const TSNKIT_QUEUE: &str = include_str!("../data/tsnkit/demo-QUEUE.csv");
const TSNKIT_LINK: &str = include_str!("../data/tsnkit/link-1-4.yaml");

#[test]
fn tsnkit_s_own_files_become_the_gates_of_a_link() {
    let selection = Selection {
        link: Some("(1, 4)"),
        device: Some("eth1"),
        offsets: Some(TSNKIT_OFFSET),
        queues: Some(TSNKIT_QUEUE),
    };
    assert_eq!(guess(TSNKIT_GCL), Some(Format::Tsnkit));
    let converted = read(Format::Tsnkit, TSNKIT_GCL, selection).unwrap();
    let written = write(Format::Tsnd, &converted.document).unwrap();
    assert_eq!(written.document, TSNKIT_LINK);
    let losses: Vec<String> = converted.losses.iter().map(ToString::to_string).collect();
    assert_eq!(losses.len(), 3);
    assert!(
        losses[1].starts_with("offset of stream 1, frame 0 500800 ns: ")
            && losses[1].ends_with("a stream with traffic-class 1"),
        "{}",
        losses[1]
    );
}

#[test]
fn windows_are_laid_over_each_other_and_go_on_beyond_the_cycle() {
    let gates = "link,queue,start,end,cycle
\"(0, 1)\",7,900,1100,1000
\"(0, 1)\",0,50,200,1000
\"(0, 1)\",0,200,300,1000
\"(0, 1)\",3,1400,1500,1000
\"(2, 1)\",3,0,1,5
";
    let selection = Selection {
        link: Some("0,1"),
        ..Selection::default()
    };
    let converted = read(Format::Tsnkit, gates, selection).unwrap();
    assert_eq!(converted.losses, []);
    let written = write(Format::Tsnd, &converted.document).unwrap().document;
    let wanted = "      admin-cycle-time: 1us
      admin-control-list:
        - { gate-states-value: [7], time-interval-value: 50ns }
        - { gate-states-value: [0, 7], time-interval-value: 50ns }
        - { gate-states-value: [0], time-interval-value: 200ns }
        - { gate-states-value: [], time-interval-value: 100ns }
        - { gate-states-value: [3], time-interval-value: 100ns }
        - { gate-states-value: [], time-interval-value: 400ns }
        - { gate-states-value: [7], time-interval-value: 100ns }
";
    assert!(written.ends_with(wanted), "{written}");
}

#[test]
fn wrong_tsnkit_files_are_refused_by_line_and_column() {
    let header = "link,queue,start,end,cycle\n";
    let cases = [
        (
            format!("{header}\"(0, 1)\",8,0,1,5"),
            "GCL, line 2, queue: `8`: tsnd has the traffic classes 0 to 7",
        ),
        (
            format!("{header}\"(0, 1)\",0,0,1,5\n\"(0, 1)\",0,0,1,6"),
            "GCL, line 3, cycle: `6`: a link has one cycle",
        ),
        (format!("{header}\"(0, 1)\",0,0,1,0"), "line 2, cycle: `0`"),
        (
            format!("{header}\"(0, 1)\",0,2,1,5"),
            "line 2, end: `1`: a window ends",
        ),
        (
            format!("{header}\"(0, 1)\",0,0,6,5"),
            "line 2, end: `6`: a window ends",
        ),
        (
            format!("{header}\"(0, 1)\",0,0.5,6,5"),
            "line 2, start: `0.5`: it is a whole number",
        ),
        (
            format!("{header}eth0,0,0,6,5"),
            "line 2, link: `eth0` is no link",
        ),
        (format!("{header}\"(0, 1)\",0,0"), "GCL: CSV error"),
        (
            format!("{header}\"(0, 2)\",0,0,1,5"),
            "--link: choose one of the links with gates: '(0, 2)'",
        ),
        (
            format!("{header}\"(0, 1)\",0,0,1,5000000001"),
            "a cycle of 5000000001 ns is no fraction",
        ),
        (
            "a,b".to_owned(),
            "GCL, line 1: the columns are `a,b`; tsnkit writes `link,queue,start,end,cycle`",
        ),
    ];
    let link = |link| Selection {
        link: Some(link),
        ..Selection::default()
    };
    for (text, fragment) in &cases {
        let error = refusal(Format::Tsnkit, text, link("(0, 1)"));
        assert!(error.contains(fragment), "no `{fragment}` in: {error}");
    }
    let error = refusal(Format::Tsnkit, TSNKIT_GCL, link("(0, 1)"));
    assert!(error.contains("--link: choose one of the links"), "{error}");
    for wrong in ["eth0", "(1, 4", "1, 4)", "((1, 4))", "((1,4"] {
        let error = refusal(Format::Tsnkit, TSNKIT_GCL, link(wrong));
        let said = format!("--link: `{wrong}` is no link");
        assert!(error.contains(&said), "no `{said}` in: {error}");
    }
    let wrong_offsets = Selection {
        offsets: Some(TSNKIT_QUEUE),
        ..link("(1, 4)")
    };
    let error = refusal(Format::Tsnkit, TSNKIT_GCL, wrong_offsets);
    assert!(error.contains("OFFSET, line 1: the columns are"), "{error}");
}
