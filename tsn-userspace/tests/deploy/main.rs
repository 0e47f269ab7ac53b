//! What stands under `deploy/`, and what `docs/kubernetes.md` shows, against the programs and Kubernetes' own types.

mod cni;
mod commands;
mod container;
mod kubernetes;
mod page;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Of the variants of the deployment.
const VARIANTS: [&str; 2] = ["flannel", "multus"];

fn path(file: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy")).join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The manifest of a file.
fn manifest(file: &str) -> Value {
    yaml(&read(file))
}

/// The DaemonSet of a variant, after the additions that its kustomization makes.
fn daemon_set(variant: &str) -> Value {
    let mut daemon_set = manifest("kubernetes/base/daemonset.yaml");
    let kustomization = manifest(&format!("kubernetes/{variant}/kustomization.yaml"));
    for patch in kustomization["patches"].as_array().unwrap() {
        assert_eq!(patch["target"]["kind"], "DaemonSet");
        for operation in yaml(patch["patch"].as_str().unwrap()).as_array().unwrap() {
            assert_eq!(operation["op"], "add");
            let list = operation["path"].as_str().unwrap().strip_suffix("/-");
            let list = daemon_set.pointer_mut(list.unwrap()).unwrap();
            list.as_array_mut()
                .unwrap()
                .push(operation["value"].clone());
        }
    }
    daemon_set
}

/// The container of that name.
fn container<'a>(daemon_set: &'a Value, name: &str) -> &'a Value {
    let containers = daemon_set["spec"]["template"]["spec"]["containers"].as_array();
    let mut containers = containers.unwrap().iter();
    containers
        .find(|container| container["name"] == name)
        .unwrap()
}

fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|item| item.as_str().unwrap()).collect()
}
