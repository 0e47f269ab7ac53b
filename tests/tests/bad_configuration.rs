//! Broken and hostile configuration files: a clear error that names the field or the line, and nothing is touched.

mod common;

use std::fs;

use common::{BOUND, Bed, Settings, configuration_without_pods, counters::Counters, pod_settings};
use tsn_tests::process::Process;

/// Starts a daemon that must refuse its configuration. What it said.
fn refusal(bed: &Bed, configuration: &[u8]) -> String {
    let file = bed.home.file("refused.yaml");
    fs::write(&file, configuration).unwrap();
    let mut command = bed.daemon_command(&file);
    command.env_remove("RUST_BACKTRACE"); // operators see the error alone
    let mut process = Process::spawn("tsnd", command).unwrap();
    let status = process.wait(BOUND).unwrap();
    assert!(!status.success(), "accepted: {}", process.log());
    assert_eq!(
        status.code(),
        Some(1),
        "no error but a crash: {}",
        process.log()
    );
    process.stderr()
}

#[test]
fn a_bad_configuration_file_is_refused_by_field_or_line() {
    let bed = Bed::new(1);
    let good = bed.configuration(&Settings::default());
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} is not in {good}");
        good.replacen(from, to, 1)
    };
    let entry = "time-interval-value: 300us";
    let laughs: String = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!(
            "{text}a{n}: &a{n} [*a{}, *a{}, *a{}]\n",
            n - 1,
            n - 1,
            n - 1
        )
    });
    let cases: Vec<(String, &[&str])> = vec![
        (String::new(), &["refused.yaml"]),
        ("uplinks: [".to_owned(), &["refused.yaml:1:10: "]),
        ("\u{0}\u{1}".to_owned(), &["refused.yaml"]),
        ("[".repeat(100_000), &["refused.yaml"]),
        (laughs, &["refused.yaml"]),
        ("- a list\n".to_owned(), &["refused.yaml:1:1: "]),
        ("uplinks: []\n".to_owned(), &["uplinks", "there are 0"]),
        (with("worker:", "wroker:"), &["wroker", "refused.yaml:1:"]),
        (
            with("device: uplink0", "device: a-name-that-is-too-long"),
            &["uplinks[0].device"],
        ),
        (with("device: uplink0", "device: nosuch0"), &["nosuch0"]),
        (
            with("link-speed: 1000", "link-speed: 0"),
            &["refused.yaml:4:", "uplinks[0].link-speed", "Mb/s"],
        ),
        (
            with("link-speed: 1000", "link-speed: fast"),
            &["refused.yaml:4:"],
        ),
        (
            with("link-speed: 1000", "link-speed: -1"),
            &["refused.yaml:4:"],
        ),
        (
            with("number: 7", "number: 8"),
            &["uplinks[0].traffic-classes[0].number", "0 to 7"],
        ),
        (
            with("number: 7", "number: 5"),
            &["traffic-classes[1].number", "twice"],
        ),
        (
            with("capacity: 1024", "capacity: 0"),
            &["traffic-classes[0].capacity", "1 to 65536"],
        ),
        (
            with("capacity: 1024", "dscp: 64"),
            &["traffic-classes[0].dscp", "64; 0 to 63"],
        ),
        (
            with("capacity: 1024", "pcp: 8"),
            &["traffic-classes[0].pcp", "8; 0 to 7"],
        ),
        (
            with(
                "gate-states-value: [7]",
                "gate-states-value: [video, radio]",
            ),
            &["gate-states-value", "radio"],
        ),
        (
            with("gate-states-value: [7]", "gate-states-value: 256"),
            &["refused.yaml:10:", "256"],
        ),
        (
            with(entry, "time-interval-value: 3 parsecs"),
            &["refused.yaml:10:", "3 parsecs"],
        ),
        (
            with(entry, "time-interval-value: -5"),
            &["refused.yaml:10:", "negative"],
        ),
        (
            with(
                "{ admin-control-list",
                "{ admin-cycle-time: { numerator: 1, denominator: 0 }, admin-control-list",
            ),
            &["gate-parameters.admin-cycle-time"],
        ),
        (
            with("heartbeat-timeout: 10s", "heartbeat-timeout: 1us"),
            &["worker.heartbeat-timeout", "1ms to 10s"],
        ),
        (
            with("heartbeat-timeout: 10s", "realtime-priority: 100"),
            &["worker.realtime-priority", "1 to 99"],
        ),
        (
            with("uplinks:", "clock: { max-error: 500us }\nuplinks:"),
            &["clock.max-error", "1ms to 16s"],
        ),
        (
            with("\"name\": \"pod1\"", "\"name\": \"../pod1\""),
            &["pods[0].name", "../pod1"],
        ),
        (
            with("\"netns\": \"/run", "\"netns\": \"run"),
            &["pods[0].netns", "absolute"],
        ),
        (
            with("\"frame-quota\": 2048", "\"frame-quota\": 0"),
            &["pods[0].frame-quota"],
        ),
        (with("5001", "70000"), &["70000"]),
        (
            with("\"traffic-class\": 7", "\"traffic-class\": \"radio\""),
            &["streams[0].traffic-class", "radio"],
        ),
        (
            with("\"late\": \"send\"", "\"late\": \"maybe\""),
            &["maybe", "streams[0].late: "],
        ),
        (
            with("\"late\": \"send\"", &flow_meter(0, 64)),
            &[
                "streams[0].flow-meter.committed-information-rate",
                "at least 1",
            ],
        ),
        (
            with("\"late\": \"send\"", &flow_meter(1, 63)),
            &[
                "streams[0].flow-meter.committed-burst-size",
                "63 bytes",
                "at least 64",
            ],
        ),
        (
            with("34998", "1000"),
            &["streams[2].match.ethertype", "0x600"],
        ),
    ];
    for (configuration, fragments) in &cases {
        let said = refusal(&bed, configuration.as_bytes());
        for fragment in *fragments {
            assert!(
                said.contains(fragment),
                "no `{fragment}` in:\n{said}\nfor:\n{}",
                &configuration[..configuration.len().min(2_000)]
            );
        }
        assert!(said.len() < 4_000, "no clear error: {} bytes", said.len());
    }
    refusal(&bed, &[0xff, 0xfe, 0x80, 0x00]);
    // Nothing was attached, bound or kept.
    assert!(!bed.home.file("control.sock").exists());
    assert!(!bed.home.file("state/uplink0.json").exists());
    let pins = fs::read_dir(bed.home.pin_directory()).map_or(0, |pins| {
        pins.flatten()
            .filter(|pin| pin.file_name().to_string_lossy().contains("pod1"))
            .count()
    });
    assert_eq!(pins, 0);
    // And a good one works after all of them.
    bed.start(&good).terminate().unwrap();
}

fn flow_meter(rate: u64, burst: u32) -> String {
    format!(
        "\"flow-meter\": {{ \"committed-information-rate\": {rate}, \"committed-burst-size\": {burst} }}"
    )
}

#[test]
fn a_daemon_without_pods_is_ready_and_says_why_a_pod_waits() {
    let bed = Bed::new(1);
    let settings = Settings::default();
    let missing = pod_settings(bed.near(1), &settings).replace("/run/netns/", "/run/netns/gone-");
    let configuration = format!(
        "{}pods: [{missing}]\n",
        configuration_without_pods(&settings)
    );
    let daemon = bed.start(&configuration);
    let counters = Counters::of(&daemon);
    let pod = counters.pod("pod1");
    assert_eq!(pod["attached"], false);
    let reason = pod["waits-for"].as_str().unwrap();
    assert!(reason.contains("/run/netns/gone-"), "{reason}");
    daemon.terminate().unwrap();
}

#[test]
fn a_broken_state_file_is_named_and_passed_over() {
    let bed = Bed::new(1);
    let configuration = bed.configuration(&Settings::default());
    bed.start(&configuration).terminate().unwrap();
    let state = bed.home.file("state/uplink0.json");
    for broken in [&b"{ \"gates\": "[..], b"", &[0xff; 100]] {
        assert!(state.exists());
        fs::write(&state, broken).unwrap();
        let daemon = bed.start(&configuration);
        let log = daemon.process.log();
        assert!(
            log.contains("the state of the last run cannot be used"),
            "{log}"
        );
        assert_eq!(Counters::of(&daemon).pod("pod1")["attached"], true);
        daemon.terminate().unwrap();
    }
}
