//! `tsnctl check` as it is run: its whole text and its exit status.

use std::path::PathBuf;
use std::process::{Command, Output};

/// A file of a directory of its own, so that its name in the output is the same everywhere.
fn check(test: &str, configuration: &str, options: &[&str]) -> Output {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("check-{test}"));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("tsnd.yaml"), configuration).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tsnctl"))
        .args(["check", "tsnd.yaml", "--control", "no.sock"])
        .args(options)
        .current_dir(&directory)
        .output()
        .unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    output
}

#[track_caller]
fn says(output: &Output, status: i32, text: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{stderr}");
    assert_eq!(stderr, "");
    assert_eq!(output.status.code(), Some(status));
}

const FIGURES: [&str; 4] = ["--lead", "5us", "--clock-error", "1us"];

#[test]
fn a_good_file_is_good() {
    let good = "uplinks:\n  - device: eth1\n";
    says(
        &check("good", good, &[]),
        0,
        "0 errors, 0 warnings, 0 notes\n",
    );
    let example = include_str!("../../examples/tsnd.yaml");
    let output = check("example", example, &FIGURES);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_file_that_the_daemon_would_refuse_is_shown_with_all_its_errors() {
    let bad = "\
uplinks:
  - device: eth1
    link-speed: 0
    gate-parameters:
      admin-control-list: [{ gate-states-value: [radio], time-interval-value: 1ms }]
worker: { heartbeat-timeout: 1us }
";
    says(
        &check("bad", bad, &[]),
        1,
        "\
tsnd.yaml:3:17: error[value]: uplinks[0].link-speed: 0 Mb/s; give the speed in Mb/s, or leave it out to read it from the device
    3 |     link-speed: 0
      |                 ^

tsnd.yaml:5:49: error[value]: uplinks[0].gate-parameters.admin-control-list[0].gate-states-value: there is no traffic class `radio`; 0 to 7, or one of []
    5 |       admin-control-list: [{ gate-states-value: [radio], time-interval-value: 1ms }]
      |                                                 ^

tsnd.yaml:6:30: error[value]: worker.heartbeat-timeout: 1000 ns is outside 1ms to 10s
    6 | worker: { heartbeat-timeout: 1us }
      |                              ^

3 errors, 0 warnings, 0 notes
",
    );
    let output = check("no-yaml", "uplinks: [", &[]);
    let text = "\
tsnd.yaml:1:10: error[shape]: unclosed bracket '['
    1 | uplinks: [
      |          ^

1 error, 0 warnings, 0 notes
";
    says(&output, 1, text);
}

/// The page that explains the codes shows what is really printed.
#[test]
fn the_example_of_the_documentation_is_what_is_printed() {
    let page = include_str!("../../docs/check.md");
    let block = |language: &str| {
        let (_, after) = page.split_once(&format!("```{language}\n")).unwrap();
        after.split_once("```\n").unwrap().0
    };
    says(&check("page", block("yaml"), &FIGURES), 3, block("text"));

    let json = [&FIGURES[..], &["--output", "json"]].concat();
    let output = check("json", block("yaml"), &json);
    assert_eq!(output.status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let told = |key: &str| report[key].as_u64().unwrap() as usize;
    assert_eq!(
        findings.len(),
        told("errors") + told("warnings") + told("notes")
    );
    for finding in findings {
        for key in ["severity", "code", "place", "message"] {
            assert!(finding[key].is_string(), "{key} of {finding}");
        }
        assert!(finding["line"].as_u64() > Some(0) && finding["column"].as_u64() > Some(0));
    }
}
