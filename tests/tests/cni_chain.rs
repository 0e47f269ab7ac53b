//! The plugin behind Debian's `bridge`, `host-local` and `portmap`, driven as container runtimes do it, at all versions of
//! the specification. Whatever happens, in the end the node has what it had before.

mod common;

use std::process::Command;

use common::cni::{CniBed, PRIMARY, VERSIONS, is_attached, status};
use serde_json::{Map, Value, json};
use tsn_tests::{
    cni::{plugin::Failure, runtime::valid_attachments},
    namespace::Namespace,
    topology::POD_INTERFACE,
};

#[test]
fn a_pod_comes_and_goes_at_every_version() {
    let bed = CniBed::new();
    let daemon = bed.start();
    for version in VERSIONS {
        let before = bed.snapshot(Some(&daemon));
        let pod = Namespace::new("pod").unwrap();
        let (runtime, list) = (bed.runtime(version), bed.primary(version));
        let eth0 = bed.attachment(&pod, POD_INTERFACE);

        let result = runtime.add(&list, &eth0).unwrap();
        assert_eq!(result["cniVersion"], version);
        assert_eq!(result["interfaces"][2]["name"], POD_INTERFACE, "{result}");
        assert!(is_attached(&daemon, PRIMARY, &eth0));
        bed.assert_served(&daemon, &pod, &eth0);
        if version != "0.3.1" {
            runtime.check(&list, &eth0).unwrap();
        }
        runtime.delete(&list, &eth0).unwrap();
        assert_eq!(status(&daemon, PRIMARY, &eth0), None);
        runtime.delete(&list, &eth0).unwrap();
        bed.assert_as_before(&before, Some(&daemon));
    }
    daemon.terminate().unwrap();
}

#[test]
fn it_speaks_all_versions_and_gives_the_result_before_it_unchanged() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let spoken = bed
        .plugins("1.0.0")
        .versions(bed.node(), "tsn-cni")
        .unwrap();
    assert!(
        VERSIONS
            .iter()
            .all(|version| spoken.contains(&(*version).to_owned())),
        "{spoken:?}"
    );
    for version in VERSIONS {
        let pod = Namespace::new("pod").unwrap();
        let (runtime, list) = (bed.runtime(version), bed.primary(version));
        let eth0 = bed.attachment(&pod, POD_INTERFACE);
        let mut others = list.clone();
        let ours = others.plugins.pop().unwrap();
        let previous = runtime.add(&others, &eth0).unwrap();
        let ours = runtime.execution("ADD", &list, &ours, &eth0, Some(&previous));
        assert_eq!(ours.run(bed.node()).unwrap(), previous);
        runtime.delete(&list, &eth0).unwrap();
    }
    daemon.terminate().unwrap();
}

#[test]
fn add_without_a_result_before_it_is_refused() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(Some(&daemon));
    let pod = Namespace::new("pod").unwrap();
    let eth0 = bed.attachment(&pod, POD_INTERFACE);
    for version in VERSIONS {
        let runtime = bed.runtime(version);
        let error = runtime.add(&bed.only_ours(version), &eth0).unwrap_err();
        assert_eq!(Failure::of(&error).code(), 7, "{error}");
        assert_eq!(Failure::of(&error).error["cniVersion"], version);
    }
    bed.assert_as_before(&before, Some(&daemon));
    daemon.terminate().unwrap();
}

/// What ADD may change at the pod's end of a veth.
fn interface_in(pod: &Namespace) -> String {
    let output = |mut command: Command| {
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (mut link, mut offload) = (pod.command("ip"), pod.command("ethtool"));
    link.args(["-json", "link", "show", "dev", POD_INTERFACE]);
    offload.args(["--show-features", POD_INTERFACE]);
    output(link) + &output(offload)
}

#[test]
fn del_puts_back_what_add_has_changed_at_the_veth() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let pod = Namespace::new("pod").unwrap();
    let runtime = bed.runtime("1.0.0");
    let list = bed.primary("1.0.0");
    let eth0 = bed.attachment(&pod, POD_INTERFACE);
    let mut others = list.clone();
    let ours = others.plugins.pop().unwrap();
    let previous = runtime.add(&others, &eth0).unwrap();

    let (node_before, pod_before) = (bed.snapshot(Some(&daemon)), interface_in(&pod));
    let add = runtime.execution("ADD", &list, &ours, &eth0, Some(&previous));
    add.run(bed.node()).unwrap();
    assert_ne!(bed.snapshot(Some(&daemon)), node_before);
    runtime.delete(&bed.only_ours("1.0.0"), &eth0).unwrap();
    bed.assert_as_before(&node_before, Some(&daemon));
    assert_eq!(interface_in(&pod), pod_before);
    let check = runtime.execution("CHECK", &list, &ours, &eth0, Some(&previous));
    let missing = check.run(bed.node());
    missing.expect_err("CHECK tells that nothing is attached");
    runtime.delete(&others, &eth0).unwrap();
    daemon.terminate().unwrap();
}

#[test]
fn del_needs_no_namespace_no_result_and_no_pod() {
    let bed = CniBed::new();
    let daemon = bed.start();
    for version in VERSIONS {
        let before = bed.snapshot(Some(&daemon));
        let (runtime, list) = (bed.runtime(version), bed.primary(version));

        let never_was = Namespace::new("never").unwrap();
        runtime
            .delete(&list, &bed.attachment(&never_was, POD_INTERFACE))
            .unwrap();

        let without_result = Namespace::new("result").unwrap();
        let eth0 = bed.attachment(&without_result, POD_INTERFACE);
        runtime.add(&list, &eth0).unwrap();
        runtime.forget(&list, &eth0);
        runtime.delete(&list, &eth0).unwrap();

        let without_netns = Namespace::new("netns").unwrap();
        let eth0 = bed.attachment(&without_netns, POD_INTERFACE);
        runtime.add(&list, &eth0).unwrap();
        runtime
            .delete(&list, &eth0.clone().without_netns())
            .unwrap();
        drop(without_netns);
        runtime.delete(&list, &eth0).unwrap();

        let gone = Namespace::new("gone").unwrap();
        let eth0 = bed.attachment(&gone, POD_INTERFACE);
        runtime.add(&list, &eth0).unwrap();
        drop(gone);
        runtime.delete(&list, &eth0).unwrap();

        bed.assert_as_before(&before, Some(&daemon));
    }
    daemon.terminate().unwrap();
}

#[test]
fn a_del_whose_configuration_cannot_be_read_ends_well() {
    let bed = CniBed::new();
    let pod = Namespace::new("pod").unwrap();
    let (runtime, list) = (bed.runtime("1.0.0"), bed.only_ours("1.0.0"));
    let eth0 = bed.attachment(&pod, POD_INTERFACE);
    let mut del = runtime.execution("DEL", &list, &list.plugins[0], &eth0, None);
    for configuration in [
        Value::Null,
        json!({}),
        json!({ "cniVersion": "1.0.0", "profile": 7 }),
    ] {
        del.configuration = configuration;
        del.run(bed.node()).unwrap();
    }
}

#[test]
fn a_later_plugin_that_fails_leaves_nothing() {
    let bed = CniBed::new();
    let daemon = bed.start();
    for version in VERSIONS {
        let before = bed.snapshot(Some(&daemon));
        let pod = Namespace::new("pod").unwrap();
        let (runtime, mut list) = (bed.runtime(version), bed.primary(version));
        list.plugins.push(json!({ "type": "failing" }));
        let eth0 = bed.attachment(&pod, POD_INTERFACE);
        let error = runtime.add(&list, &eth0).unwrap_err();
        assert_eq!(Failure::of(&error).plugin, "failing");
        assert!(is_attached(&daemon, PRIMARY, &eth0));
        runtime.delete(&list, &eth0).unwrap();
        bed.assert_as_before(&before, Some(&daemon));
    }
    daemon.terminate().unwrap();
}

#[test]
fn garbage_is_collected_in_either_spelling() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(Some(&daemon));
    let (runtime, list) = (bed.runtime("1.1.0"), bed.primary("1.1.0"));
    let pod = Namespace::new("stays").unwrap();
    let stays = bed.attachment(&pod, POD_INTERFACE);
    runtime.add(&list, &stays).unwrap();
    for spelling in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        let forgotten = Namespace::new("forgotten").unwrap();
        let goes = bed.attachment(&forgotten, POD_INTERFACE);
        runtime.add(&list, &goes).unwrap();
        let valid = [(spelling.to_owned(), valid_attachments(&[&stays]))];
        let valid: Map<_, _> = valid.into_iter().collect();
        runtime
            .of_the_node("GC", &bed.only_ours("1.1.0"), &valid)
            .unwrap();
        assert_eq!(status(&daemon, PRIMARY, &goes), None, "{spelling}");
        assert!(is_attached(&daemon, PRIMARY, &stays), "{spelling}");
        runtime.delete(&list, &goes).unwrap();
    }
    runtime.collect_garbage(&list, &[&stays]).unwrap();
    assert!(is_attached(&daemon, PRIMARY, &stays));
    runtime.collect_garbage(&list, &[]).unwrap();
    assert_eq!(status(&daemon, PRIMARY, &stays), None);
    runtime.delete(&list, &stays).unwrap();
    bed.assert_as_before(&before, Some(&daemon));
    daemon.terminate().unwrap();
}
