//! Broken and hostile control requests: a clear error, and nothing changes.

mod common;

use std::time::Duration;

use common::{
    Bed, CONTROL, Settings,
    counters::Counters,
    pod_settings,
    traffic::{Talker, assert_complete, numbers},
    wait_at_rest,
};
use serde_json::{Value, json};
use tsn_tests::daemon::Daemon;

/// What no refused request may change.
fn settings_of(daemon: &Daemon) -> (Value, Value, Value) {
    let counters = Counters::of(daemon);
    let pods = counters.pods.as_array().unwrap();
    let pods = pods
        .iter()
        .map(|pod| json!([pod["pod"], pod["attached"]]))
        .collect();
    (
        daemon.control.get("/v1/gates").unwrap(),
        pods,
        json!([
            counters.status["gates"]["config-change-time-ns"],
            counters.status["gates"]["config-change-error"],
            counters.status["classes"],
            counters.status["uplink"]["device"],
        ]),
    )
}

#[test]
fn bad_control_requests_are_refused_and_change_nothing() {
    let bed = Bed::new(1);
    let settings = Settings::default();
    let daemon = bed.start(&bed.configuration(&settings));
    let before = settings_of(&daemon);
    let list = |entry: &str| format!(r#"{{ "admin-control-list": [ {entry} ] }}"#);
    let entry = r#"{ "gate-states-value": 1, "time-interval-value": 1000 }"#;
    let pod = pod_settings(bed.near(1), &settings);
    let pod_with = |from: &str, to: &str| {
        assert!(pod.contains(from), "{from} is not in {pod}");
        pod.replacen(from, to, 1)
    };
    let gone = pod_with("/run/netns/", "/run/netns/gone-").replacen("pod1", "new", 1);
    let stream = r#"{ "name": "s", "match": {}, "traffic-class": 0 }"#;
    let streams = |count: usize| {
        let streams: Vec<String> = (0..count)
            .map(|n| stream.replace("\"s\"", &format!("\"s{n}\"")))
            .collect();
        json!({ "name": "new", "netns": "/run/netns/x", "streams": [] })
            .to_string()
            .replace("[]", &format!("[{}]", streams.join(",")))
    };
    let configuration = |from: &str, to: &str| {
        let value: Value = json!({
            "uplinks": [{ "device": "uplink0", "link-speed": 1000, "traffic-classes": [] }], "pods": []
        });
        value.to_string().replace(from, to)
    };
    let cases: Vec<(&str, &str, String, u16, &str)> = vec![
        ("GET", "/", String::new(), 404, ""),
        ("GET", "/v1/nothing", String::new(), 404, ""),
        ("GET", "/v2/status", String::new(), 404, ""),
        ("POST", "/v1/status", String::new(), 405, ""),
        ("DELETE", "/v1/gates", String::new(), 405, ""),
        ("PUT", "/v1/gates", String::new(), 400, "EOF"),
        ("PUT", "/v1/gates", "{".to_owned(), 400, "line 1"),
        ("PUT", "/v1/gates", "[]x".to_owned(), 400, ""),
        ("PUT", "/v1/gates", "[".repeat(100_000), 400, ""),
        ("PUT", "/v1/gates", r#"{ "gates": 1 }"#.to_owned(), 400, "unknown field `gates`"),
        ("PUT", "/v1/gates", r#"{ "gate-enabled": "yes" }"#.to_owned(), 400, "invalid type"),
        ("PUT", "/v1/gates", r#"{ "admin-gate-states": 256 }"#.to_owned(), 400, "256"),
        ("PUT", "/v1/gates", r#"{ "admin-base-time": { "seconds": 1, "nanoseconds": 1000000000 } }"#.to_owned(), 400, "999999999"),
        ("PUT", "/v1/gates", r#"{ "admin-base-time": { "seconds": 99999999999999 } }"#.to_owned(), 400, "seconds"),
        ("PUT", "/v1/gates", list(r#"{ "gate-states-value": [8], "time-interval-value": 1 }"#), 400, "class 8"),
        ("PUT", "/v1/gates", list(r#"{ "gate-states-value": ["radio"], "time-interval-value": 1 }"#), 400, "radio"),
        ("PUT", "/v1/gates", list(r#"{ "gate-states-value": 1, "time-interval-value": -1 }"#), 400, "negative"),
        ("PUT", "/v1/gates", list(r#"{ "gate-states-value": 1 }"#), 400, "time-interval-value"),
        ("PUT", "/v1/gates", list(&vec![entry; 65_537].join(",")), 400, "65537"),
        ("PUT", "/v1/gates", r#"{ "admin-cycle-time": { "numerator": 0, "denominator": 1 }, "admin-control-list": [ENTRY] }"#.replace("ENTRY", entry), 400, "cycle"),
        ("PUT", "/v1/gates", " ".repeat(17 << 20), 413, ""),
        ("POST", "/v1/pods", pod_with("\"timed\"", "\"other\""), 409, "`pod1`"),
        ("POST", "/v1/pods", gone, 422, "gone-"),
        ("POST", "/v1/pods", pod_with("pod1", "").to_owned(), 400, "pod.name"),
        ("POST", "/v1/pods", pod_with("pod1\"", "..\"").to_owned(), 400, "pod.name"),
        ("POST", "/v1/pods", pod_with("\"traffic-class\": 7", "\"traffic-class\": 9"), 400, "class 9"),
        ("POST", "/v1/pods", streams(0), 400, "pod.streams"),
        ("POST", "/v1/pods", streams(17), 400, "1 to 16"),
        ("DELETE", "/v1/pods/nobody", String::new(), 404, "nobody"),
        ("GET", "/v1/pods/nobody", String::new(), 404, "nobody"),
        ("GET", "/v1/pods/%00%ff", String::new(), 400, ""),
        ("PUT", "/v1/configuration", configuration("uplink0", "uplink1"), 409, "device"),
        ("PUT", "/v1/configuration", configuration("", ""), 409, "traffic-classes"),
        ("PUT", "/v1/configuration", configuration("1000", "0"), 400, "link-speed"),
        ("PUT", "/v1/configuration?at-ns=soon", configuration("", ""), 400, ""),
    ];
    for (method, path, body, status, fragment) in &cases {
        let shown = &body[..body.len().min(200)];
        let response = daemon.control.request(method, path, body).unwrap();
        assert_eq!(
            response.status, *status,
            "{method} {path} {shown}: {}",
            response.body
        );
        assert!(
            response.body.contains(fragment),
            "{method} {path} {shown}: {}",
            response.body
        );
        if !fragment.is_empty() {
            let error: Value = serde_json::from_str(&response.body).unwrap();
            assert!(error["error"].is_string(), "{error}");
        }
    }
    for garbage in [
        &b"\x00\xff\xfe\r\n\r\n"[..],
        b"PUT /v1/gates HTTP/9.9\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    ] {
        let answer = daemon.control.exchange(garbage).unwrap();
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
            "{answer:?}"
        );
    }
    assert_eq!(settings_of(&daemon), before);
    // The same pod once more is no error and no change.
    let again = daemon.control.request("POST", "/v1/pods", &pod).unwrap();
    assert_eq!(again.status, 201, "{}", again.body);
    assert_eq!(settings_of(&daemon), before);
    daemon.terminate().unwrap();
}

#[test]
fn instants_at_the_end_of_time_do_not_stop_the_daemon() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let wire = bed.capture();
    let talker = Talker::start(
        bed.near(1),
        bed.far(1),
        CONTROL,
        200,
        Duration::from_millis(1),
    );
    talker.wait_through(&wire);
    let list =
        |interval: u64| json!([{ "gate-states-value": 255, "time-interval-value": interval }]);
    for (base_ns, interval_ns) in [
        (u64::MAX, 1_000_000),
        (u64::MAX / 2, u64::MAX),
        (0, 1),
        (0, u64::MAX),
    ] {
        let body = json!({ "admin-base-time": base_ns, "admin-control-list": list(interval_ns) });
        let response = daemon
            .control
            .request("PUT", "/v1/gates", &body.to_string())
            .unwrap();
        assert!([200, 400].contains(&response.status), "{response:?}");
        assert!(daemon.control.get("/v1/status").is_ok(), "after {body}");
    }
    let body = json!({ "admin-control-list": list(1_000_000) });
    daemon
        .control
        .request("PUT", "/v1/gates", &body.to_string())
        .unwrap()
        .json()
        .unwrap();
    talker.wait_through(&wire);
    let sent = talker.finish();
    wait_at_rest(&daemon);
    daemon.terminate().unwrap();
    assert_complete(&numbers(&wire.finish().unwrap(), CONTROL), sent);
}
