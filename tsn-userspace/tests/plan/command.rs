//! The program itself.

use std::process::{Command, Output};

use serde_json::Value;

use crate::repository_file;

/// Runs `tsnctl plan` where no daemon listens.
fn plan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tsnctl"))
        .current_dir(repository_file(""))
        .args(["--control", "/nonexistent/control.sock", "plan"])
        .args(arguments)
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_good_file_is_drawn() {
    let directory = tempfile::tempdir().unwrap();
    let svg = directory.path().join("plan.svg");
    let svg_argument = svg.to_str().unwrap();
    let output = plan(&[
        "examples/tsnd.yaml",
        "--lead",
        "5us",
        "--width",
        "60",
        "--svg",
        svg_argument,
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let golden = repository_file("tsn-userspace/tests/plan/golden/plan_60.txt");
    assert_eq!(
        text(&output.stdout),
        std::fs::read_to_string(golden).unwrap()
    );
    let kept = std::fs::read_to_string(repository_file("docs/plan.svg")).unwrap();
    assert_eq!(std::fs::read_to_string(svg).unwrap(), kept);
}

#[test]
fn a_change_is_drawn_for_people_and_machines() {
    let files = ["--change", "examples/tsnd.yaml", "examples/tsnd-500us.yaml"];
    let at = ["--at", "4000000000000380000", "--lead", "5us"];
    let output = plan(&[&files[..], &at[..]].concat());
    assert!(
        text(&output.stdout).contains("is cut after 380 µs"),
        "{output:?}"
    );
    let output = plan(&[&files[..], &at[..], &["--output", "json"]].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["change"]["last-cycle-ns"], 380_000);
    assert_eq!(json["rows"][0]["figures"]["guard-band-ns"], 12_304);
}

#[test]
fn what_is_assumed_is_told() {
    let output = plan(&["examples/tsnd.yaml"]);
    assert!(
        text(&output.stdout).contains("note: the lead is assumed"),
        "{output:?}"
    );
}

#[test]
fn a_bad_file_is_refused_by_its_field() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.yaml");
    let good = std::fs::read_to_string(repository_file("examples/tsnd.yaml")).unwrap();
    std::fs::write(&file, good.replacen("link-speed: 1000", "link-speed: 0", 1)).unwrap();
    let output = plan(&[file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let error = text(&output.stderr);
    assert!(
        error.contains("bad.yaml") && error.contains("uplinks[0].link-speed"),
        "{error}"
    );
    let output = plan(&["/nonexistent/plan.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/nonexistent/plan.yaml: cannot be read"));
}

#[test]
fn wrong_usage_is_told() {
    for arguments in [
        &[][..],
        &["examples/tsnd.yaml", "--at", "+2s"],
        &["examples/tsnd.yaml", "--cycles", "0"],
        &["--change", "examples/tsnd.yaml"],
    ] {
        assert_eq!(plan(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
