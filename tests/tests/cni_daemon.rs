//! The plugin and the daemon, when one of them is late, silent, killed, or asked for what it does not give.

mod common;

use std::{
    fs::File,
    time::{Duration, SystemTime},
};

use common::{
    BEST_EFFORT, CONTROL, VIDEO,
    cni::{CniBed, PRIMARY, is_attached, status, wait_attached},
};
use serde_json::{Value, json};
use tsn_tests::{
    cni::{
        plugin::Failure,
        runtime::{Attachment, NetworkList, Runtime},
    },
    daemon::Daemon,
    namespace::Namespace,
    process::Signal,
    topology::POD_INTERFACE,
    wait::wait_until,
};

const BOUND: Duration = Duration::from_secs(20);

/// The chain at 1.1.0 with a field of our entry set.
fn primary_with(bed: &CniBed, field: &str, value: Value) -> NetworkList {
    let mut list = bed.primary("1.1.0");
    let ours = list.plugins.last_mut().unwrap();
    ours[field] = value;
    list
}

/// Starts the daemon once, so that it has left in its home what it leaves without pods.
fn home_with_a_past(bed: &CniBed) {
    bed.start().terminate().unwrap();
}

#[test]
fn status_tells_of_an_absent_daemon_only_if_it_is_to_be_strict() {
    let bed = CniBed::new();
    let runtime = bed.runtime("1.1.0");
    let (lenient, strict) = (
        bed.primary("1.1.0"),
        primary_with(&bed, "strictStatus", json!(true)),
    );
    runtime.status(&lenient).unwrap();
    let error = runtime.status(&strict).unwrap_err();
    assert_eq!(Failure::of(&error).code(), 50, "{error}");
    let daemon = bed.start();
    runtime.status(&lenient).unwrap();
    runtime.status(&strict).unwrap();
    daemon.kill().unwrap();
    assert_eq!(
        Failure::of(&runtime.status(&strict).unwrap_err()).code(),
        50
    );
}

#[test]
fn a_pod_that_came_before_the_daemon_is_attached_when_it_comes() {
    let bed = CniBed::new();
    home_with_a_past(&bed);
    let before = bed.snapshot(None);
    let pod = Namespace::new("pod").unwrap();
    let (runtime, list) = (bed.runtime("1.0.0"), bed.primary("1.0.0"));
    let eth0 = bed.attachment(&pod, POD_INTERFACE);
    runtime.add(&list, &eth0).unwrap();

    let daemon = bed.start();
    wait_attached(&daemon, PRIMARY, &eth0, true);
    bed.assert_served(&daemon, &pod, &eth0);
    daemon.kill().unwrap();

    // Nobody is there to detach it; the next daemon sees that its record is gone.
    runtime.delete(&list, &eth0).unwrap();
    let daemon = bed.start();
    wait_attached(&daemon, PRIMARY, &eth0, false);
    daemon.terminate().unwrap();
    bed.assert_as_before(&before, None);
}

#[test]
fn a_pod_that_must_be_served_is_refused_without_a_daemon() {
    let bed = CniBed::new();
    home_with_a_past(&bed);
    let before = bed.snapshot(None);
    let pod = Namespace::new("pod").unwrap();
    let runtime = bed.runtime("1.1.0");
    let list = primary_with(&bed, "failurePolicy", json!("closed"));
    let eth0 = bed.attachment(&pod, POD_INTERFACE);
    let error = runtime.add(&list, &eth0).unwrap_err();
    assert_eq!(Failure::of(&error).plugin, "tsn-cni");
    assert!(Failure::of(&error).code() > 100, "{error}");
    runtime.delete(&list, &eth0).unwrap();
    bed.assert_as_before(&before, None);

    let daemon = bed.start();
    runtime.add(&list, &eth0).unwrap();
    assert!(is_attached(&daemon, PRIMARY, &eth0));
    runtime.delete(&list, &eth0).unwrap();
    daemon.terminate().unwrap();
    bed.assert_as_before(&before, None);
}

#[test]
fn a_silent_daemon_is_waited_for_only_so_long() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(Some(&daemon));
    let runtime = bed.runtime("1.1.0");
    let mut open = primary_with(&bed, "deadlineMs", json!(200));
    let (first, second) = (
        Namespace::new("open").unwrap(),
        Namespace::new("closed").unwrap(),
    );
    let (first, second) = (
        bed.attachment(&first, POD_INTERFACE),
        bed.attachment(&second, POD_INTERFACE),
    );

    daemon.process.signal(Signal::SIGSTOP).unwrap();
    runtime.add(&open, &first).unwrap();
    open.plugins.last_mut().unwrap()["failurePolicy"] = json!("closed");
    let closed = open;
    let error = runtime.add(&closed, &second).unwrap_err();
    assert!(Failure::of(&error).code() > 100, "{error}");
    runtime.delete(&closed, &second).unwrap();
    daemon.process.signal(Signal::SIGCONT).unwrap();

    wait_attached(&daemon, PRIMARY, &first, true);
    wait_attached(&daemon, PRIMARY, &second, false);
    runtime.delete(&closed, &first).unwrap();
    bed.assert_as_before(&before, Some(&daemon));
    daemon.terminate().unwrap();
}

/// The streams that a pod gets by its annotations; an error where it gets none.
fn streams(bed: &CniBed, daemon: &Daemon, annotations: Value) -> anyhow::Result<Vec<String>> {
    let pod = Namespace::new("pod").unwrap();
    let (runtime, list) = (bed.runtime("1.1.0"), bed.primary("1.1.0"));
    let eth0 = bed
        .attachment(&pod, POD_INTERFACE)
        .with_annotations(annotations);
    let added = runtime.add(&list, &eth0);
    let served = status(daemon, PRIMARY, &eth0);
    runtime.delete(&list, &eth0).unwrap();
    added?;
    let served = served.expect("an attached pod has a status");
    let streams = served["streams"].as_array().unwrap().iter();
    Ok(streams
        .map(|stream| stream["name"].as_str().unwrap().to_owned())
        .collect())
}

#[test]
fn a_pods_annotations_choose_among_what_the_administrator_offers() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(Some(&daemon));
    let get = |annotations| streams(&bed, &daemon, annotations);

    assert_eq!(get(json!({})).unwrap(), ["timed", "video"]);
    assert_eq!(
        get(json!({ "other.example/profile": "gold" })).unwrap(),
        ["timed", "video"]
    );
    assert_eq!(
        get(json!({ "tsnd.dev/profile": "bulk" })).unwrap(),
        ["rest"]
    );
    assert_eq!(
        get(json!({ "tsnd.dev/profile.eth0": "bulk" })).unwrap(),
        ["rest"]
    );
    assert_eq!(
        get(json!({ "tsnd.dev/profile.net1": "bulk" })).unwrap(),
        ["timed", "video"]
    );
    assert_eq!(
        get(json!({ "tsnd.dev/traffic-class": "video" })).unwrap(),
        ["video"]
    );
    let port = json!({ "tsnd.dev/traffic-class": "7", "tsnd.dev/udp-destination-port": CONTROL.to_string() });
    assert_eq!(get(port).unwrap(), ["timed"]);

    for (annotations, named) in [
        (json!({ "tsnd.dev/profile": "gold" }), "gold"),
        (json!({ "tsnd.dev/traffic-class": "0" }), "0"),
        (
            json!({ "tsnd.dev/traffic-class": "7", "tsnd.dev/udp-destination-port": VIDEO.to_string() }),
            "udp-destination-port",
        ),
        (
            json!({ "tsnd.dev/profile": "bulk", "tsnd.dev/udp-destination-port": (BEST_EFFORT + 1).to_string() }),
            "udp-destination-port",
        ),
    ] {
        let error = get(annotations.clone()).expect_err(&annotations.to_string());
        let failure = Failure::of(&error);
        assert_eq!(failure.code(), 7, "{annotations}: {failure}");
        assert!(failure.text().contains(named), "{annotations}: {failure}");
    }
    bed.assert_as_before(&before, Some(&daemon));
    daemon.terminate().unwrap();
}

/// Starts a command of our plugin and kills it after so long.
fn kill_after(
    bed: &CniBed,
    runtime: &Runtime<'_>,
    execution: (&str, &Attachment, Option<&Value>),
    delay: Duration,
) {
    let (command, attachment, previous) = execution;
    let list = bed.only_ours("1.1.0");
    let execution = runtime.execution(command, &list, &list.plugins[0], attachment, previous);
    let mut plugin = execution.start(bed.node()).unwrap();
    std::thread::sleep(delay);
    plugin.kill().unwrap();
}

#[test]
fn a_plugin_that_is_killed_at_any_instant_leaves_what_the_next_del_removes() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(Some(&daemon));
    let (runtime, list) = (bed.runtime("1.1.0"), bed.primary("1.1.0"));
    let mut others = list.clone();
    others.plugins.pop();
    let pod = Namespace::new("pod").unwrap();
    let eth0 = bed.attachment(&pod, POD_INTERFACE);
    let previous = runtime.add(&others, &eth0).unwrap();
    let node_before = bed.snapshot(Some(&daemon));

    for step in 0..25 {
        let delay = Duration::from_micros(200 * step);
        kill_after(&bed, &runtime, ("ADD", &eth0, Some(&previous)), delay);
        kill_after(&bed, &runtime, ("DEL", &eth0, None), delay);
        runtime.delete(&bed.only_ours("1.1.0"), &eth0).unwrap();
        assert_eq!(status(&daemon, PRIMARY, &eth0), None);
    }
    // A record that was half written is swept with a later one, when nobody can be writing it any more.
    for unfinished in std::fs::read_dir(bed.records()).unwrap() {
        let unfinished = File::options().write(true).open(unfinished.unwrap().path());
        let two_minutes_ago = SystemTime::now() - Duration::from_secs(120);
        unfinished.unwrap().set_modified(two_minutes_ago).unwrap();
    }
    let add = runtime.execution("ADD", &list, &list.plugins[2], &eth0, Some(&previous));
    add.run(bed.node()).unwrap();
    runtime.delete(&bed.only_ours("1.1.0"), &eth0).unwrap();
    bed.assert_as_before(&node_before, Some(&daemon));
    runtime.delete(&list, &eth0).unwrap();
    bed.assert_as_before(&before, Some(&daemon));
    daemon.terminate().unwrap();
}

#[test]
fn a_plugin_that_is_killed_while_the_daemon_is_silent_leaves_what_the_next_del_removes() {
    let bed = CniBed::new();
    let daemon = bed.start();
    let before = bed.snapshot(Some(&daemon));
    let (runtime, list) = (bed.runtime("1.1.0"), bed.primary("1.1.0"));
    let mut others = list.clone();
    let ours = others.plugins.pop().unwrap();
    let pod = Namespace::new("pod").unwrap();
    let eth0 = bed.attachment(&pod, POD_INTERFACE);
    let previous = runtime.add(&others, &eth0).unwrap();
    let records = || std::fs::read_dir(bed.records()).map_or(0, Iterator::count);

    daemon.process.signal(Signal::SIGSTOP).unwrap();
    let mut plugin = runtime
        .execution("ADD", &list, &ours, &eth0, Some(&previous))
        .start(bed.node())
        .unwrap();
    wait_until("a record", BOUND, || records() == 1).unwrap();
    plugin.kill().unwrap();
    daemon.process.signal(Signal::SIGCONT).unwrap();
    wait_attached(&daemon, PRIMARY, &eth0, true);

    daemon.process.signal(Signal::SIGSTOP).unwrap();
    let mut plugin = runtime
        .execution("DEL", &list, &ours, &eth0, None)
        .start(bed.node())
        .unwrap();
    std::thread::sleep(Duration::from_millis(20));
    plugin.kill().unwrap();
    daemon.process.signal(Signal::SIGCONT).unwrap();

    runtime.delete(&list, &eth0).unwrap();
    bed.assert_as_before(&before, Some(&daemon));
    daemon.terminate().unwrap();
}
