//! The metrics page as the reference reads it, and as Prometheus's own tool likes it.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use tsn_tests::clients::promtool;

/// Reads OpenMetrics as strictly as its reference does, and tells the number of samples.
const STRICT_READER: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(sum(len(family.samples) for family in text_string_to_metric_families(sys.stdin.read())))
";

/// How many samples the reference reads.
pub fn samples(text: &str) -> usize {
    let mut reader = Command::new("/usr/bin/python3")
        .args(["-c", STRICT_READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reader
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "no OpenMetrics:\n{text}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// `promtool check metrics` reads the older text format: a counter's description has the name of its samples there.
pub fn lint(text: &str) {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut older = text.replace("# EOF\n", "");
    for (name, kind) in types.filter_map(|rest| rest.split_once(' ')) {
        let (suffix, older_kind) = match kind {
            "counter" => ("_total", kind),
            "info" => ("_info", "gauge"),
            "unknown" => ("", "untyped"),
            _ => ("", kind),
        };
        let described = format!("# TYPE {name}{suffix} {older_kind}\n");
        older = older
            .replace(
                &format!("# HELP {name} "),
                &format!("# HELP {name}{suffix} "),
            )
            .replace(&format!("# TYPE {name} {kind}\n"), &described);
    }
    let mut promtool = promtool()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing; `cargo xtask setup` unpacks it");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(older.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}
