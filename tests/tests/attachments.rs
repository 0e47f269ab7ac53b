//! Pods that come and go by records of the CNI plugin, under traffic: what each way of coming and going costs, and that
//! it leaves nothing behind.

mod common;

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use common::{
    BOUND, Bed, CONTROL, Settings, VIDEO, configuration_without_pods,
    counters::{Counters, number},
    pod_settings,
    traffic::{Talker, assert_complete, lost, mark, numbers, report},
    wait_at_rest,
};
use serde_json::{Value, json};
use tsn_cni::record::{Directory, KubernetesPod, Record, Request};
use tsn_tests::{clients::binary, daemon::Daemon, topology::Pod, wait::wait_until};

const FRAME_BYTES: usize = 200;
const GAP: Duration = Duration::from_millis(1);
const PROFILE: &str = "all";

/// A bed whose first pod is configured, and whose second one has what its record says.
struct Recorded {
    bed: Bed,
    records: Directory,
    configuration: String,
}

impl Recorded {
    fn new() -> Self {
        let bed = Bed::new(2);
        let settings = Settings {
            // Taken for dead soon enough to carry on by the kernel path, late enough for a busy machine.
            heartbeat_timeout: "100ms",
            ..Settings::default()
        };
        let neighbour = pod_settings(bed.near(1), &settings);
        let mut profile: Value = serde_json::from_str(&neighbour).unwrap();
        profile.as_object_mut().unwrap().remove("netns");
        profile["name"] = json!(PROFILE);
        let configuration = format!(
            "{}pods:\n  - {neighbour}\nprofiles:\n  - {profile}\n",
            configuration_without_pods(&settings)
        );
        let records = Directory::at(bed.home.file("cni"));
        Self {
            bed,
            records,
            configuration,
        }
    }

    fn start(&self) -> Daemon {
        self.bed.start(&self.configuration)
    }

    /// The pod that has a record.
    fn pod(&self) -> &Pod {
        self.bed.near(2)
    }

    fn record(&self) -> Record {
        let netns = self.pod().namespace.path().to_owned();
        Record {
            network: "net".to_owned(),
            container_id: "c2".to_owned(),
            interface: "eth0".to_owned(),
            netns_inode: fs::metadata(&netns).unwrap().ino(),
            netns,
            mac: None,
            ips: Vec::new(),
            pod: Some(KubernetesPod {
                namespace: "plant".to_owned(),
                name: "robot".to_owned(),
                uid: String::new(),
            }),
            request: Request {
                profile: PROFILE.to_owned(),
                ..Request::default()
            },
            vhost_user: None,
        }
    }

    fn store(&self) {
        self.records.store(&self.record()).unwrap();
    }

    fn remove(&self) {
        assert!(self.records.remove(&self.record().key()).unwrap());
    }

    fn neighbour_talks(&self) -> Talker {
        Talker::start(self.bed.near(1), self.bed.far(1), CONTROL, FRAME_BYTES, GAP)
    }

    fn pod_talks(&self) -> Talker {
        Talker::start(self.pod(), self.bed.far(2), VIDEO, FRAME_BYTES, GAP)
    }

    /// What attaching changes at both ends of the pod's veth.
    fn ends(&self) -> [String; 2] {
        self.ends_named("eth0", &self.pod().host_end)
    }

    fn ends_named(&self, inside: &str, host: &str) -> [String; 2] {
        let gro = output(
            self.pod()
                .namespace
                .command("ethtool")
                .args(["--show-features", inside]),
        );
        let near = &self.bed.network.near.namespace;
        let host = output(near.command("ip").args(["-oneline", "link", "show", host]));
        // Behind the name, and without the program's mode, which comes before the MTU.
        let mtu = host
            .split_whitespace()
            .skip(2)
            .collect::<Vec<_>>()
            .join(" ");
        let gro = gro.lines().skip(1).collect::<Vec<_>>().join("\n");
        [gro, mtu]
    }
}

const PATH: &str = "/v1/attachments/net/c2/eth0";
/// What the daemon calls the pod.
const NAME: &str = "eth0-c2";

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn status(daemon: &Daemon) -> Option<Value> {
    daemon.control.get(PATH).ok()
}

fn wait_attached(daemon: &Daemon) {
    wait_until("the pod to be attached", BOUND, || {
        status(daemon).is_some_and(|status| status["attached"] == true)
    })
    .unwrap();
}

fn received(daemon: &Daemon) -> u64 {
    status(daemon).map_or(0, |status| number(&status["received"]))
}

/// Waits until the daemon has received so many more of the pod's frames.
fn wait_served(daemon: &Daemon, frames: u64) {
    let wanted = received(daemon) + frames;
    wait_until("the pod to be served", BOUND, || received(daemon) >= wanted).unwrap();
}

fn wait_last(wire: &tsn_tests::capture::Capture, port: u16, sent: u32) {
    wait_until("the last datagram", BOUND, || {
        wire.count(|frame| mark(frame) == Some((port, sent - 1))) == 1
    })
    .unwrap();
}

#[test]
fn a_pod_that_comes_and_goes_costs_no_other_pod_a_frame() {
    const CYCLES: u32 = 10;
    let test = Recorded::new();
    let before = test.ends();
    let daemon = test.start();
    let wire = test.bed.capture();
    let (neighbour, pod) = (test.neighbour_talks(), test.pod_talks());
    neighbour.wait_through(&wire);
    pod.wait_through(&wire);
    let mut longest = [Duration::ZERO; 2];
    for _ in 0..CYCLES {
        test.store();
        for (index, (method, expected)) in [("PUT", 200), ("DELETE", 204)].into_iter().enumerate() {
            let start = Instant::now();
            let answer = daemon.control.request(method, PATH, "").unwrap();
            longest[index] = longest[index].max(start.elapsed());
            assert_eq!(answer.status, expected, "{method}: {}", answer.body);
            if method == "PUT" {
                // On a loaded machine the kernel may take long to let go of the last socket; the daemon tries again.
                wait_served(&daemon, 20);
            }
            pod.wait_more(20);
        }
        assert_eq!(test.ends(), before);
        assert!(test.records.keys().unwrap().is_empty());
    }
    let (neighbours, pods) = (neighbour.finish(), pod.finish());
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    let late = number(&counters.stream("pod1", "timed")["sent-late"]);
    wait_last(&wire, CONTROL, neighbours);
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    assert_complete(&numbers(&frames, CONTROL), neighbours);
    let lost = lost(&numbers(&frames, VIDEO), pods);
    report(
        "attached and detached",
        pods,
        lost.len(),
        "in the veth's ring",
    );
    println!(
        "  {CYCLES} times; attaching took {:?} at most, detaching {:?}; {late} of the neighbour's {neighbours} late",
        longest[0], longest[1]
    );
    // Switching the host end's receive polling off throws away what is in its ring at that moment.
    assert!(lost.len() <= CYCLES as usize, "{lost:?}");
}

#[test]
fn a_daemon_that_was_absent_attaches_what_has_come_and_detaches_what_has_gone() {
    let test = Recorded::new();
    let before = test.ends();
    test.store();
    let wire = test.bed.capture();
    let pod = test.pod_talks();
    pod.wait_through(&wire);
    let daemon = test.start();
    wait_attached(&daemon);
    wait_served(&daemon, 50);
    let text = output(
        Command::new(binary("tsnctl").unwrap())
            .arg("--control")
            .arg(daemon.control.socket())
            .arg("pods"),
    );
    assert!(
        text.contains("pod plant/robot, network net, profile all, container c2"),
        "{text}"
    );
    assert_eq!(daemon.control.get("/v1/status").unwrap()["cni-pods"], 1);

    // It is killed, and starts again: the pod is still wanted.
    let killed_at = pod.sent();
    daemon.kill().unwrap();
    pod.wait_through(&wire);
    let daemon = test.start();
    wait_attached(&daemon);
    wait_served(&daemon, 50);
    // And again, and DEL comes in between.
    let killed_again_at = pod.sent();
    daemon.kill().unwrap();
    test.remove();
    pod.wait_through(&wire);
    assert_ne!(test.ends(), before);
    let daemon = test.start();
    assert_eq!(status(&daemon), None);
    assert_eq!(test.ends(), before);
    pod.wait_through(&wire);
    let sent = pod.finish();
    wait_last(&wire, VIDEO, sent);
    wait_at_rest(&daemon);
    Counters::of(&daemon).assert_conserved();
    daemon.terminate().unwrap();
    let lost = lost(&numbers(&wire.finish().unwrap(), VIDEO), sent);
    report(
        "twice killed and restarted",
        sent,
        lost.len(),
        "at the kills",
    );
    let is_near = |number: &u32| {
        [killed_at, killed_again_at]
            .iter()
            .any(|at| at.abs_diff(*number) < 200)
    };
    assert!(
        lost.iter().all(is_near),
        "killed at {killed_at} and {killed_again_at}: {lost:?}"
    );
}

#[test]
fn a_record_that_comes_or_goes_without_a_word_is_seen() {
    let test = Recorded::new();
    let before = test.ends();
    let daemon = test.start();
    assert_eq!(status(&daemon), None);
    test.store();
    wait_attached(&daemon);
    test.remove();
    wait_until("the pod to be detached", BOUND, || {
        status(&daemon).is_none()
    })
    .unwrap();
    assert_eq!(test.ends(), before);
    daemon.terminate().unwrap();
}

#[test]
fn renamed_ends_stay_attached_and_are_put_back() {
    let test = Recorded::new();
    let before = test.ends();
    let daemon = test.start();
    test.store();
    wait_attached(&daemon);
    let wire = test.bed.capture();
    let pod = test.pod_talks();
    pod.wait_through(&wire);
    let rename = |inside: &str, host: &str| {
        let (from_inside, from_host) = ("eth0", &test.pod().host_end);
        let lines = format!("link set {from_inside} name {inside}\n");
        test.pod().namespace.batch("ip", &lines)?;
        let lines = format!("link set {from_host} name {host}\n");
        test.bed.network.near.namespace.batch("ip", &lines)
    };
    if let Err(error) = rename("inside", "outside") {
        // Before Linux 6.2 no device is renamed that is up, so there is nothing that a daemon would have to follow.
        let error = format!("{error:#}");
        assert!(error.contains("Device or resource busy"), "{error}");
        println!("not tested, since this kernel renames no device that is up");
        daemon.terminate().unwrap();
        return;
    }
    // Two looks of the daemon's housekeeping.
    let seen = Instant::now();
    wait_until("two seconds of service", BOUND, || {
        seen.elapsed() > Duration::from_secs(2)
    })
    .unwrap();
    wait_served(&daemon, 50);
    let sent = pod.finish();
    wait_last(&wire, VIDEO, sent);
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    // A pod that was attached anew would count anew.
    let told = received(&daemon);
    assert_complete(&numbers(&wire.finish().unwrap(), VIDEO), sent);
    assert!(told >= u64::from(sent), "{told} received of {sent} sent");

    // The next start finds them too.
    daemon.kill().unwrap();
    let daemon = test.start();
    wait_attached(&daemon);
    let answer = daemon.control.request("DELETE", PATH, "").unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
    assert_eq!(test.ends_named("inside", "outside"), before);
    daemon.terminate().unwrap();
}

#[test]
fn a_namespace_that_is_gone_takes_pod_and_record_with_it() {
    let mut test = Recorded::new();
    let daemon = test.start();
    test.store();
    wait_attached(&daemon);
    let wire = test.bed.capture();
    let neighbour = test.neighbour_talks();
    neighbour.wait_through(&wire);
    test.bed.network.delete_near_pod(1);
    wait_until("the record to go", BOUND, || {
        test.records.keys().unwrap().is_empty()
    })
    .unwrap();
    wait_until("the pod to go", BOUND, || status(&daemon).is_none()).unwrap();
    let sent = neighbour.finish();
    wait_last(&wire, CONTROL, sent);
    wait_at_rest(&daemon);
    Counters::of(&daemon).assert_conserved();
    assert_eq!(
        fs::read_dir(test.bed.home.pin_directory().join("pods"))
            .unwrap()
            .count(),
        1
    );
    daemon.terminate().unwrap();
    assert_complete(&numbers(&wire.finish().unwrap(), CONTROL), sent);
}

#[test]
fn another_namespace_at_the_same_path_is_not_touched() {
    let test = Recorded::new();
    let daemon = test.start();
    test.store();
    wait_attached(&daemon);
    // Its inode is not given away while somebody holds it.
    let path = test.pod().namespace.path().to_owned();
    let held = File::open(&path).unwrap();
    let name = test.pod().namespace.name();
    for action in ["delete", "add"] {
        output(Command::new("ip").args(["netns", action, name]));
    }
    assert_ne!(
        fs::metadata(&path).unwrap().ino(),
        held.metadata().unwrap().ino()
    );
    let near = &test.bed.network.near.namespace;
    let lines = format!("link add name stranger type veth peer name eth0 netns {name}\n");
    near.batch("ip", &lines).unwrap();
    let is_untouched = || {
        let link = output(near.command("ip").args(["link", "show", "stranger"]));
        link.contains("mtu 1500") && !link.contains("xdp")
    };
    // The old one lives on, and so does its pod.
    assert_eq!(status(&daemon).unwrap()["attached"], true);
    drop(held);
    wait_until("the record to go", BOUND, || {
        assert!(is_untouched());
        test.records.keys().unwrap().is_empty()
    })
    .unwrap();
    wait_until("the pod to go", BOUND, || status(&daemon).is_none()).unwrap();
    assert!(is_untouched());
    assert!(!Path::new(&test.bed.home.pin_directory().join("pods").join(NAME)).exists());
    daemon.terminate().unwrap();
}

#[test]
fn what_the_configuration_does_not_allow_is_refused_and_a_profile_that_changes_is_applied() {
    let test = Recorded::new();
    let daemon = test.start();
    let mut record = test.record();
    record.request.traffic_class = Some("6".to_owned());
    test.records.store(&record).unwrap();
    let refused = daemon.control.request("PUT", PATH, "").unwrap();
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(
        refused.body.contains("no stream of profile"),
        "{}",
        refused.body
    );

    record.request.traffic_class = Some("video".to_owned());
    test.records.store(&record).unwrap();
    let answer = daemon
        .control
        .request("PUT", PATH, "")
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(answer["streams"].as_array().unwrap().len(), 1);
    let file = test.bed.home.file("changed.yaml");
    fs::write(
        &file,
        test.configuration
            .replace("\"frame-quota\":2048", "\"frame-quota\":99"),
    )
    .unwrap();
    let applied = output(
        Command::new(binary("tsnctl").unwrap())
            .arg("--control")
            .arg(daemon.control.socket())
            .arg("apply")
            .arg(&file),
    );
    assert!(applied.contains(&format!("changed   {NAME}")), "{applied}");
    assert_eq!(status(&daemon).unwrap()["pod"]["frame-quota"], 99);
    daemon.terminate().unwrap();
}
