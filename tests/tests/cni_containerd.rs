//! Pods as Kubernetes makes them: containerd and runc, driven over the Container Runtime Interface as a kubelet does, with
//! a network whose chain ends in our plugin.

mod common;
#[path = "common/cri.rs"]
mod cri;

use common::{
    CONTROL,
    cni::{CniBed, PRIMARY, is_attached, status, wait_attached},
    launch::{assert_launched_by, static_client},
};
use cri::{Cri, Sandbox};
use tsn_tests::{
    capture::Capture, cni::runtime::Attachment, containerd::Containerd, daemon::Daemon,
    topology::POD_INTERFACE,
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
fn assert_launched(bed: &CniBed, daemon: &Daemon, cri: &mut Cri, sandbox: &Sandbox) {
    let far = bed.bed.far(1);
    let arrivals = Capture::start(&far.namespace, POD_INTERFACE).unwrap();
    let status = status(daemon, PRIMARY, &interface_of(sandbox)).unwrap();
    let pod = status["pod"]["name"].as_str().unwrap();
    assert_launched_by(daemon, pod, arrivals, DATAGRAMS, || {
        let (to, port, datagrams) = (
            far.ipv4.to_string(),
            CONTROL.to_string(),
            DATAGRAMS.to_string(),
        );
        cri.run(
            sandbox,
            "client",
            &["/client", &to, &port, &datagrams, CLOCK],
        );
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
    assert_launched(&bed, &daemon, &mut cri, &pod);
    cri.remove(&pod);
    assert_eq!(cri.sandboxes(), Vec::<String>::new());
    bed.assert_as_before(&before, Some(&daemon));
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
    assert_launched(&bed, &daemon, &mut cri, &pod);
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
