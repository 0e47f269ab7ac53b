//! `tsnctl doctor` beside a real daemon: what is broken by hand is found, and a machine that runs shows no error.

mod common;

use std::{os::unix::fs::PermissionsExt, process::Command};

use common::{BOUND, Bed, Settings, stamp};
use serde_json::Value;
use tsn_tests::{
    clients::binary,
    namespace::Namespace,
    process::Signal,
    scratch,
    topology::{POD_INTERFACE, UPLINK},
    wait::wait_until,
};

/// What `tsnctl doctor` said.
struct Report {
    json: Value,
    exit_status: Option<i32>,
}

impl Report {
    /// Runs it in the near node, as an operator would beside that node's daemon.
    fn of(bed: &Bed) -> Self {
        Self::with(bed, &bed.network.near.namespace, &["--cpu", "1"])
    }

    fn with(bed: &Bed, namespace: &Namespace, options: &[&str]) -> Self {
        let output = doctor(bed, namespace)
            .args(["--output", "json"])
            .args(options)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        Self {
            json: serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}")),
            exit_status: output.status.code(),
        }
    }

    fn findings(&self) -> impl Iterator<Item = &Value> {
        self.json["findings"].as_array().unwrap().iter()
    }

    /// The codes found with a severity.
    fn codes(&self, severity: &str) -> Vec<&str> {
        let found = self
            .findings()
            .filter(|finding| finding["severity"] == severity);
        found
            .map(|finding| finding["code"].as_str().unwrap())
            .collect()
    }

    /// What is said of the only error.
    fn only_error(&self, code: &str) -> &str {
        assert_eq!(self.codes("error"), [code], "{:#}", self.json);
        assert_eq!(self.exit_status, Some(1));
        let mut found = self
            .findings()
            .filter(|finding| finding["severity"] == "error");
        found.next().unwrap()["what"].as_str().unwrap()
    }

    fn assert_no_error(&self) {
        assert!(self.codes("error").is_empty(), "{:#}", self.json);
        // 3 says that there are warnings, such as of a core that is not isolated.
        let warnings = !self.codes("warning").is_empty();
        assert_eq!(self.exit_status, Some(if warnings { 3 } else { 0 }));
    }
}

fn doctor(bed: &Bed, namespace: &Namespace) -> Command {
    let mut command = namespace.command(binary("tsnctl").unwrap());
    command
        .arg("doctor")
        .arg("--control")
        .arg(bed.home.control().socket())
        .arg("--pin-dir")
        .arg(bed.home.pin_directory());
    command
}

fn run(namespace: &Namespace, program: &str, arguments: &[&str]) {
    let output = namespace.command(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

#[test]
fn what_is_broken_beside_a_daemon_is_found_and_gone_when_mended() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let near = &bed.network.near.namespace;
    let pod = bed.near(1);
    let report = Report::of(&bed);
    report.assert_no_error();
    // What the daemon and its kernel programs do is seen.
    let served = ["uplink0: XDP program receive", "pod1: XDP program redirect"];
    for part in served
        .into_iter()
        .chain(["pod pod1: eth0 has program stamp", "pod pod1 is served"])
    {
        let said = report.findings().any(|finding| finding["what"] == part);
        assert!(said, "no `{part}` in {:#}", report.json);
    }
    // The machine's clock is only read: what is said of it must agree with what the daemon says.
    let offset = &daemon.control.get("/v1/status").unwrap()["clock"]["tai-utc-offset-s"];
    assert_eq!(
        report.codes("warning").contains(&"tai-offset-unknown"),
        *offset == 0
    );
    let text = doctor(&bed, near).output().unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("devices (uplink uplink0)") && text.contains("0 errors, "),
        "{text}"
    );

    let gro = |state| {
        run(
            &pod.namespace,
            "ethtool",
            &["-K", POD_INTERFACE, "gro", state],
        )
    };
    gro("off");
    let report = Report::of(&bed);
    assert!(report.only_error("pod-gro-off").contains("eth0"));
    gro("on");

    let mtu = |bytes| run(near, "ip", &["link", "set", &pod.host_end, "mtu", bytes]);
    mtu("1500");
    let report = Report::of(&bed);
    assert!(report.only_error("host-mtu").contains("1500"));
    mtu("1524");

    run(near, "ip", &["link", "set", UPLINK, "down"]);
    let report = Report::of(&bed);
    assert!(report.only_error("link-down").contains(UPLINK));
    run(near, "ip", &["link", "set", UPLINK, "up"]);
    wait_until("the doctor to find nothing wrong again", BOUND, || {
        Report::of(&bed).codes("error").is_empty()
    })
    .unwrap();

    stamp::take_away(&bed, 1);
    let report = Report::of(&bed);
    assert!(report.only_error("program-missing").contains("stamp"));

    // One that is stopped holds its socket and says nothing.
    daemon.process.signal(Signal::SIGSTOP).unwrap();
    let report = Report::with(&bed, near, &["--device", UPLINK, "--cpu", "1"]);
    assert!(
        report.codes("error").contains(&"daemon-dead"),
        "{:#}",
        report.json
    );
    daemon.kill().unwrap();
    let report = Report::with(
        &bed,
        near,
        &["--device", UPLINK, "--config", &configuration(&bed)],
    );
    assert!(report.only_error("daemon-dead").contains("control.sock"));
}

/// The configuration that the daemon was started with.
fn configuration(bed: &Bed) -> String {
    bed.home.file("tsnd.yaml").display().to_string()
}

#[test]
fn before_the_first_start_a_strangers_program_and_a_missing_pod_are_found() {
    let mut bed = Bed::new(1);
    let file = configuration(&bed);
    std::fs::write(&file, bed.configuration(&Settings::default())).unwrap();
    let report = Report::with(
        &bed,
        &bed.network.near.namespace,
        &["--cpu", "1", "--config", &file],
    );
    report.assert_no_error();
    assert!(report.codes("warning").contains(&"daemon-absent"));

    let source = bed.home.file("stranger.c");
    let object = bed.home.file("stranger.o").display().to_string();
    std::fs::write(&source, "int stranger(void *frame) { return 2; }\n").unwrap();
    let compiled = Command::new("clang")
        .args(["-target", "bpf", "-O2", "-o", &object, "-c"])
        .arg(&source)
        .status()
        .unwrap();
    assert!(compiled.success());
    let near = &bed.network.near.namespace;
    let generic = ["link", "set", UPLINK, "xdpgeneric"];
    run(
        near,
        "ip",
        &[&generic[..], &["obj", &object, "section", ".text"]].concat(),
    );
    let report = Report::with(&bed, near, &["--cpu", "1", "--config", &file]);
    assert!(report.only_error("xdp-foreign").contains("stranger"));
    assert!(report.codes("warning").contains(&"xdp-generic"));
    run(near, "ip", &[&generic[..], &["off"]].concat());

    bed.network.delete_near_pod(0);
    let near = &bed.network.near.namespace;
    let report = Report::with(&bed, near, &["--cpu", "1", "--config", &file]);
    report.assert_no_error();
    assert!(report.codes("warning").contains(&"pod-waits"));

    // A device or a core that does not exist is named.
    let report = Report::with(&bed, near, &["--cpu", "1", "--device", "nosuch0"]);
    assert!(report.only_error("device-missing").contains("nosuch0"));
    let report = Report::with(&bed, near, &["--cpu", "4095", "--device", UPLINK]);
    assert!(report.only_error("cpu-offline").contains("4095"));
}

#[test]
fn a_user_without_rights_is_told_what_was_not_looked_at() {
    let directory = scratch::directory("doctor").unwrap();
    // `setpriv` gives up root; the program is where everybody may read it.
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), everybody).unwrap();
    let program = directory.path().join("tsnctl");
    std::fs::copy(binary("tsnctl").unwrap(), &program).unwrap();
    let output = Command::new("setpriv")
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
        ])
        .arg(&program)
        .args(["doctor", "--output", "json", "--device", "lo", "--cpu", "0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    let findings = json["findings"].as_array().unwrap();
    let not_readable = findings
        .iter()
        .find(|finding| finding["code"] == "not-readable")
        .unwrap();
    assert_eq!(not_readable["severity"], "note");
    assert!(
        not_readable["what"].as_str().unwrap().contains("AF_XDP"),
        "{json:#}"
    );
    assert!(not_readable["mend"].as_str().unwrap().contains("root"));
}
