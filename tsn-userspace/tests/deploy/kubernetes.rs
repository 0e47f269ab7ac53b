//! Manifests against the types of Kubernetes' own API.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{VARIANTS, container, daemon_set, manifest, read, strings, yaml};

/// What the type knows comes back; a field that it does not know, or that has another name, does not.
#[track_caller]
fn is_whole<T: DeserializeOwned + Serialize>(manifest: &Value) {
    let typed: T = serde_json::from_value(manifest.clone()).unwrap();
    assert_eq!(&serde_json::to_value(typed).unwrap(), manifest);
}

pub fn check(manifest: &Value) {
    match manifest["kind"].as_str().unwrap() {
        "DaemonSet" => is_whole::<DaemonSet>(manifest),
        "Namespace" => is_whole::<Namespace>(manifest),
        "Pod" => is_whole::<Pod>(manifest),
        "NetworkAttachmentDefinition" => {
            let name = &manifest["metadata"]["name"];
            let expected = json!({
                "apiVersion": "k8s.cni.cncf.io/v1",
                "kind": "NetworkAttachmentDefinition",
                "metadata": { "name": name },
                "spec": { "config": manifest["spec"]["config"] },
            });
            assert_eq!(manifest, &expected);
        }
        kind => panic!("no type for {kind}"),
    }
}

#[test]
fn every_manifest_is_one() {
    for file in [
        "base/namespace.yaml",
        "base/daemonset.yaml",
        "flannel/pod.yaml",
        "multus/pod.yaml",
        "multus/network.yaml",
    ] {
        check(&manifest(&format!("kubernetes/{file}")));
    }
    for variant in VARIANTS {
        check(&daemon_set(variant));
    }
}

#[test]
#[should_panic(expected = "assertion")]
fn a_field_of_another_name_is_found() {
    let text = read("kubernetes/base/daemonset.yaml");
    check(&yaml(
        &text.replace("mountPropagation:", "mountPropagations:"),
    ));
}

#[test]
fn every_kustomization_names_files_that_are_there() {
    for directory in ["base", "flannel", "multus"] {
        let kustomization = manifest(&format!("kubernetes/{directory}/kustomization.yaml"));
        let mut files = strings(&kustomization["resources"]);
        for generator in kustomization["configMapGenerator"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert_eq!(generator["name"], "tsnd");
            files.extend(strings(&generator["files"]));
        }
        for file in files {
            let path = crate::path(&format!("kubernetes/{directory}/{file}"));
            assert!(path.exists(), "{}", path.display());
        }
    }
}

#[test]
fn the_daemon_is_not_privileged_and_has_the_capabilities_of_the_unit() {
    let daemon_set = daemon_set("flannel");
    for name in ["tsnd", "cni"] {
        let context = &container(&daemon_set, name)["securityContext"];
        assert_eq!(context["privileged"], Value::Null);
        assert_eq!(strings(&context["capabilities"]["drop"]), ["ALL"]);
    }
    let context = &container(&daemon_set, "tsnd")["securityContext"];
    let given = strings(&context["capabilities"]["add"]);
    let given: Vec<String> = given.iter().map(|name| format!("CAP_{name}")).collect();
    assert_eq!(given, crate::unit::capabilities());
    let installer = &container(&daemon_set, "cni")["securityContext"]["capabilities"];
    assert_eq!(strings(&installer["add"]), ["DAC_OVERRIDE", "CHOWN"]);
}

#[test]
fn every_mount_has_its_volume_and_every_volume_is_mounted() {
    let daemon_set = daemon_set("flannel");
    let pod = &daemon_set["spec"]["template"]["spec"];
    let names = |list: &Value| -> Vec<String> {
        let names = list.as_array().unwrap().iter();
        names
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut mounts = Vec::new();
    for container in pod["containers"].as_array().unwrap() {
        mounts.extend(names(&container["volumeMounts"]));
    }
    let mut volumes = names(&pod["volumes"]);
    mounts.sort();
    volumes.sort();
    assert_eq!(mounts, volumes);
}

/// Where the records name it, pods that come later must be seen.
#[test]
fn the_daemon_sees_pods_that_come_later() {
    let daemon_set = daemon_set("flannel");
    let mounts = container(&daemon_set, "tsnd")["volumeMounts"]
        .as_array()
        .unwrap();
    let netns = mounts
        .iter()
        .find(|mount| mount["name"] == "netns")
        .unwrap();
    assert_eq!(netns["mountPath"], "/var/run/netns");
    assert_eq!(netns["mountPropagation"], "HostToContainer");
}
