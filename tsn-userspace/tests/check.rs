//! `tsnctl check` as it is run: its whole text and its exit status.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

const SOCKET: &str = "control.sock";

/// A file of a directory of its own, so that its name in the output is the same everywhere.
fn check(configuration: &str, options: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    check_in(directory.path(), configuration, options)
}

fn check_in(directory: &Path, configuration: &str, options: &[&str]) -> Output {
    std::fs::write(directory.join("tsnd.yaml"), configuration).unwrap();
    Command::new(env!("CARGO_BIN_EXE_tsnctl"))
        .args(["check", "tsnd.yaml", "--control", SOCKET])
        .args(options)
        .current_dir(directory)
        .output()
        .unwrap()
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
    says(&check(good, &[]), 0, "0 errors, 0 warnings, 0 notes\n");
    let example = include_str!("../../examples/tsnd.yaml");
    let output = check(example, &FIGURES);
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
        &check(bad, &[]),
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
    let output = check("uplinks: [", &[]);
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
    says(&check(block("yaml"), &FIGURES), 3, block("text"));

    let json = [&FIGURES[..], &["--output", "json"]].concat();
    let output = check(block("yaml"), &json);
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

/// A file with a gate control list, and so with a note of what was assumed of the daemon.
const SCHEDULED: &str = "\
uplinks:
  - device: eth1
    link-speed: 1000
    gate-parameters:
      admin-control-list: [{ gate-states-value: 255, time-interval-value: 1ms }]
";

fn note(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    let assumed = stdout.lines().find(|line| line.contains("note[assumed]"));
    assumed
        .unwrap_or_else(|| panic!("no note in:\n{stdout}"))
        .to_owned()
}

#[test]
fn why_the_daemon_tells_nothing_is_told() {
    let said = note(&check(SCHEDULED, &[]));
    let nobody = "assumed: a lead of 5 µs (no tsnd listens on control.sock), a clock error of 1 µs";
    assert!(said.ends_with(nobody), "{said}");

    // One of another version.
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join(SOCKET)).unwrap();
    let daemon = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        client.write_all(answer).unwrap();
    });
    let said = note(&check_in(directory.path(), SCHEDULED, &[]));
    daemon.join().unwrap();
    assert!(said.contains("are of different versions"), "{said}");
}

#[test]
fn a_daemon_that_hangs_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    // It accepts, as the kernel does for it, and never answers.
    let _listener = UnixListener::bind(directory.path().join(SOCKET)).unwrap();
    let said = note(&check_in(directory.path(), SCHEDULED, &[]));
    assert!(said.contains("has not answered for 3s"), "{said}");
}
