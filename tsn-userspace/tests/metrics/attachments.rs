//! Records of the CNI plugin and the pods that the node makes of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tsn_cni::record::{Directory, Key, KubernetesPod, Record, Request};
use tsn_port::fault::Faults;
use tsn_tests::coverage::Seen;
use tsn_userspace::config::Configuration;
use tsn_userspace::control::api::Applied;
use tsn_userspace::metrics::encode;

use super::bench::{BOUND, Before, Bench, unconnected};

const POD: &str = "eth0-c1";
const PATH: &str = "/v1/attachments/net/c1/eth0";

/// No pods, and one profile.
fn configuration() -> String {
    let (uplinks, _) = super::bench::CONFIGURATION.split_once("pods:").unwrap();
    format!(
        "{uplinks}
profiles:
  - name: motion
    frame-quota: 77
    streams: [ {{ name: stream, match: {{ udp-destination-port: 5000-5010 }}, traffic-class: 5 }} ]
"
    )
}

/// A directory of records, and a file that stands for a network namespace.
struct Runtime {
    home: TempDir,
    records: Directory,
}

impl Runtime {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let records = Directory::at(home.path().join("cni"));
        let runtime = Self { home, records };
        runtime.make_namespace();
        runtime
    }

    fn namespace(&self) -> PathBuf {
        self.home.path().join("netns")
    }

    fn make_namespace(&self) {
        fs::write(self.namespace(), "").unwrap();
    }

    fn record(&self, profile: &str) -> Record {
        Record {
            network: "net".to_owned(),
            container_id: "c1".to_owned(),
            interface: "eth0".to_owned(),
            netns: self.namespace(),
            netns_inode: fs::metadata(self.namespace()).map_or(0, |file| file.ino()),
            mac: None,
            ips: Vec::new(),
            pod: Some(KubernetesPod {
                namespace: "default".to_owned(),
                name: "robot".to_owned(),
                uid: "u-1".to_owned(),
            }),
            request: Request {
                profile: profile.to_owned(),
                ..Request::default()
            },
            vhost_user: None,
        }
    }

    fn store(&self, profile: &str) -> Record {
        let record = self.record(profile);
        self.records.store(&record).unwrap();
        record
    }

    fn key(&self) -> Key {
        self.record("").key()
    }

    fn start(&self, devices: &[&str], leftovers: &[&str]) -> Bench {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let before = Before {
            devices: names(devices),
            leftovers: names(leftovers),
            records: Some(self.records.clone()),
        };
        Bench::start_after(
            &configuration(),
            Faults::default(),
            Faults::default(),
            before,
        )
    }
}

fn status(bench: &mut Bench) -> Option<Value> {
    let pods = bench.request(Method::GET, "/v1/pods", "").unwrap();
    let pods: Vec<Value> = serde_json::from_str(&pods).unwrap();
    assert!(pods.len() <= 1, "{pods:?}");
    pods.into_iter().next()
}

#[track_caller]
fn assert_attached(bench: &mut Bench) -> Value {
    let status = status(bench).expect("a pod");
    assert_eq!(status["attached"], true, "{status}");
    status
}

/// Makes the metrics tell of a pod that has a record.
pub fn provoke(seen: &mut Seen) {
    let runtime = Runtime::new();
    runtime.store("motion");
    let mut bench = runtime.start(&[POD], &[]);
    seen.look_at(&encode(&bench.moment()));
}

#[test]
fn a_record_is_attached_when_asked_for_and_detached_with_its_record() {
    let runtime = Runtime::new();
    let mut bench = runtime.start(&[POD], &[]);
    let missing = bench.request(Method::PUT, PATH, "").unwrap_err();
    assert!(
        missing.starts_with("there is no record of net:c1:eth0"),
        "{missing}"
    );
    assert!(bench.request(Method::GET, PATH, "").is_err());

    runtime.store("motion");
    for _ in 0..2 {
        let answer = bench.request(Method::PUT, PATH, "").unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(
            (&answer["attached"], &answer["pod"]["name"]),
            (&json!(true), &json!(POD))
        );
        assert_eq!(answer["pod"]["frame-quota"], 77);
        assert_eq!(
            answer["attachment"],
            json!({
                "network": "net", "container-id": "c1", "interface": "eth0", "profile": "motion",
                "kubernetes": { "namespace": "default", "name": "robot", "uid": "u-1" },
            })
        );
    }
    let got = bench.request(Method::GET, PATH, "").unwrap();
    assert!(got.contains("\"attached\":true"), "{got}");
    let taken = bench
        .request(Method::DELETE, &format!("/v1/pods/{POD}"), "")
        .unwrap_err();
    assert!(taken.contains("attached by the CNI plugin"), "{taken}");
    for _ in 0..2 {
        assert_eq!(bench.request(Method::DELETE, PATH, ""), Ok(String::new()));
        assert_eq!(runtime.records.keys().unwrap(), []);
        assert_eq!(status(&mut bench), None);
    }
}

#[test]
fn what_the_configuration_does_not_allow_is_refused() {
    let runtime = Runtime::new();
    let mut bench = runtime.start(&[POD], &[]);
    let mut record = runtime.store("other");
    let refused = bench.request(Method::PUT, PATH, "").unwrap_err();
    assert!(
        refused.starts_with("profile: there is no profile `other`"),
        "{refused}"
    );
    record = Record {
        request: Request {
            profile: "motion".to_owned(),
            traffic_class: Some("6".to_owned()),
            ..Request::default()
        },
        ..record
    };
    runtime.records.store(&record).unwrap();
    let refused = bench.request(Method::PUT, PATH, "").unwrap_err();
    assert!(refused.starts_with("traffic-class: "), "{refused}");
    let waits = status(&mut bench).unwrap();
    assert_eq!(waits["waits-for"], json!(refused));
    // The plugin takes the record back.
    runtime.records.remove(&record.key()).unwrap();
    bench.housekeeping().unwrap();
    assert_eq!(status(&mut bench), None);

    let path = "/v1/attachments/net/c1/no%20interface";
    let error = bench.request(Method::PUT, path, "").unwrap_err();
    assert!(
        error.starts_with("interface `no interface` must"),
        "{error}"
    );
}

#[test]
fn records_are_followed_without_being_asked() {
    let runtime = Runtime::new();
    runtime.store("motion");
    let mut bench = runtime.start(&[POD], &["eth0-c0", "eth0-c2"]);
    // The daemon came after the pod.
    assert_attached(&mut bench);
    assert_eq!(bench.device().leftovers, [""; 0], "nobody wants them");

    // The pod's device goes, and comes back.
    let port = unconnected();
    bench.ports.lock().unwrap().insert(POD.to_owned(), port);
    bench.housekeeping().unwrap();
    assert_attached(&mut bench);

    // A DEL that did not reach the daemon.
    runtime.records.remove(&runtime.key()).unwrap();
    bench.housekeeping().unwrap();
    assert_eq!(status(&mut bench), None);
}

#[test]
fn a_pod_without_its_device_waits_and_says_so() {
    let runtime = Runtime::new();
    runtime.store("motion");
    let mut bench = runtime.start(&[], &[POD]);
    let waits = bench.request(Method::PUT, PATH, "").unwrap();
    let waits: Value = serde_json::from_str(&waits).unwrap();
    assert_eq!(waits["attached"], false);
    assert_eq!(waits["waits-for"], "there is no such device");
    let told = bench.moment().status;
    assert_eq!((told.pods, told.cni_pods), (0, 1));
    bench
        .ports
        .lock()
        .unwrap()
        .insert(POD.to_owned(), unconnected());
    bench.housekeeping().unwrap();
    assert_attached(&mut bench);
}

#[test]
fn a_record_whose_namespace_is_gone_is_not_attached_and_goes_after_a_while() {
    let runtime = Runtime::new();
    runtime.store("motion");
    // First there is what a daemon sees into which the runtime's mount does not come: another file, which the first one's
    // being held gives another inode.
    let first = fs::File::open(runtime.namespace()).unwrap();
    fs::remove_file(runtime.namespace()).unwrap();
    runtime.make_namespace();
    let mut bench = runtime.start(&[POD], &[POD]);
    let assert_waits = |bench: &mut Bench, said: &str| {
        let waits = status(bench).unwrap();
        let reason = waits["waits-for"].as_str().unwrap();
        assert!(reason.contains(said), "{reason}");
    };
    assert_waits(
        &mut bench,
        "cannot be seen, or is no network namespace here",
    );
    drop(first);
    fs::remove_file(runtime.namespace()).unwrap();
    bench.housekeeping().unwrap();
    assert_waits(&mut bench, "is gone, or another one");
    let start = Instant::now();
    while runtime.records.load(&runtime.key()).unwrap().is_some() {
        assert!(start.elapsed() < BOUND, "the record stays");
        sleep(Duration::from_millis(100));
        bench.housekeeping().unwrap();
    }
    assert_eq!(status(&mut bench), None);
    assert_eq!(bench.device().leftovers, [""; 0]);
}

#[test]
fn a_namespace_that_is_only_renamed_keeps_its_pod() {
    let runtime = Runtime::new();
    runtime.store("motion");
    let mut bench = runtime.start(&[POD], &[]);
    fs::rename(runtime.namespace(), runtime.home.path().join("other")).unwrap();
    bench.housekeeping().unwrap();
    assert_attached(&mut bench);
}

#[test]
fn records_that_cannot_be_read_change_nothing() {
    let runtime = Runtime::new();
    runtime.store("motion");
    let mut bench = runtime.start(&[POD], &[]);
    let file = runtime.records.path().join("net:c1:eth0.json");
    let good = fs::read(&file).unwrap();
    fs::write(&file, "{").unwrap();
    bench.housekeeping().unwrap();
    assert_attached(&mut bench);
    let refused = bench.request(Method::PUT, PATH, "").unwrap_err();
    assert!(refused.contains("is no record"), "{refused}");
    drop(bench);
    // Nor does the next start sweep away what it cannot judge.
    let bench = runtime.start(&[POD], &[POD, "eth0-c2"]);
    assert_eq!(bench.device().leftovers, [POD]);
    drop(bench);
    fs::write(&file, good).unwrap();
    let open = Permissions::from_mode(0o777);
    fs::set_permissions(runtime.records.path(), open).unwrap();
    let mut bench = runtime.start(&[POD], &[POD, "eth0-c2"]);
    assert_eq!(bench.device().leftovers, [POD, "eth0-c2"]);
    assert_eq!(status(&mut bench), None);
    drop(bench);
}

#[test]
fn other_profiles_attach_anew_whom_they_concern() {
    let runtime = Runtime::new();
    runtime.store("motion");
    let mut bench = runtime.start(&[POD], &[]);
    let apply = |bench: &mut Bench, from: &str, to: &str| {
        let mut ports = bench.ports.lock().unwrap();
        ports.entry(POD.to_owned()).or_insert_with(unconnected);
        drop(ports);
        put_configuration(bench, &configuration().replace(from, to)).unwrap()
    };
    let applied = apply(&mut bench, "frame-quota: 77", "frame-quota: 77");
    assert_eq!(applied.pods_changed, [""; 0]);
    let applied = apply(&mut bench, "frame-quota: 77", "frame-quota: 78");
    assert_eq!(applied.pods_changed, [POD]);
    assert_eq!(assert_attached(&mut bench)["pod"]["frame-quota"], 78);
    let applied = apply(&mut bench, "name: motion", "name: other");
    assert_eq!(applied.pods_waiting, [POD]);
    assert_eq!(status(&mut bench).unwrap()["attached"], false);
    let applied = apply(&mut bench, "frame-quota: 77", "frame-quota: 77");
    assert_eq!(applied.pods_changed, [POD]);
    let taken = format!(
        "{}pods: [ {{ name: {POD}, netns: /a, streams: [ {{ name: s, match: {{}}, traffic-class: 0 }} ] }} ]\n",
        configuration()
    );
    let refused = put_configuration(&mut bench, &taken).unwrap_err();
    assert!(refused.contains("attached by the CNI plugin"), "{refused}");
}

fn put_configuration(bench: &mut Bench, text: &str) -> Result<Applied, String> {
    let configuration = Configuration::from_yaml(text).unwrap();
    let body = serde_json::to_string(&configuration).unwrap();
    let answer = bench.request(Method::PUT, "/v1/configuration", &body)?;
    Ok(serde_json::from_str(&answer).unwrap())
}
