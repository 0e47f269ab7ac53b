//! What the uplink's device tells of itself, over a backend that says what it is told to.

use std::time::{Duration, Instant};

use tsn_port::Link;
use tsn_port::fault::Faults;
use tsn_userspace::control::api::UplinkStatus;
use tsn_userspace::metrics::encode;
use tsn_userspace::node::NodeError;

use super::bench::{BOUND, Bench, CONFIGURATION};

/// As [`CONFIGURATION`], with the link's speed as the device tells it.
fn bench() -> Bench {
    let without_speed = CONFIGURATION.replace("link-speed: 1000", "per-frame-overhead: 24");
    Bench::start(&without_speed, Faults::default())
}

fn uplink(bench: &mut Bench) -> UplinkStatus {
    bench.moment().status.uplink
}

#[test]
fn housekeeping_sees_what_becomes_of_the_link() {
    let mut bench = bench();
    assert_eq!(uplink(&mut bench).link_speed, 1_000);
    for (link, up, mbps) in [
        (Link::Down, false, 1_000),
        (
            Link::Up {
                speed_mbps: Some(100),
            },
            true,
            100,
        ),
        (Link::Up { speed_mbps: None }, true, 100),
    ] {
        bench.device().link = link;
        bench.housekeeping().unwrap();
        let told = uplink(&mut bench);
        assert_eq!((told.up, told.link_speed), (up, mbps), "{link:?}");
    }
}

#[test]
fn a_configured_speed_is_not_changed_by_the_device() {
    let mut bench = Bench::start(CONFIGURATION, Faults::default());
    bench.device().link = Link::Up {
        speed_mbps: Some(100),
    };
    bench.housekeeping().unwrap();
    assert_eq!(uplink(&mut bench).link_speed, 1_000);
}

#[test]
fn a_device_that_is_removed_ends_the_daemon_and_takes_no_frame_before() {
    let mut bench = bench();
    bench.device().link = Link::Gone;
    let error = bench.housekeeping().unwrap_err();
    assert!(matches!(error, NodeError::UplinkGone(_)), "{error}");
    assert!(!uplink(&mut bench).up);
}

#[test]
fn what_the_device_counts_and_is_gets_told() {
    let mut bench = bench();
    bench.device().counters = vec![("tx_good_packets".to_owned(), 7)];
    let moment = bench.moment();
    let sample = "\ntsnd_uplink_device_statistic{name=\"tx_good_packets\"} 7\n";
    assert!(encode(&moment).contains(sample), "{}", encode(&moment));
    assert_eq!(moment.status.uplink.device_facts["driver"], "none");
}

#[test]
fn a_device_that_counts_without_end_makes_no_series_without_end() {
    let mut bench = bench();
    bench.device().counters = (0..1_000)
        .map(|n| (format!("rx_q{n}_packets"), n))
        .collect();
    let moment = bench.moment();
    let page = encode(&moment);
    let series = page.matches("\ntsnd_uplink_device_statistic{").count();
    assert_eq!(series, 256);
    assert_eq!(moment.status.uplink.device_counters.len(), 1_000);
}

#[test]
fn the_worker_enters_in_its_own_thread() {
    let bench = bench();
    assert_eq!(bench.device().entered_by.as_deref(), Some("tsnd-worker"));
}

#[test]
fn a_worker_with_polled_ports_sleeps_briefly() {
    // Without such a port, nothing but a command would end a sleep for two seconds.
    let slow_heart = format!("{CONFIGURATION}worker: {{ heartbeat-timeout: 10s }}\n");
    let mut bench = Bench::start(&slow_heart, Faults::default());
    let start = Instant::now();
    loop {
        let before = bench.moment().status.sleeps;
        std::thread::sleep(Duration::from_millis(50));
        if bench.moment().status.sleeps - before > 10 {
            return;
        }
        assert!(start.elapsed() < BOUND, "its sleeps are long");
    }
}
