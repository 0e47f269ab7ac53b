//! `tsnctl plan`: its model against known figures, and its pictures.

mod any;
mod change;
mod command;
mod model;
mod pictures;

use std::path::PathBuf;

use tsn_core::{Nanoseconds, TaiTime};
use tsn_userspace::config::Configuration;
use tsn_userspace::plan::model::{Row, Window};
use tsn_userspace::plan::{Assumptions, Plan};

const ASSUMPTIONS: Assumptions = Assumptions {
    link_speed_mbps: 1_000,
    mtu_bytes: 1_500,
    lead: Nanoseconds::from_nanos(5_000),
};

/// After the base time of the examples, and at a start of their cycles.
const NOW: TaiTime = TaiTime::from_nanos(1_000_000_000_000_000);

/// A file of the repository.
fn repository_file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

fn example(path: &str) -> Configuration {
    let text = std::fs::read_to_string(repository_file(path)).unwrap();
    Configuration::from_yaml(&text).unwrap()
}

/// A configuration with these classes (one in a line, as YAML) and gate parameters.
fn configuration(classes: &[&str], gates: &str) -> Configuration {
    let classes: String = classes
        .iter()
        .map(|class| format!("      - {class}\n"))
        .collect();
    let gates: String = gates
        .lines()
        .map(|line| format!("      {}\n", line.trim()))
        .collect();
    let text = format!(
        "uplinks:\n  - device: up0\n    link-speed: 1000\n    traffic-classes:\n{classes}    gate-parameters:\n{gates}"
    );
    Configuration::from_yaml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn row(plan: &Plan, class: u8) -> &Row {
    let mut rows = plan.rows.iter();
    rows.find(|row| row.classes.contains(&class)).unwrap()
}

fn times(windows: &[Window]) -> Vec<(Option<i64>, Option<i64>)> {
    windows
        .iter()
        .map(|window| (window.open_ns, window.close_ns))
        .collect()
}
