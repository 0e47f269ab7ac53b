//! A pod that has every capability short of root over the host, and means ill: it gets rid of nothing that it is watched
//! by, borrows no other's identity, gets no more than its streams have, and takes nothing from other pods.

mod common;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use common::{
    BEST_EFFORT, BOUND, Bed, CONTROL, RAW_ETHERTYPE, Settings, VIDEO, configuration_without_pods,
    counters::{Counters, number, sum},
    pod_settings, stamp,
    traffic::{Talker, assert_complete, numbers},
    wait_at_rest,
};
use serde_json::Value;
use tsn_tests::{
    confined::confined_python, daemon::Daemon, process::Process, topology::Pod, wait::wait_until,
};

const DETACH: &str = include_str!("hostile_pod/detach.py");
const FLOOD: &str = include_str!("hostile_pod/flood.py");
const FORGE: &str = include_str!("hostile_pod/forge.py");
const INSPECT: &str = include_str!("hostile_pod/inspect.py");

/// Runs a program in a pod to its end; what it prints.
fn attack(pod: &Pod, program: &str, arguments: &[String]) -> Value {
    let mut command = confined_python(&pod.namespace);
    command.args(["-c", program]).args(arguments);
    let output = Process::spawn("attack", command)
        .unwrap()
        .finish(BOUND)
        .unwrap();
    serde_json::from_str(&output).unwrap()
}

/// What is attached to a pod.
struct Attached {
    /// Number, program's number and device of the links: redirect, and stamp where that is attached by one.
    links: Vec<[u64; 3]>,
    /// The number of the stamp program where that is attached by a filter (before Linux 6.6).
    filter: Option<u64>,
    /// Number of the map of policies.
    map: u64,
    /// The secret, as it is in the pod's stamps.
    secret: String,
}

impl Attached {
    fn to(bed: &Bed, pod: usize) -> Self {
        let pins = bed.home.pin_directory();
        let pinned = |what| pins.join(format!("pods/pod{pod}")).join(what);
        let slot = std::fs::read_link(pinned("slot")).unwrap();
        let filter = stamp::filter(bed, pod);
        let stamp_link = filter.is_none().then(|| pinned("stamp"));
        let output = Command::new("python3")
            .args(["-c", INSPECT])
            .arg(pins.join("maps/POLICIES"))
            .arg(slot)
            .arg(pinned("redirect"))
            .args(stamp_link)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        Self {
            links: serde_json::from_value(seen["links"].clone()).unwrap(),
            filter,
            map: number(&seen["map"]),
            secret: seen["value"].as_str().unwrap()[..16].to_owned(),
        }
    }
}

/// Sends so many datagrams from a pod, and asserts that each of them was stamped, redirected and sent.
fn assert_served(bed: &Bed, daemon: &Daemon, pod: usize, datagrams: u32) {
    let name = format!("pod{pod}");
    let figures = || {
        let counters = Counters::of(daemon);
        let kernel = &counters.pod(&name)["kernel"];
        [
            number(&kernel["stamped"]),
            number(&kernel["redirected"]),
            number(&counters.stream(&name, "timed")["sent"]),
        ]
    };
    let before = figures();
    let talker = Talker::start(
        bed.near(pod),
        bed.far(pod),
        CONTROL,
        200,
        Duration::from_millis(1),
    );
    talker.wait_more(datagrams);
    let sent = u64::from(talker.finish());
    wait_at_rest(daemon);
    assert_eq!(
        figures(),
        before.map(|figure| figure + sent),
        "stamped, redirected, sent"
    );
}

/// Waits until the daemon has attached a pod anew whose filter was `before`, and which does nothing about it any more.
fn wait_for_another_filter(bed: &Bed, daemon: &Daemon, pod: usize, before: u64) {
    let name = format!("pod{pod}");
    wait_until("the pod to be attached anew", BOUND * 3, || {
        stamp::filter_is_there(bed, pod)
            && stamp::filter(bed, pod) != Some(before)
            && Counters::of(daemon).pod(&name)["waits-for"].is_null()
    })
    .unwrap();
}

#[test]
fn a_hostile_pod_detaches_nothing() {
    let bed = Bed::new(2);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    assert_served(&bed, &daemon, 1, 50);
    let before = [1, 2].map(|pod| Attached::to(&bed, pod));
    let list = |numbers: Vec<u64>| {
        let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
        numbers.join(",")
    };
    let links = || before.iter().flat_map(|pod| &pod.links);
    let filters = before.iter().filter_map(|pod| pod.filter);
    let arguments = [
        list(links().map(|link| link[0]).collect()),
        list(links().map(|link| link[1]).chain(filters).collect()),
        before[0].map.to_string(),
        bed.far(1).ipv4.to_string(),
        CONTROL.to_string(),
    ];
    let wire = bed.capture();
    let gap = Duration::from_millis(5);
    let neighbour = Talker::start(bed.near(2), bed.far(2), VIDEO, 200, gap);
    let ended = attack(bed.near(1), DETACH, &arguments);
    println!("{ended:#}");
    let ended = ended.as_object().unwrap();
    let denied = |begin: &str| {
        let attempts = ended.iter().filter(|(name, _)| name.starts_with(begin));
        let outcomes: Vec<_> = attempts
            .map(|(_, outcome)| outcome.as_str().unwrap())
            .collect();
        assert!(!outcomes.is_empty(), "no attempt to {begin}");
        assert!(
            outcomes.iter().all(|outcome| *outcome != "done"),
            "{begin}: {outcomes:?}"
        );
    };
    for refused in [
        "take link",
        "take program",
        "take map",
        "detach what",
        "replace what",
    ] {
        denied(refused);
    }
    // The pod has what it needs to try: its own programs are taken, and a filter is its namespace's.
    let allowed: &[&str] = match before[0].filter {
        None => &["be asked before the stamp program", "add a clsact qdisc"],
        Some(_) => &["delete all egress filters"],
    };
    for allowed in ["load a program of its own"].iter().chain(allowed) {
        assert_eq!(ended[*allowed], "done", "{allowed}");
    }
    if let Some(before) = before[0].filter {
        wait_for_another_filter(&bed, &daemon, 1, before);
    }
    for (pod, before) in [1, 2].into_iter().zip(&before) {
        let now = Attached::to(&bed, pod);
        if pod == 1 && before.filter.is_some() {
            // What is left of the old program, wherever the pod has it, has a secret that is worth nothing.
            assert_ne!(now.secret, before.secret);
            continue;
        }
        assert_eq!(
            now.links, before.links,
            "the same links, programs and devices"
        );
        assert_eq!(now.filter, before.filter);
        assert_eq!(now.secret, before.secret);
    }
    let sent = neighbour.finish();
    for pod in [1, 2] {
        assert_served(&bed, &daemon, pod, 100);
    }
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    daemon.terminate().unwrap();
    assert_complete(&numbers(&wire.finish().unwrap(), VIDEO), sent);
}

#[test]
fn a_hostile_pod_forges_no_stamp_but_its_own() {
    let bed = Bed::new(2);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let neighbour = Attached::to(&bed, 1);
    // A frame of the neighbour, of which the hostile pod knows the secret too.
    let frame: Vec<u8> = [
        &[2, 0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 1][..],
        &RAW_ETHERTYPE.to_be_bytes(),
        &[0x66; 60],
    ]
    .concat();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let arguments = [
        bed.far(2).ipv4.to_string(),
        CONTROL.to_string(),
        hex(&frame),
        neighbour.secret.clone(),
    ];
    let wire = bed.capture();
    let told = attack(bed.near(2), FORGE, &arguments);
    println!("{told}");
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    let kernel = &counters.pod("pod2")["kernel"];
    assert_eq!(number(&kernel["forged_stamp"]), number(&told["wrong"]));
    assert_eq!(number(&counters.pod("pod1")["received"]), 0);
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    let through = frames.iter().filter(|seen| seen.bytes == frame).count();
    // Its own secret it may learn: with it, it can say of its frames what its sockets can say of them anyway.
    let own = if told["own"].is_null() { 0 } else { 50 };
    assert_eq!(through, own, "a frame behind a forged stamp came through");
    assert_eq!(counters.stream("pod2", "raw")["received"], own);
}

/// A pod whose only stream is in class 0.
fn best_effort_only(pod: &Pod, quota: u32, more: &str) -> String {
    format!(
        r#"{{ "name": "{}", "netns": "{}", "frame-quota": {quota}, "streams": [
      {{ "name": "rest", "match": {{ "udp-destination-port": {BEST_EFFORT} }}, "traffic-class": 0, "late": "send"{more} }} ] }}"#,
        pod.host_end,
        pod.namespace.path().display(),
    )
}

fn flood(pod: &Pod, to: &Pod, seconds: u32, ports: &[u16]) -> u64 {
    let mut arguments = vec![seconds.to_string(), to.ipv4.to_string()];
    arguments.extend(ports.iter().map(u16::to_string));
    number(&attack(pod, FLOOD, &arguments))
}

#[test]
fn a_hostile_pod_stays_in_its_class() {
    let bed = Bed::new(1);
    let settings = Settings::default();
    let pod = best_effort_only(bed.near(1), 256, "");
    let configuration = format!("{}pods: [ {pod} ]\n", configuration_without_pods(&settings));
    let daemon = bed.start(&configuration);
    let sent = flood(bed.near(1), bed.far(1), 1, &[CONTROL, VIDEO, BEST_EFFORT]);
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    println!("{sent} sent; dropped: {}", counters.all_causes());
    for class in [5, 7] {
        assert_eq!(
            number(&counters.class(class)["received"]),
            0,
            "class {class}"
        );
    }
    assert!(number(&counters.class(0)["received"]) > 0);
    // What is not in its stream is not time-sensitive, whatever it says of itself.
    assert!(number(&counters.pod("pod1")["received"]) <= sent / 3);
    daemon.terminate().unwrap();
}

#[test]
fn a_hostile_pod_stays_below_its_rate() {
    const BITS_PER_SECOND: u64 = 1_000_000;
    const BURST_BYTES: u64 = 10_000;
    let bed = Bed::new(1);
    let settings = Settings::default();
    let meter = format!(
        r#", "flow-meter": {{ "committed-information-rate": {BITS_PER_SECOND}, "committed-burst-size": {BURST_BYTES} }}"#
    );
    let pod = best_effort_only(bed.near(1), 256, &meter);
    let configuration = format!("{}pods: [ {pod} ]\n", configuration_without_pods(&settings));
    let daemon = bed.start(&configuration);
    let wire = bed.capture();
    let start = Instant::now();
    flood(bed.near(1), bed.far(1), 2, &[BEST_EFFORT]);
    // And a second for what still waits for the daemon to look at it.
    let metered = start.elapsed() + Duration::from_secs(1);
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    let ours = frames
        .iter()
        .filter(|frame| frame.udp_destination() == Some(BEST_EFFORT));
    let bytes: u64 = ours.map(|frame| frame.length as u64).sum();
    let allowed = BITS_PER_SECOND * metered.as_micros() as u64 / 8_000_000 + BURST_BYTES;
    println!(
        "{bytes} bytes of {allowed} allowed; dropped: {}",
        counters.all_causes()
    );
    assert!(bytes <= allowed, "{bytes} bytes, {allowed} allowed");
    assert!(bytes > BURST_BYTES, "what is within the rate passes");
    assert!(number(&counters.pod("pod1")["drops"]["flow_meter_red"]) > 1_000);
}

#[test]
fn a_hostile_pod_starves_nobody() {
    let bed = Bed::new(2);
    let settings = Settings::default();
    let hostile = Settings {
        frame_quota: 256,
        ..Settings::default()
    };
    let configuration = format!(
        "{}pods: [ {}, {} ]\n",
        configuration_without_pods(&settings),
        pod_settings(bed.near(1), &settings),
        pod_settings(bed.near(2), &hostile)
    );
    let daemon = bed.start(&configuration);
    let wire = bed.capture();
    let victims = [CONTROL, VIDEO, BEST_EFFORT].map(|port| {
        let gap = Duration::from_millis(2);
        (port, Talker::start(bed.near(1), bed.far(1), port, 200, gap))
    });
    // It has the same classes as its victim, and sends to an address of its own.
    let flooded = flood(bed.near(2), bed.far(2), 2, &[CONTROL, VIDEO, BEST_EFFORT]);
    let victims = victims.map(|(port, talker)| (port, talker.finish()));
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    let (victim, flooder) = (counters.pod("pod1"), counters.pod("pod2"));
    println!(
        "{flooded} sent in the flood; dropped: {}",
        counters.all_causes()
    );
    assert_eq!(sum(&victim["drops"]), 0, "{victim}");
    assert!(number(&flooder["drops"]["quota_exceeded"]) > 0, "{flooder}");
    daemon.terminate().unwrap();
    let frames = wire.finish().unwrap();
    for (port, sent) in victims {
        assert_complete(&numbers(&frames, port), sent);
    }
}
