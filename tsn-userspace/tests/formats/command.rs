//! The program itself, once for each direction.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::{GATES_JSON, GATES_TC, GATES_YAML};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// Runs `tsnctl convert` in the folder of the samples.
fn convert(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tsnctl"))
        .arg("convert")
        .args(arguments)
        .current_dir(DATA)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end before it has read all.
    stdin.write_all(input.as_bytes()).ok();
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn texts(output: &Output) -> (&str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn each_direction_works_from_a_file_and_from_standard_input() {
    let documents = [
        ("tsnd", "gates.yaml", GATES_YAML),
        ("yang", "gates.json", GATES_JSON),
        ("taprio", "gates.sh", GATES_TC),
    ];
    for (from, file, source) in documents {
        for (to, _, wanted) in documents.iter().filter(|(to, _, _)| *to != from) {
            for output in [
                convert(&["--from", from, "--to", to, file], ""),
                convert(&["--to", to, "--strict"], source),
            ] {
                assert_eq!(texts(&output), (*wanted, ""));
                assert_eq!(output.status.code(), Some(0));
            }
        }
        let same = convert(&["--from", from, "--to", from, file], "");
        assert_eq!(same.status.code(), Some(1));
        assert!(texts(&same).1.contains("the same format"));
    }
}

#[test]
fn tsnkit_s_other_files_are_found_beside_the_gates() {
    let options = [
        "--to",
        "tsnd",
        "--link",
        "1,4",
        "--device",
        "eth1",
        "tsnkit/demo-GCL.csv",
    ];
    let output = convert(&options, "");
    let (document, losses) = texts(&output);
    assert_eq!(document, include_str!("../data/tsnkit/link-1-4.yaml"));
    assert_eq!(losses.lines().count(), 3);
    let first = "not carried: offset of stream 0, frame 0 3504000 ns: a launch time";
    assert!(losses.starts_with(first), "{losses}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_loss_is_told_and_strictly_forbidden() {
    let named = GATES_YAML.replace("{ number: 1 }", "{ number: 1, name: video }");
    let told =
        "not carried: uplinks[0].traffic-classes[1].name \"video\": a setting of tsnd's own\n";
    let output = convert(&["--to", "taprio"], &named);
    assert_eq!(texts(&output), (GATES_TC, told));
    assert_eq!(output.status.code(), Some(0));

    let output = convert(&["--to", "taprio", "--strict"], &named);
    let (document, losses) = texts(&output);
    assert_eq!(document, "");
    assert!(
        losses.starts_with(told) && losses.contains("--strict"),
        "{losses}"
    );
    assert_eq!(output.status.code(), Some(1));

    for (strict, wanted) in [(false, Value::from(GATES_TC)), (true, Value::Null)] {
        let mut options = vec!["--to", "taprio", "--output", "json"];
        options.extend(strict.then_some("--strict"));
        let output = convert(&options, &named);
        let (answer, errors) = texts(&output);
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(answer["document"], wanted);
        assert_eq!(answer["not-carried"].as_array().unwrap().len(), 1);
        assert_eq!(answer["not-carried"][0]["value"], "\"video\"");
        assert_eq!(errors, "");
        assert_eq!(output.status.code(), Some(i32::from(strict)));
    }
}

#[test]
fn an_error_says_file_and_place_and_writes_nothing() {
    for (arguments, input, fragment) in [
        (&["--to", "yang"][..], "hello", "say with --from what it is"),
        (
            &["--to", "yang", "no-such-file"],
            "",
            "no-such-file: cannot be read",
        ),
        (
            &["--to", "tsnd", "--from", "taprio"],
            "tc qdisc del dev eth0 root taprio",
            "line 1, column 10",
        ),
        (&["--to", "tsnd", "tsnkit/demo-GCL.csv"], "", "'(1, 4)'"),
        (
            &["--to", "tsnd", "--device", "eth7", "gates.sh"],
            "",
            "--device: the document names its one device",
        ),
        (
            &["--to", "yang", "--device", "eth7", "gates.yaml"],
            "",
            "--device: the document names its one device",
        ),
        (
            &["--to", "yang", "--link", "(1, 4)", "gates.sh"],
            "",
            "--link: only files of tsnkit",
        ),
        (
            &["--to", "tsnd", "--link", "(1, 4)", "gates.json"],
            "",
            "--link: only files of tsnkit",
        ),
        (
            &["--to", "taprio", "--from", "tsnd"],
            "uplinks: [{ device: eth0 }]",
            "-: uplinks[0].gate-parameters: no gate control list",
        ),
    ] {
        let output = convert(arguments, input);
        let (document, errors) = texts(&output);
        assert_eq!(document, "");
        assert!(errors.contains(fragment), "{errors}");
        assert_eq!(output.status.code(), Some(1));
    }
}
