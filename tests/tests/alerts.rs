//! Prometheus's own tool accepts the alerts, their unit tests and the dashboard's queries.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;
use tsn_tests::{clients::promtool, scratch};

fn deploy(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy")).join(file)
}

fn succeeds(command: &mut Command) {
    let output = command
        .output()
        .expect("promtool is missing; `cargo xtask setup` unpacks it");
    let (out, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}\n{out}{errors}");
}

#[test]
fn the_alerts_are_valid_and_fire_when_they_should() {
    succeeds(
        promtool()
            .args(["check", "rules"])
            .arg(deploy("prometheus/tsnd-alerts.yaml")),
    );
    succeeds(
        promtool()
            .args(["test", "rules"])
            .arg(deploy("prometheus/tsnd-alerts-test.yaml")),
    );
}

/// Puts values where Grafana would.
fn filled_in(query: &str) -> String {
    query
        .replace("$__rate_interval", "1m")
        .replace("$__range", "1h")
        .replace("$instance", ".*")
        .replace("$pod", ".*")
}

#[test]
fn the_dashboards_queries_are_valid() {
    let text = fs::read_to_string(deploy("grafana/tsnd.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let rules: Vec<Value> = targets
        .flatten()
        .enumerate()
        .map(|(number, target)| {
            let query = filled_in(target["expr"].as_str().unwrap());
            serde_json::json!({ "record": format!("panel:{number}"), "expr": query })
        })
        .collect();
    assert!(rules.len() > 25, "{} queries", rules.len());
    let directory = scratch::directory("queries").unwrap();
    let file = directory.path().join("rules.yaml");
    let groups = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(&file, groups.to_string()).unwrap();
    succeeds(promtool().args(["check", "rules"]).arg(&file));
}
