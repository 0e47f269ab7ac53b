//! The capabilities that the daemon is deployed with are enough, and each of them is needed.

mod common;

use std::fs;
use std::process::Command;

use common::{BOUND, Bed, CONTROL, Settings, counters::number};
use tsn_tests::{
    clients::python,
    process::Process,
    wait::{wait_for, wait_until},
};

const UNIT: &str = include_str!("../../deploy/systemd/tsnd.service");

/// As the unit gives them; that the DaemonSet gives the same is a test of the manifests.
fn deployed() -> Vec<&'static str> {
    let line = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    line.expect("a set of capabilities")
        .split_whitespace()
        .collect()
}

/// The near node's daemon with these capabilities and no others, little memory to lock, and no way to more.
fn daemon(bed: &Bed, capabilities: &[&str]) -> Process {
    let configuration = bed.home.file("tsnd.yaml");
    let settings = bed.configuration(&Settings::default());
    let settings = settings.replace("worker: {", "worker: { realtime-priority: 1,");
    fs::write(&configuration, settings).unwrap();
    let set: Vec<String> = capabilities
        .iter()
        .map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    let set = format!("-all,{}", set.join(","));
    let daemon: Command = bed.daemon_command(&configuration);
    let mut command = bed.network.near.namespace.command("prlimit");
    command.args(["--memlock=65536", "setpriv", "--no-new-privs"]);
    command.args(["--bounding-set", &set, "--inh-caps", &set, "--"]);
    command.arg(daemon.get_program()).args(daemon.get_args());
    Process::spawn("tsnd", command).unwrap()
}

#[test]
fn with_those_of_the_deployment_frames_pass() {
    let bed = Bed::new(1);
    let mut daemon = daemon(&bed, &deployed());
    let control = bed.home.control();
    wait_until("the pod to be attached", BOUND, || {
        assert_eq!(daemon.exited(), None, "{}", daemon.log());
        let pods = control.get("/v1/pods");
        pods.is_ok_and(|pods| pods[0]["waits-for"].is_null())
    })
    .unwrap();
    let send = format!(
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         s.sendto(b'x' * 100, ('{}', {CONTROL}))",
        bed.far(1).ipv4
    );
    python::<&str>(&bed.near(1).namespace, &send, &[])
        .unwrap()
        .finish(BOUND)
        .unwrap();
    wait_until("the frame to be sent", BOUND, || {
        number(&control.get("/v1/pods").unwrap()[0]["streams"][0]["sent"]) == 1
    })
    .unwrap();
}

#[test]
fn without_one_of_them_something_is_refused_and_told() {
    for (capability, told) in [
        ("CAP_SYS_ADMIN", "CAP_SYS_ADMIN"),
        ("CAP_NET_ADMIN", "Operation not permitted"),
        ("CAP_NET_RAW", "CAP_NET_RAW"),
        ("CAP_IPC_LOCK", "CAP_IPC_LOCK"),
        ("CAP_SYS_NICE", "CAP_SYS_NICE"),
    ] {
        let bed = Bed::new(1);
        let rest: Vec<&str> = deployed()
            .into_iter()
            .filter(|name| *name != capability)
            .collect();
        assert_eq!(rest.len() + 1, deployed().len(), "{capability}");
        let mut daemon = daemon(&bed, &rest);
        // It ends, or the pod waits.
        let why = wait_for("a refusal", BOUND, || {
            if daemon.exited().is_some() {
                return Some(daemon.log());
            }
            let pods = bed.home.control().get("/v1/pods").ok()?;
            Some(pods[0]["waits-for"].as_str()?.to_owned())
        });
        let why = why.unwrap_or_else(|error| panic!("{capability}: {error:#}\n{}", daemon.log()));
        assert!(why.contains(told), "{capability}: {why}");
    }
}
