//! What a healthy kernel does not do on demand, made to happen over faulty ports.

use tsn_core::{
    Arrival, ClassParameters, DropCause, GateStates, LateAction, LatePolicy, Launch, LinkSpeed,
    Nanoseconds, Scheduler, SchedulerParameters, TaiTime, TrafficClass,
};
use tsn_port::fault::Faults;
use tsn_tests::coverage::{IN_PROCESS, Seen, is_listed};
use tsn_userspace::control::api::ClassStatus;
use tsn_userspace::metrics::{Kind, encode, families};

use super::bench::{Bench, CONFIGURATION};
use super::{attachments, delivery};

/// Of the stream of class 5.
const OURS: u16 = 0x88b6;
/// Of no stream.
const STRANGE: u16 = 0x88b5;

const RING_FULL: &str = "tsnd_pod_dropped_frames_total{cause=\"receive_ring_full\"}";
const TOO_SHORT: &str = "tsnd_pod_dropped_frames_total{cause=\"receive_length_errors\"}";
const WAITING: &str = "tsnd_pod_ring_frames";
const UNMATCHED: &str = "tsnd_pod_dropped_frames_total{cause=\"unmatched\"}";
const NO_NEXT_HOP: &str = "tsnd_pod_dropped_frames_total{cause=\"no_next_hop\"}";
const REFUSED: &str = "tsnd_uplink_dropped_frames_total{cause=\"transmit_ring_full\"}";
const RING: &str = "tsnd_uplink_ring_frames";
const DROPPED: &str = "tsnd_uplink_dropped_frames_total{cause=\"device\"}";
const OVERRUN: &str = "tsnd_class_transmission_overruns_total";

/// What only happens where the worker delivers to pods.
const DELIVERY: [&str; 10] = [
    "tsnd_delivery_copied_bytes_total",
    "tsnd_pod_delivered_frames_total",
    "tsnd_pod_delivery_dropped_frames_total{cause=\"device\"}",
    "tsnd_pod_delivery_dropped_frames_total{cause=\"no_buffer\"}",
    "tsnd_pod_delivery_dropped_frames_total{cause=\"pod_ring_full\"}",
    "tsnd_pod_to_pods_frames_total",
    "tsnd_uplink_received_frames_total{what=\"for_group\"}",
    "tsnd_uplink_received_frames_total{what=\"for_pod\"}",
    "tsnd_uplink_received_frames_total{what=\"no_station\"}",
    "tsnd_uplink_received_frames_total{what=\"own\"}",
];

/// A class of a scheduler that was emptied with a frame in it.
fn flushed_class() -> ClassStatus {
    let class = TrafficClass::ALL[5];
    let mut scheduler = Scheduler::new(SchedulerParameters {
        link_speed: LinkSpeed::from_mbps(1_000).unwrap(),
        per_frame_overhead_bytes: 24,
        admin_gate_states: GateStates::ALL_OPEN,
        classes: [ClassParameters {
            capacity: 1,
            queue_max_sdu_bytes: None,
            launch_time_required: false,
        }; 8],
    });
    let arrival = Arrival {
        frame: (),
        length_bytes: 60,
        sdu_bytes: 46,
        class,
        launch: Launch::None,
        late: LatePolicy {
            tolerance: Nanoseconds::ZERO,
            action: LateAction::Send,
        },
        stream: 0,
    };
    scheduler.enqueue(TaiTime::from_nanos(1), arrival).unwrap();
    scheduler.drain(drop);
    ClassStatus::new(5, None, scheduler.counters(class))
}

#[test]
fn what_is_not_provoked_end_to_end_is_provoked_here() {
    let mut seen = Seen::default();
    let mut healthy = Bench::start(CONFIGURATION, Faults::default());
    healthy.send_until(OURS, &[RING_FULL, TOO_SHORT, WAITING], &mut seen);
    healthy.device().counters = vec![("tx_good_packets".to_owned(), 7)];
    healthy.send_until(STRANGE, &[UNMATCHED], &mut seen);
    let mut moment = healthy.moment();
    moment.status.classes = vec![flushed_class()];
    seen.look_at(&encode(&moment));
    drop(healthy);

    let idle = Faults {
        idle_per_mille: 1_000,
        ..Faults::default()
    };
    Bench::start(CONFIGURATION, idle).send_until(OURS, &[REFUSED, RING], &mut seen);
    // A wake-up of half a window's length, and no lead that knows of it.
    let losing_and_slow = Faults {
        drop_per_mille: 1_000,
        wake_ns: 500_000,
        ..Faults::default()
    };
    let wanted = [DROPPED, OVERRUN];
    Bench::start(CONFIGURATION, losing_and_slow).send_until(OURS, &wanted, &mut seen);

    // The test's ports find no next hop for any frame.
    let overlay = CONFIGURATION.replace("/nowhere", "/nowhere\n    mode: overlay");
    let overlay = format!("{overlay}overlay: {{ pod-networks: [10.244.0.0/16] }}\n");
    Bench::start(&overlay, Faults::default()).send_until(OURS, &[NO_NEXT_HOP], &mut seen);

    delivery::provoke(&DELIVERY, &mut seen);
    attachments::provoke(&mut seen);

    let missing = seen.missing(IN_PROCESS);
    assert!(missing.is_empty(), "not provoked: {missing:?}");
    assert!(seen.on_no_list().is_empty(), "{:?}", seen.on_no_list());
}

#[test]
fn every_family_and_every_cause_of_the_scheduler_is_provoked_by_one_of_the_suites() {
    let kinds = ["cause", "what", "state"];
    for family in families() {
        let name = family.sample_name();
        if family.kind == Kind::Histogram {
            assert!(is_listed(&format!("{name}_bucket")), "{name}");
        } else if !family.labels.iter().any(|label| kinds.contains(label)) {
            assert!(is_listed(&name), "{name}");
        }
    }
    for cause in DropCause::ALL {
        let key = format!("tsnd_class_dropped_frames_total{{cause=\"{cause}\"}}");
        assert!(is_listed(&key), "{key}");
    }
}
