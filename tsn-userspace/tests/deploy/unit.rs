//! The systemd unit.

use std::fs;
use std::path::Path;
use std::process::Command;

const UNIT: &str = include_str!("../../../deploy/systemd/tsnd.service");

fn value(key: &str) -> &'static str {
    let mut values = UNIT
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.next().unwrap_or_else(|| panic!("no {key}"))
}

pub fn capabilities() -> Vec<&'static str> {
    value("CapabilityBoundingSet").split(' ').collect()
}

/// The command with the program's name instead of its path.
pub fn command() -> Vec<&'static str> {
    let mut words: Vec<&str> = value("ExecStart").split(' ').collect();
    words[0] = words[0].rsplit('/').next().unwrap();
    words
}

#[test]
fn systemd_takes_the_unit() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tsnd.service");
    fs::write(
        &file,
        UNIT.replace("/usr/bin/tsnd", env!("CARGO_BIN_EXE_tsnd")),
    )
    .unwrap();
    let verify = |file: &Path| {
        let mut command = Command::new("systemd-analyze");
        let output = command.arg("verify").arg(file).output();
        let output = output.expect("systemd is missing; `cargo xtask setup` installs it");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(verify(&file), "");
    fs::write(&file, UNIT.replace("WatchdogSec", "WatchdogSeconds")).unwrap();
    assert!(verify(&file).contains("WatchdogSeconds"));
}

#[test]
fn it_stops_no_sooner_than_the_daemon_has_drained() {
    let seconds = |key| value(key).parse::<u32>().unwrap();
    assert!(seconds("TimeoutStopSec") > 10);
    assert_eq!(value("Type"), "notify");
}
