//! The `report` command.

mod sample;

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
fn figures_and_frames_come_as_files_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let report = sample::report();
    std::fs::write(file("data.json"), serde_json::to_vec(&report).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tsn-perf"));
    command.arg("report").arg(file("data.json"));
    for (option, name) in [
        ("--svg", "a.svg"),
        ("--csv", "b.csv"),
        ("--frames-csv", "c.csv"),
    ] {
        command.arg(option).arg(file(name));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let svg = read("a.svg");
    assert!(svg.starts_with("<svg xmlns=") && svg.trim_end().ends_with("</svg>"));
    let frames: usize = report
        .runs
        .iter()
        .flat_map(|run| &run.streams)
        .map(|stream| stream.frames.len())
        .sum();
    assert_eq!(read("c.csv").lines().count(), 1 + frames);
    assert_eq!(read("b.csv").lines().count(), 1 + 2 * 3);
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
