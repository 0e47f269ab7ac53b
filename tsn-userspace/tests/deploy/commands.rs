//! Commands with options, against the programs.

use std::process::Command;

use serde_json::Value;

use crate::{VARIANTS, container, daemon_set, path, strings, unit};

fn program(name: &str) -> Command {
    Command::new(match name {
        "tsnd" => env!("CARGO_BIN_EXE_tsnd"),
        "tsnctl" => env!("CARGO_BIN_EXE_tsnctl"),
        name => panic!("{name} is none of our programs"),
    })
}

/// Whether the program knows all that the words say. It reads them up to `--help`, and does nothing.
fn is_known(words: &[&str]) -> bool {
    let output = program(words[0])
        .args(&words[1..])
        .arg("--help")
        .output()
        .unwrap();
    output.status.success()
}

pub fn check(words: &[&str]) {
    assert!(is_known(words), "{words:?}");
    // What is asked has two answers.
    assert!(!is_known(&[words, &["--nonsense"]].concat()), "{words:?}");
}

fn words<'a>(container: &'a Value, argument_of_probe: Option<&str>) -> Vec<&'a str> {
    match argument_of_probe {
        Some(probe) => strings(&container[probe]["exec"]["command"]),
        None => [strings(&container["command"]), strings(&container["args"])].concat(),
    }
}

#[test]
fn every_option_of_a_container_and_of_the_unit_is_known() {
    for variant in VARIANTS {
        let daemon_set = daemon_set(variant);
        check(&words(container(&daemon_set, "tsnd"), None));
        check(&words(container(&daemon_set, "cni"), None));
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            check(&words(container(&daemon_set, "tsnd"), Some(probe)));
        }
    }
    check(&unit::command());
}

/// What is missing in the options of the plugin's container is told at its start, not by `--help`.
///
/// The node's directories, which the container has below `/host`, are in a scratch directory here. The plugin itself is
/// one that is not there: with that, all that the options must say has been read.
#[test]
fn the_plugins_container_has_the_options_that_it_needs() {
    for variant in VARIANTS {
        let node = tempfile::tempdir().unwrap();
        let binary = node.path().join("tsn-cni");
        let daemon_set = daemon_set(variant);
        let words = words(container(&daemon_set, "cni"), None);
        let mut install = program("tsnctl");
        for word in words[1..].iter().filter(|word| **word != "--watch") {
            install.arg(word.replace("/host", &node.path().display().to_string()));
        }
        let output = install.arg("--binary").arg(&binary).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = format!("{} cannot be read", binary.display());
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn every_configuration_passes_tsnctl_check() {
    for variant in VARIANTS {
        let file = path(&format!("kubernetes/{variant}/tsnd.yaml"));
        let output = program("tsnctl").arg("check").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
    }
}
