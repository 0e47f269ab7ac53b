//! Pods with a second interface, as Multus gives it, and its auxiliary chain.

mod common;

use std::thread;

use common::cni::{CniBed, PRIMARY, SECONDARY, is_attached, status};
use serde_json::json;
use tsn_tests::{
    cni::{plugin::Failure, runtime::NetworkList},
    namespace::Namespace,
    topology::POD_INTERFACE,
};

const PODS: usize = 8;
const SECOND_INTERFACE: &str = "net1";

#[test]
fn eight_pods_with_two_interfaces_come_and_go_at_once() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(Some(&daemon));
    let pods: Vec<_> = (0..PODS).map(|_| Namespace::new("pod").unwrap()).collect();
    let interfaces: Vec<_> = pods
        .iter()
        .map(|pod| {
            [POD_INTERFACE, SECOND_INTERFACE].map(|interface| bed.attachment(pod, interface))
        })
        .collect();
    let runtime = bed.runtime("1.0.0");
    let (primary, secondary) = (bed.primary("1.0.0"), bed.secondary("1.0.0"));

    thread::scope(|scope| {
        for [eth0, net1] in &interfaces {
            scope.spawn(|| {
                runtime.add(&primary, eth0).unwrap();
                runtime.add(&secondary, net1).unwrap();
            });
        }
    });
    for [eth0, net1] in &interfaces {
        assert!(is_attached(&daemon, PRIMARY, eth0));
        assert!(is_attached(&daemon, SECONDARY, net1));
        runtime.check(&primary, eth0).unwrap();
        runtime.check(&secondary, net1).unwrap();
    }
    bed.assert_served(&daemon, &pods[0], &interfaces[0][0]);

    thread::scope(|scope| {
        for [eth0, net1] in &interfaces {
            scope.spawn(|| {
                runtime.delete(&secondary, net1).unwrap();
                runtime.delete(&primary, eth0).unwrap();
            });
        }
    });
    bed.assert_as_before(&before, Some(&daemon));
    daemon.terminate().unwrap();
}

/// Multus runs this chain of its own for each pod, after the others, with a `CNI_IFNAME` that is no interface of the pod,
/// and behind its `passthru`, whose result is empty. So our entry has to name the interface.
fn auxiliary_chain(bed: &CniBed, version: &'static str, interface: &str) -> NetworkList {
    let mut ours = bed.ours();
    ours["interface"] = json!(interface);
    NetworkList::new(
        "vendor-cni-chain",
        version,
        vec![json!({ "type": "passthru" }), ours],
    )
}

#[test]
fn an_auxiliary_chain_attaches_the_interface_that_it_names() {
    let bed = CniBed::new();
    let daemon = bed.start();
    for version in ["0.3.1", "1.0.0"] {
        let before = bed.snapshot(Some(&daemon));
        let pod = Namespace::new("pod").unwrap();
        let runtime = bed.runtime(version);
        let mut primary = bed.primary(version);
        primary.plugins.pop();
        let auxiliary = auxiliary_chain(&bed, version, POD_INTERFACE);
        let (eth0, net1) = (
            bed.attachment(&pod, POD_INTERFACE),
            bed.attachment(&pod, SECOND_INTERFACE),
        );
        runtime.add(&primary, &eth0).unwrap();
        runtime.add(&auxiliary, &net1).unwrap();
        assert!(
            is_attached(&daemon, &auxiliary.name, &eth0),
            "{:?}",
            status(&daemon, &auxiliary.name, &eth0)
        );
        if version != "0.3.1" {
            runtime.check(&auxiliary, &net1).unwrap();
        }
        runtime.delete(&auxiliary, &net1).unwrap();
        assert_eq!(status(&daemon, &auxiliary.name, &eth0), None);
        runtime.delete(&primary, &eth0).unwrap();
        bed.assert_as_before(&before, Some(&daemon));
    }
    daemon.terminate().unwrap();
}

#[test]
fn an_auxiliary_chain_that_names_no_interface_of_the_pod_waits_for_it_or_is_refused() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(Some(&daemon));
    let pod = Namespace::new("pod").unwrap();
    let runtime = bed.runtime("1.0.0");
    let mut auxiliary = auxiliary_chain(&bed, "1.0.0", "eth7");
    let (eth7, net1) = (
        bed.attachment(&pod, "eth7"),
        bed.attachment(&pod, SECOND_INTERFACE),
    );
    runtime.add(&auxiliary, &net1).unwrap();
    let waiting = status(&daemon, &auxiliary.name, &eth7).unwrap();
    assert_eq!(waiting["attached"], false);
    let reason = waiting["waits-for"].as_str().unwrap();
    assert!(reason.contains("eth7"), "{reason}");
    runtime.delete(&auxiliary, &net1).unwrap();

    auxiliary.plugins[1]["failurePolicy"] = json!("closed");
    let error = runtime.add(&auxiliary, &net1).unwrap_err();
    assert!(Failure::of(&error).text().contains("eth7"), "{error}");
    runtime.delete(&auxiliary, &net1).unwrap();
    bed.assert_as_before(&before, Some(&daemon));
    daemon.terminate().unwrap();
}
