//! Networks that name the plugin, against the plugin and the profiles that they are deployed with.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, chown};

use serde_json::Value;

use crate::{VARIANTS, container, daemon_set, manifest, read, strings, yaml};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The entry of the plugin in a list, or the configuration itself where it is of the plugin alone.
fn entry(network: &Value) -> Value {
    let plugins = network["plugins"].as_array();
    let mut plugins = plugins.into_iter().flatten().chain([network]);
    let found = plugins.find(|plugin| plugin["type"] == "tsn-cni");
    found
        .unwrap_or_else(|| panic!("no tsn-cni in {network}"))
        .clone()
}

/// Lets the plugin read the entry as a runtime would give it, in a call that changes nothing.
fn answer(entry: &Value) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut input = entry.clone();
    input["cniVersion"] = "1.1.0".into();
    input["name"] = "test".into();
    input["recordDirectory"] = directory.path().to_str().unwrap().into();
    input["cni.dev/valid-attachments"] = Value::Array(Vec::new());
    let variable = |name: &str| {
        let value = match name {
            "CNI_COMMAND" => "GC",
            "CNI_PATH" => "/opt/cni/bin",
            _ => return None,
        };
        Some(OsString::from(value))
    };
    let answer = tsn_cni::answer(variable, input.to_string().as_bytes());
    assert_eq!(
        answer.success,
        answer.output.is_empty(),
        "{}",
        answer.output
    );
    answer.output
}

pub fn check(network: &Value) {
    let mut entry = entry(network);
    assert_eq!(answer(&entry), "");
    entry["profiles"] = "motion".into();
    assert!(answer(&entry).contains("unknown field `profiles`"));
}

fn machine() -> Value {
    let network = manifest("kubernetes/multus/network.yaml");
    json(network["spec"]["config"].as_str().unwrap())
}

fn examples() -> Vec<Value> {
    let files = [
        "10-flannel.conflist",
        "10-bridge.conflist",
        "multus-auxiliary-chain.conf",
    ];
    let examples = files.map(|file| json(&read(&format!("cni/{file}"))));
    examples.into_iter().chain([machine()]).collect()
}

#[test]
fn the_plugin_takes_every_example() {
    for example in examples() {
        check(&example);
    }
}

/// What the options of the plugin's container say comes to what the example shows.
#[test]
fn the_example_for_flannel_is_what_the_installer_makes() {
    let example = read("cni/10-flannel.conflist");
    let entry = entry(&json(&example));
    let words = daemon_set("flannel");
    let words = strings(&container(&words, "cni")["args"]).join(" ");
    let profile = entry["profile"].as_str().unwrap();
    assert!(words.contains(&format!("--profile={profile}")));
    for profile in strings(&entry["selectableProfiles"]) {
        assert!(words.contains(&format!("--selectable-profile={profile}")));
    }

    let directory = tempfile::tempdir().unwrap();
    let (networks, plugins) = (directory.path().join("net.d"), directory.path().join("bin"));
    std::fs::create_dir(&networks).unwrap();
    std::fs::create_dir(&plugins).unwrap();
    let file = networks.join("10-flannel.conflist");
    let without = example
        .split(",\n    {\n      \"type\": \"tsn-cni\"")
        .next()
        .unwrap();
    std::fs::write(&file, format!("{without}\n  ]\n}}\n")).unwrap();
    let options = words
        .split(' ')
        .filter(|word| word.starts_with("--") && word.contains("profile"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tsnctl"));
    command.args(["cni", "install"]).args(options);
    command.arg("--binary").arg(env!("CARGO_BIN_EXE_tsnctl"));
    command.arg("--configuration-directory").arg(&networks);
    command.arg("--binary-directory").arg(&plugins);
    assert!(command.output().unwrap().status.success());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), example);
}

/// Names of profiles that anything under `deploy` asks for.
fn wanted(variant: &str) -> BTreeSet<String> {
    let entry = match variant {
        "flannel" => entry(&json(&read("cni/10-flannel.conflist"))),
        _ => entry(&machine()),
    };
    let mut wanted: BTreeSet<String> = [entry["profile"].as_str().unwrap().to_owned()].into();
    wanted.extend(
        strings(&entry["selectableProfiles"])
            .into_iter()
            .map(str::to_owned),
    );
    let pod = manifest(&format!("kubernetes/{variant}/pod.yaml"));
    let annotations = &pod["metadata"]["annotations"];
    if let Some(profile) = annotations["tsnd.dev/profile"].as_str() {
        wanted.insert(profile.to_owned());
    }
    if let Some(networks) = annotations["k8s.v1.cni.cncf.io/networks"].as_str() {
        for network in json(networks).as_array().unwrap() {
            assert_eq!(
                network["name"],
                manifest("kubernetes/multus/network.yaml")["metadata"]["name"]
            );
            let profile = &network["cni-args"]["tsnd"]["profile"];
            wanted.insert(profile.as_str().unwrap().to_owned());
        }
    }
    wanted
}

#[test]
fn every_profile_that_is_asked_for_is_configured() {
    for variant in VARIANTS {
        let configuration = yaml(&read(&format!("kubernetes/{variant}/tsnd.yaml")));
        let profiles = configuration["profiles"].as_array().unwrap().iter();
        let configured: BTreeSet<String> = profiles
            .map(|profile| profile["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(wanted(variant), configured, "{variant}");
    }
}

/// Unpacked as they come, plugins and their directory belong to whoever built them.
#[test]
fn the_installer_has_the_capabilities_to_write_where_another_user_owns() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root has capabilities to do without");
        return;
    }
    let daemon_set = daemon_set("flannel");
    let given = &container(&daemon_set, "cni")["securityContext"]["capabilities"]["add"];
    let given: Vec<String> = strings(given)
        .iter()
        .map(|name| format!(",+{}", name.to_lowercase()))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("10-flannel.conflist");
    let text = r#"{"name":"cbr0","cniVersion":"1.0.0","plugins":[{"type":"flannel"}]}"#;
    std::fs::write(&list, text).unwrap();
    let owner = Some(1001);
    for path in [directory.path(), &list] {
        chown(path, owner, owner).unwrap();
    }
    let mut command = std::process::Command::new("setpriv");
    command.arg(format!("--bounding-set=-all{}", given.concat()));
    command.args(["--no-new-privs", env!("CARGO_BIN_EXE_tsnctl")]);
    command.args(["cni", "install", "--profile", "motion"]);
    command.arg("--binary").arg(env!("CARGO_BIN_EXE_tsnctl"));
    for option in ["--configuration-directory", "--binary-directory"] {
        command.arg(option).arg(directory.path());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::metadata(&list).unwrap().uid(), 1001);
}
