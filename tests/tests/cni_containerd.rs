//! Pods as Kubernetes makes them: containerd and runc, driven over the Container Runtime Interface as a kubelet does, with
//! a network whose chain ends in our plugin.

mod common;
#[path = "common/cri.rs"]
mod cri;

use std::path::Path;

use common::{
    BOUND, CONTROL, Settings,
    cni::{CniBed, PRIMARY, is_attached, ours, status, wait_attached},
    configuration_without_pods,
    launch::{assert_launched_by, static_client},
    overlay::OverlayBed,
};
use cri::{Cri, Sandbox};
use serde_json::json;
use tsn_tests::{
    capture::Capture,
    cni::{
        plugins::Plugins,
        runtime::{Attachment, NetworkList},
    },
    containerd::Containerd,
    daemon::Daemon,
    overlay::{BRIDGE, Family, Kind, POD_MTU, POD_NETWORKS},
    scratch,
    topology::{POD_INTERFACE, Pod},
    wait::wait_until,
};

const DATAGRAMS: u32 = 200;

/// `CLOCK_MONOTONIC`: a launch time of CLOCK_TAI needs a capability that an ordinary pod does not have.
const CLOCK: &str = "1";

fn start_containerd(bed: &CniBed) -> Containerd {
    let client = static_client(&bed.bed.home.file(""));
    let network = bed.primary("1.0.0");
    Containerd::start(bed.node(), bed.plugins("1.0.0"), &network, &[&client]).unwrap()
}

/// How the daemon knows a pod's interface.
fn interface_of(sandbox: &Sandbox) -> Attachment {
    Attachment::new(&sandbox.id, "".as_ref(), POD_INTERFACE)
}

/// Lets an ordinary program in a pod send to a pod of the far node, and asserts that it all arrives there as it should.
fn assert_launched(daemon: &Daemon, cri: &mut Cri, sandbox: &Sandbox, far: &Pod) {
    let arrivals = Capture::start(&far.namespace, POD_INTERFACE).unwrap();
    let status = status(daemon, PRIMARY, &interface_of(sandbox)).unwrap();
    let pod = status["pod"]["name"].as_str().unwrap();
    assert_launched_by(daemon, pod, arrivals, DATAGRAMS, || {
        let to = far.ipv4.to_string();
        let (port, datagrams) = (CONTROL.to_string(), DATAGRAMS.to_string());
        let client = ["/client", &to, &port, &datagrams, CLOCK];
        cri.run(sandbox, "client", &client);
    });
}

#[test]
fn an_ordinary_program_in_a_pod_sends_with_launch_times() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(Some(&daemon));
    let containerd = start_containerd(&bed);
    let mut cri = Cri::connect(&containerd);

    let pod = cri
        .run_sandbox(&containerd, "talker", &[("tsnd.dev/profile", "motion")])
        .unwrap();
    assert!(pod.address.starts_with("10.71.0."), "{}", pod.address);
    assert!(is_attached(&daemon, PRIMARY, &interface_of(&pod)));
    assert_launched(&daemon, &mut cri, &pod, bed.bed.far(1));
    cri.remove(&pod);
    assert_eq!(cri.sandboxes(), Vec::<String>::new());
    bed.assert_as_before(&before, Some(&daemon));
    daemon.terminate().unwrap();
}

/// Adds pods to the bridge that Flannel's plugin has made, and gives them to the daemon.
fn flannel_list(bed: &OverlayBed, leases: &Path) -> NetworkList {
    let bridge = json!({
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": true,
        "mtu": POD_MTU,
        "ipam": {
            "type": "host-local",
            "dataDir": leases,
            "ranges": [[{ "subnet": bed.network.near.pod_subnet(Family::V4), "rangeStart": "10.244.1.100" }]],
            "routes": [{ "dst": POD_NETWORKS[0] }],
        },
    });
    NetworkList::new(PRIMARY, "0.3.1", vec![bridge, ours(&bed.home)])
}

#[test]
fn an_ordinary_program_in_a_pod_of_flannel_sends_with_launch_times_too() {
    let bed = OverlayBed::new(Kind::Vxlan, 1);
    let configuration = format!(
        r#"{}overlay: {{ pod-networks: [ {} ] }}
profiles:
  - name: motion
    mode: overlay
    streams:
      - {{ name: timed, match: {{ udp-destination-port: {CONTROL} }}, traffic-class: 7, late: send }}
"#,
        configuration_without_pods(&Settings::default()),
        POD_NETWORKS[0],
    );
    let daemon = bed.start_with(&configuration);
    let (plugins, directory) = (
        Plugins::new().unwrap(),
        scratch::directory("leases").unwrap(),
    );
    let network = flannel_list(&bed, directory.path());
    let client = static_client(&bed.home.file(""));
    let node = &bed.network.near.namespace;
    let containerd = Containerd::start(node, &plugins, &network, &[&client]).unwrap();
    let mut cri = Cri::connect(&containerd);
    let pod = cri.run_sandbox(&containerd, "talker", &[]).unwrap();
    // What the kernel sends first finds the next hop.
    let ping = [
        "/bin/busybox",
        "ping",
        "-c",
        "1",
        &bed.far(1).ipv4.to_string(),
    ];
    cri.run(&pod, "ping", &ping);
    wait_until("a next hop to the far node's pods", BOUND, || {
        let overlay = daemon.control.get("/v1/overlay").unwrap();
        let mut ways = overlay["destinations"].as_array().unwrap().iter();
        let to = bed.network.far.pod_subnet(Family::V4);
        ways.any(|way| way["destination"] == *to && way["next-hop"].is_object())
    })
    .unwrap();
    assert_launched(&daemon, &mut cri, &pod, bed.far(1));
    cri.remove(&pod);
    assert_eq!(status(&daemon, PRIMARY, &interface_of(&pod)), None);
    daemon.terminate().unwrap();
}

#[test]
fn a_pod_outlives_the_daemon_and_is_served_by_the_next() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(None);
    let containerd = start_containerd(&bed);
    let mut cri = Cri::connect(&containerd);
    let pod = cri.run_sandbox(&containerd, "talker", &[]).unwrap();
    daemon.kill().unwrap();
    let daemon = bed.start();
    wait_attached(&daemon, PRIMARY, &interface_of(&pod), true);
    assert_launched(&daemon, &mut cri, &pod, bed.bed.far(1));
    cri.remove(&pod);
    daemon.terminate().unwrap();
    bed.assert_as_before(&before, None);
}

#[test]
fn a_pod_that_asks_for_what_is_not_offered_does_not_start_and_says_why() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(Some(&daemon));
    let containerd = start_containerd(&bed);
    let mut cri = Cri::connect(&containerd);
    let refused = cri.run_sandbox(&containerd, "talker", &[("tsnd.dev/profile", "gold")]);
    let error = refused.err().expect("`gold` is no profile");
    assert!(
        error.message().contains("gold") && error.message().contains("motion"),
        "{error}"
    );
    bed.assert_as_before(&before, Some(&daemon));
    daemon.terminate().unwrap();
}
