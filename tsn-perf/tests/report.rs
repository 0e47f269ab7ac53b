//! The `report` command.

use std::process::Command;

use tsn_perf::report::{Dot, Report, Run, StreamResult};

#[test]
fn a_page_and_a_table_come_from_json() {
    let frames = vec![Dot {
        arrival_ns: 5_000,
        launch_time_ns: Some(4_000),
        stalled: false,
    }];
    let stream = StreamResult {
        name: "motion".to_owned(),
        frames,
        ..StreamResult::default()
    };
    let run = Run {
        name: "gated".to_owned(),
        streams: vec![stream],
        ..Run::default()
    };
    let report = Report {
        title: "A <title>".to_owned(),
        runs: vec![run],
        ..Report::default()
    };

    let directory = tempfile::tempdir().unwrap();
    let (data, page) = (
        directory.path().join("data.json"),
        directory.path().join("page.html"),
    );
    std::fs::write(&data, serde_json::to_vec(&report).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tsn-perf"));
    let output = command
        .arg("report")
        .arg(&data)
        .arg("--html")
        .arg(&page)
        .output()
        .unwrap();

    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        tsn_perf::report::table(&report)
    );
    let html = std::fs::read_to_string(page).unwrap();
    assert_eq!(html, tsn_perf::report::html(&report));
    assert!(html.contains("<title>A &lt;title&gt;</title>"));
}

#[test]
fn data_that_is_no_report_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data.json");
    std::fs::write(&data, "{\"title\": 5}").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tsn-perf"));
    let output = command
        .arg("report")
        .arg(&data)
        .args(["--html", "/dev/null"])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("data.json is not a report's data"),
        "{error}"
    );
}
