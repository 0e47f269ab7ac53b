//! What operators and machines hold the daemon by: `tsnctl`, the control API, systemd, and one daemon a socket.

mod common;

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use common::{
    BOUND, Bed, CONTROL, Settings, configuration_without_pods,
    counters::{Counters, number},
    pod_settings,
    traffic::Talker,
    wait_at_rest,
};
use serde_json::{Value, json};
use tsn_tests::{
    clients::binary,
    clock::tai_now_ns,
    control::NotifySocket,
    daemon::Daemon,
    process::{Process, Signal},
    wait::wait_until,
};

/// The example that the documentation points to.
const EXAMPLE: &str = include_str!("../../examples/tsnd.yaml");

/// Runs `tsnctl` to its end.
fn tsnctl(daemon: &Daemon, arguments: &[&str]) -> Output {
    Command::new(binary("tsnctl").unwrap())
        .arg("--control")
        .arg(daemon.control.socket())
        .args(arguments)
        .output()
        .unwrap()
}

/// The standard output of a `tsnctl` that succeeds.
fn told(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = tsnctl(daemon, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tsnctl {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same as JSON.
fn told_json(daemon: &Daemon, arguments: &[&str]) -> Value {
    let text = told(daemon, &[arguments, &["--output", "json"]].concat());
    serde_json::from_str(&text).unwrap()
}

fn write(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    path.display().to_string()
}

#[test]
fn tsnctl_shows_and_applies() {
    let bed = Bed::new(2);
    let settings = Settings::default();
    let first = format!(
        "{}pods:\n  - {}\n",
        configuration_without_pods(&settings),
        pod_settings(bed.near(1), &settings)
    );
    let daemon = bed.start(&first);

    let status = told_json(&daemon, &["status"]);
    assert_eq!(status["backend"], bed.home.backend().name());
    assert_eq!(status["uplink"]["device"], "uplink0");
    assert_eq!(status["pods"], 1);
    let text = told(&daemon, &["status"]);
    for part in ["uplink0 up, 1000 Mb/s", "control", "best-effort", "stalls"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    let pods = told_json(&daemon, &["pods"]);
    assert_eq!(pods[0]["pod"]["name"], "pod1");
    assert_eq!(pods[0]["attached"], true);
    let text = told(&daemon, &["pods"]);
    for part in ["pod1 (eth0 in /", "attached", "timed", "class 7"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }

    // The same file again changes nothing.
    let file = write(&bed.home.file("first.yaml"), &first);
    let applied = told_json(&daemon, &["apply", &file]);
    for (what, done) in applied.as_object().unwrap() {
        assert!(done.is_null() || *done == json!([]), "{what}: {done}");
    }
    assert!(told(&daemon, &["apply", &file]).contains("unchanged"));

    // Another one brings gates at an instant and a pod; the pod that it does not name stays.
    let second = format!(
        "{}pods:\n  - {}\n",
        configuration_without_pods(&Settings {
            list: "[ { gate-states-value: [control, video], time-interval-value: 2ms } ]",
            ..Settings::default()
        }),
        pod_settings(bed.near(2), &settings)
    );
    let file = write(&bed.home.file("second.yaml"), &second);
    let before_ns = tai_now_ns();
    let applied = told_json(&daemon, &["apply", &file, "--at", "+1s"]);
    let at_ns = number(&applied["config-change-time-ns"]);
    assert!((before_ns + 1_000_000_000..tai_now_ns() + 1_000_000_000).contains(&at_ns));
    assert_eq!(applied["pods-added"], json!(["pod2"]));
    assert_eq!(applied["pods-kept"], json!(["pod1"]));
    let at = (tai_now_ns() + 5_000_000_000).to_string();
    let applied = told_json(&daemon, &["apply", &file, "--at", &at]);
    assert_eq!(applied["config-change-time-ns"].to_string(), at);
    let text = told(&daemon, &["apply", &file, "--at", "+3s"]);
    assert!(
        text.contains("start at") && text.contains("kept      pod1"),
        "{text}"
    );

    // A pod with other settings is attached anew.
    let third = first.replace("\"frame-quota\": 2048", "\"frame-quota\": 99");
    let file = write(&bed.home.file("third.yaml"), &third);
    let applied = told_json(&daemon, &["apply", &file]);
    assert_eq!(applied["pods-changed"], json!(["pod1"]));
    assert_eq!(Counters::of(&daemon).pod("pod1")["pod"]["frame-quota"], 99);

    // What is wrong is said on standard error, with a failure's status.
    let wrong = write(
        &bed.home.file("wrong.yaml"),
        &first.replace("number: 7", "number: 9"),
    );
    let cases: [(&[&str], &str); 4] = [
        (&["apply", &wrong], "traffic-classes[0].number"),
        (&["apply", "/nonexistent.yaml"], "/nonexistent.yaml"),
        (&["apply", &file, "--at", "tomorrow"], "tomorrow"),
        (
            &["status", "--control", "/nonexistent.sock"],
            "/nonexistent.sock",
        ),
    ];
    for (arguments, part) in cases {
        let output = tsnctl(&daemon, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
    daemon.terminate().unwrap();
}

#[test]
fn the_example_configuration_runs() {
    let bed = Bed::new(2);
    // Its namespaces are nobody's; these are ours.
    let mut example = EXAMPLE.to_owned();
    for (number, name) in [(1, "controller"), (2, "camera")] {
        let netns = format!("/var/run/netns/{name}");
        assert!(example.contains(&netns));
        let ours = bed.near(number).namespace.path().display().to_string();
        example = example.replace(&netns, &ours);
    }
    example += bed.home.backend().settings();
    let daemon = bed.start(&example);
    let wire = bed.capture();
    let talker = Talker::start(
        bed.near(1),
        bed.far(1),
        CONTROL,
        200,
        Duration::from_millis(1),
    );
    talker.wait_through(&wire);
    talker.finish();
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    assert_eq!(counters.pod("camera")["attached"], true);
    assert!(number(&counters.stream("controller", "loop")["sent"]) > 0);
    assert_eq!(counters.class(7)["name"], "control");
    // The figures for a check come from the daemon that runs on it, so none has to be assumed.
    let file = write(&bed.home.file("example.yaml"), &example);
    let report = told_json(&daemon, &["check", &file, "--clock-error", "1us"]);
    let codes: Vec<&Value> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| &finding["code"])
        .collect();
    assert!(codes.is_empty(), "{report}");
    // It applies to that daemon, without a change.
    assert_eq!(
        told_json(&daemon, &["apply", &file])["config-change-time-ns"],
        Value::Null
    );
    daemon.terminate().unwrap();
}

#[test]
fn the_schema_describes_every_body() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let schema = daemon.control.get("/v1/schema").unwrap();
    let described: BTreeSet<&str> = schema
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    for path in ["/v1/status", "/v1/pods", "/v1/gates", "/v1/stalls"] {
        assert!(described.contains(&*format!("GET {path}")), "{described:?}");
        // Every field of the answer is described, and every required one is there.
        let schema = &schema[format!("GET {path}")]["response"];
        let answer = daemon.control.get(path).unwrap();
        if let Some(answer) = answer.as_object() {
            let properties = schema["properties"].as_object().unwrap();
            assert!(
                answer.keys().all(|key| properties.contains_key(key)),
                "{path}: {answer:?}"
            );
            let required = schema["required"].as_array().into_iter().flatten();
            assert!(
                required
                    .map(|key| key.as_str().unwrap())
                    .all(|key| answer.contains_key(key))
            );
        } else {
            assert_eq!(schema["type"], "array");
        }
    }
    daemon.terminate().unwrap();
}

#[test]
fn a_second_daemon_keeps_off_and_the_first_goes_on() {
    let bed = Bed::new(1);
    let configuration = bed.configuration(&Settings::default());
    let daemon = bed.start(&configuration);
    let command = bed.daemon_command(&bed.home.file("tsnd.yaml"));
    let mut second = Process::spawn("second tsnd", command).unwrap();
    assert_eq!(second.wait(BOUND).unwrap().code(), Some(1));
    let said = second.stderr();
    assert!(said.contains("another tsnd"), "{said}");

    let wire = bed.capture();
    let talker = Talker::start(
        bed.near(1),
        bed.far(1),
        CONTROL,
        200,
        Duration::from_millis(1),
    );
    talker.wait_through(&wire);
    let sent = u64::from(talker.finish());
    wait_at_rest(&daemon);
    // Everything still goes through the first daemon, not around it.
    assert_eq!(
        number(&Counters::of(&daemon).stream("pod1", "timed")["sent"]),
        sent
    );
    daemon.terminate().unwrap();
}

#[test]
fn systemd_hears_of_readiness_life_and_the_end() {
    let bed = Bed::new(1);
    let configuration = bed.configuration(&Settings::default());
    let file = bed.home.file("watched.yaml");
    write(&file, &configuration);
    let notified = NotifySocket::bind(bed.home.file("watched.sock")).unwrap();
    let mut command = bed.daemon_command(&file);
    command.env("NOTIFY_SOCKET", notified.path());
    command.env("WATCHDOG_USEC", "200000");
    let mut daemon = Process::spawn("tsnd", command).unwrap();
    let hear = |line: &str| {
        let what = format!("systemd to hear {line}");
        wait_until(&what, BOUND, || {
            notified
                .next()
                .is_some_and(|message| message.lines().any(|said| said == line))
        })
        .unwrap();
    };
    hear("READY=1");
    for _ in 0..5 {
        hear("WATCHDOG=1");
    }
    daemon.signal(Signal::SIGTERM).unwrap();
    hear("STOPPING=1");
    assert!(daemon.wait(BOUND).unwrap().success());
    assert!(
        !bed.home.control().socket().exists(),
        "the socket goes with the daemon"
    );
}
