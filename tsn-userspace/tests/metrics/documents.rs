//! Documentation, dashboard and alerts know the metrics that the daemon tells, and no others.

use std::collections::BTreeSet;

use tsn_port::fault::Faults;
use tsn_userspace::metrics::{Kind, encode, families};

use super::bench::{Bench, CONFIGURATION};

const METRICS_PAGE: &str = include_str!("../../../docs/metrics.md");

/// The rows that the page must have, in their order.
fn rows() -> Vec<String> {
    families()
        .map(|family| {
            let labels = match family.labels {
                [] => String::new(),
                labels => format!("`{}`", labels.join("`, `")),
            };
            let (name, kind, help) = (family.sample_name(), family.kind.name(), family.help);
            format!("| `{name}` | {kind} | {labels} | {help} |")
        })
        .collect()
}

#[test]
fn the_page_has_exactly_the_families() {
    let (_, after) = METRICS_PAGE.split_once("## The families").unwrap();
    let (section, _) = after.split_once("\n## ").unwrap();
    let is_row = |line: &&str| line.starts_with("| `");
    let on_page: Vec<&str> = section.lines().filter(is_row).collect();
    let rows = rows();
    assert!(
        on_page == rows,
        "docs/metrics.md must have these rows:\n{}",
        rows.join("\n")
    );
}

/// Series by what they are about: the daemon, a class, a pod, a stream.
#[test]
fn the_page_tells_how_many_series_there_are() {
    // What the page counts and these ports do not have: the kernel programs' counters, and a frame with a launch time.
    const KERNEL_COUNTERS: usize = 7;
    const WORST: usize = 1;
    let text = encode(&Bench::start(CONFIGURATION, Faults::default()).moment());
    let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let of = |label: &str| series.iter().filter(|line| line.contains(label)).count();
    let (streams, pods_and_streams, classes) = (of("stream=\""), of("pod=\""), of("class=\""));
    for (about, counted) in [
        ("daemon", series.len() - pods_and_streams - classes),
        ("traffic class", classes),
        ("pod", pods_and_streams - streams + KERNEL_COUNTERS),
        ("stream", streams + WORST),
    ] {
        let row = METRICS_PAGE
            .lines()
            .find(|line| line.starts_with(&format!("| {about} |")));
        let told = row.and_then(|row| row.rsplit('|').nth(1)).map(str::trim);
        assert_eq!(told, Some(&*counted.to_string()), "series for each {about}");
    }
}

#[test]
fn names_follow_the_conventions() {
    let mut names = BTreeSet::new();
    for family in families() {
        let name = family.name;
        assert!(names.insert(name), "{name} twice");
        assert!(
            name.starts_with("tsnd_") || name == "process_start_time_seconds",
            "{name}"
        );
        for reserved in [
            "_total", "_info", "_bucket", "_sum", "_count", "_ns", "_us", "_ms",
        ] {
            assert!(!name.ends_with(reserved), "{name} ends in {reserved}");
        }
        assert!(family.help.ends_with('.'), "{name}: {}", family.help);
        if family.kind == Kind::Histogram {
            assert!(name.ends_with("_seconds"), "{name}");
        }
    }
}

const DASHBOARD: &str = include_str!("../../../deploy/grafana/tsnd.json");
const ALERTS: &str = include_str!("../../../deploy/prometheus/tsnd-alerts.yaml");
const ALERT_TESTS: &str = include_str!("../../../deploy/prometheus/tsnd-alerts-test.yaml");

/// Every name that a query may ask for.
fn queryable() -> BTreeSet<String> {
    families()
        .flat_map(|family| match family.kind {
            // Without a sum and a count: some buckets are below zero.
            Kind::Histogram if family.name == "tsnd_launch_error_seconds" => {
                vec![format!("{}_bucket", family.name)]
            }
            Kind::Histogram => ["_bucket", "_sum", "_count"]
                .map(|suffix| format!("{}{suffix}", family.name))
                .to_vec(),
            _ => vec![family.sample_name()],
        })
        .collect()
}

/// The words of a text that look like metrics of ours.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("tsnd_") || word.starts_with("process_"))
        .collect()
}

/// The queries of a dashboard, wherever they stand in it.
fn queries(value: &serde_json::Value) -> Vec<&str> {
    let own = value["expr"].as_str().or(value["definition"].as_str());
    let below = value
        .as_object()
        .into_iter()
        .flat_map(|object| object.values())
        .chain(value.as_array().into_iter().flatten());
    own.into_iter().chain(below.flat_map(queries)).collect()
}

#[test]
fn dashboard_and_alerts_ask_for_what_the_daemon_tells() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let queries = queries(&dashboard);
    assert!(queries.len() > 30, "{} queries", queries.len());
    let known = queryable();
    for text in queries.into_iter().chain([ALERTS, ALERT_TESTS]) {
        for name in metrics_in(text) {
            assert!(known.contains(name), "the daemon tells no {name}");
        }
    }
}

#[test]
fn every_alert_has_a_severity_a_next_step_and_a_test() {
    let alerts: Vec<&str> = ALERTS.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 20, "{} alerts", alerts.len());
    for alert in alerts {
        let name = alert.lines().next().unwrap_or_default();
        for part in ["for: ", "severity: ", "summary: ", "description: "] {
            assert!(alert.contains(part), "{name} has no {part}");
        }
        assert!(
            ALERT_TESTS.contains(&format!("alertname=\"{name}\"")),
            "{name} has no test"
        );
    }
}

/// A series that is born with a count would hide that count from `rate` and `increase`.
#[test]
fn the_series_of_a_class_without_a_name_are_there_before_its_first_frame() {
    let configuration = CONFIGURATION.replace("number: 5, name: video", "number: 5");
    let text = encode(&Bench::start(&configuration, Faults::default()).moment());
    for line in [
        "tsnd_class_received_frames_total{class=\"5\"} 0",
        "tsnd_class_dropped_frames_total{class=\"5\",cause=\"late\"} 0",
    ] {
        assert!(
            text.lines().any(|told| told == line),
            "no {line} in\n{text}"
        );
    }
    assert!(!text.contains("class=\"6\""), "nobody uses class 6");
}
