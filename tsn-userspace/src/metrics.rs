//! What Prometheus reads at `/metrics`: names and units by its conventions, labels only of bounded kinds (classes,
//! causes, and the pods and streams that the operator configured).

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode as encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::clock::SyncState;
use crate::control::api::{PodStatus, Status};
use crate::worker::histogram::{BOUNDS_NS, LaunchErrors};

/// Of the text that [`encode`] makes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of one moment as OpenMetrics text.
pub fn encode(status: Status, pods: Vec<PodStatus>) -> String {
    let mut registry = Registry::with_prefix("tsnd");
    registry.register_collector(Box::new(Moment { status, pods }));
    let mut text = String::new();
    // Writing into a string fails only by a bug of the encoder; an empty answer shows it.
    match encode_registry(&mut text, &registry) {
        Ok(()) => text,
        Err(_) => String::new(),
    }
}

#[derive(Debug)]
struct Moment {
    status: Status,
    pods: Vec<PodStatus>,
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

fn family<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    kind: MetricType,
    name: &str,
    help: &str,
    samples: impl Iterator<Item = (Labels<'a>, f64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in samples {
        if labels.is_empty() {
            put(&mut metric, kind, value)?;
        } else {
            put(&mut metric.encode_family(&labels)?, kind, value)?;
        }
    }
    Ok(())
}

fn put(metric: &mut MetricEncoder<'_>, kind: MetricType, value: f64) -> fmt::Result {
    match kind {
        MetricType::Counter => metric.encode_counter::<NoLabelSet, _, f64>(&value, None),
        _ => metric.encode_gauge(&value),
    }
}

fn one<'a>(value: impl Into<f64>) -> std::iter::Once<(Labels<'a>, f64)> {
    std::iter::once((Vec::new(), value.into()))
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

impl Moment {
    fn uplink(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        use MetricType::{Counter, Gauge};
        let uplink = &self.status.uplink;
        family(
            encoder,
            Gauge,
            "uplink_up",
            "Whether frames can leave.",
            one(u8::from(uplink.up)),
        )?;
        let help = "How much earlier the worker acts so that the frame is on the wire in time.";
        family(
            encoder,
            Gauge,
            "lead_seconds",
            help,
            one(seconds(uplink.lead_ns)),
        )?;
        let help = "Frames that the uplink's device took.";
        family(
            encoder,
            Counter,
            "uplink_transmit_queued",
            help,
            one(uplink.transmit_queued as f64),
        )?;
        let help = "Frames that the uplink's device sent.";
        family(
            encoder,
            Counter,
            "uplink_transmitted",
            help,
            one(uplink.transmitted as f64),
        )?;
        let help = "System calls that woke the uplink's device.";
        family(
            encoder,
            Counter,
            "uplink_wakes",
            help,
            one(uplink.wakes as f64),
        )?;
        let help = "Payload bytes copied between receive and transmit.";
        family(
            encoder,
            Counter,
            "uplink_copied_bytes",
            help,
            one(uplink.copied_bytes as f64),
        )?;
        let drops = uplink
            .drops
            .iter()
            .map(|(cause, n)| (vec![("cause", cause.as_str())], *n as f64));
        family(
            encoder,
            Counter,
            "uplink_drops",
            "Scheduled frames that were not sent after all.",
            drops,
        )
    }

    fn worker(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        use MetricType::{Counter, Gauge};
        let (stalls, clock, gates) = (&self.status.stalls, &self.status.clock, &self.status.gates);
        let help = "Times at which the worker's core was taken away.";
        family(encoder, Counter, "stalls", help, one(stalls.count as f64))?;
        family(
            encoder,
            Counter,
            "stall_seconds",
            "Their lengths together.",
            one(seconds(stalls.total_ns)),
        )?;
        let help = "The longest of them.";
        family(
            encoder,
            Gauge,
            "stall_longest_seconds",
            help,
            one(seconds(stalls.longest_ns)),
        )?;
        let help = "Frames that a stall touched.";
        family(
            encoder,
            Counter,
            "stalled_frames",
            help,
            one(stalls.frames as f64),
        )?;
        let help = "How often the worker slept.";
        family(
            encoder,
            Counter,
            "sleeps",
            help,
            one(self.status.sleeps as f64),
        )?;
        let help = "How often the worker saw that the clock had been set.";
        family(
            encoder,
            Counter,
            "clock_steps",
            help,
            one(self.status.clock_steps as f64),
        )?;
        let states = [
            (SyncState::FreeRun, "free-run"),
            (SyncState::Locked, "locked"),
            (SyncState::Holdover, "holdover"),
            (SyncState::Lost, "lost"),
        ];
        let states =
            states.map(|(state, name)| (vec![("state", name)], f64::from(state == clock.state)));
        family(
            encoder,
            Gauge,
            "clock_state",
            "1 for the state that the clock is in.",
            states.into_iter(),
        )?;
        let help = "The kernel's bound on the clock's error.";
        family(
            encoder,
            Gauge,
            "clock_max_error_seconds",
            help,
            one(clock.max_error_us as f64 / 1e6),
        )?;
        let help = "TAI - UTC as the kernel knows it; 0 means that nobody told it.";
        family(
            encoder,
            Gauge,
            "clock_tai_offset_seconds",
            help,
            one(clock.tai_utc_offset_s),
        )?;
        let help = "Schedules that were asked to start in the past while another ran.";
        family(
            encoder,
            Counter,
            "config_change_errors",
            help,
            one(gates.config_change_error as f64),
        )?;
        let help = "Whether a schedule waits for its start.";
        family(
            encoder,
            Gauge,
            "config_pending",
            help,
            one(u8::from(gates.config_pending)),
        )
    }

    fn classes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        use MetricType::{Counter, Gauge};
        let numbers: Vec<String> = self
            .status
            .classes
            .iter()
            .map(|class| class.number.to_string())
            .collect();
        let classes = || numbers.iter().map(String::as_str).zip(&self.status.classes);
        let label = |number| vec![("class", number)];
        let help = "Frames that came to the scheduler.";
        let values = classes().map(|(n, class)| (label(n), class.received as f64));
        family(encoder, Counter, "class_received", help, values)?;
        let values = classes().map(|(n, class)| (label(n), class.sent as f64));
        family(
            encoder,
            Counter,
            "class_sent",
            "Frames handed to the uplink.",
            values,
        )?;
        let values = classes().map(|(n, class)| (label(n), class.sent_late as f64));
        family(
            encoder,
            Counter,
            "class_sent_late",
            "Of these, later than launch time plus tolerance.",
            values,
        )?;
        let values = classes().map(|(n, class)| (label(n), class.queued as f64));
        family(encoder, Gauge, "class_queued", "Frames that wait.", values)?;
        let values = classes().map(|(n, class)| (label(n), class.transmission_overruns as f64));
        let help = "Frames whose end was measured after their gate's close.";
        family(
            encoder,
            Counter,
            "class_transmission_overruns",
            help,
            values,
        )?;
        let values = classes().flat_map(|(n, class)| {
            class
                .drops
                .iter()
                .map(move |(cause, drops)| (vec![("class", n), ("cause", cause)], *drops as f64))
        });
        family(
            encoder,
            Counter,
            "class_drops",
            "Frames dropped by the scheduler.",
            values,
        )
    }

    fn pods(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        use MetricType::{Counter, Gauge};
        let pods = || {
            self.pods
                .iter()
                .map(|status| (status.pod.name.as_str(), status))
        };
        let values = pods().map(|(name, pod)| (vec![("pod", name)], f64::from(pod.attached)));
        family(
            encoder,
            Gauge,
            "pod_attached",
            "Whether the pod's frames are steered into the daemon.",
            values,
        )?;
        let values = pods().map(|(name, pod)| (vec![("pod", name)], pod.received as f64));
        family(
            encoder,
            Counter,
            "pod_received",
            "Frames received from the pod.",
            values,
        )?;
        let values = pods().map(|(name, pod)| (vec![("pod", name)], f64::from(pod.waiting)));
        family(
            encoder,
            Gauge,
            "pod_waiting",
            "Frames of the pod in the queues.",
            values,
        )?;
        let values = pods().flat_map(|(name, pod)| {
            pod.drops
                .iter()
                .map(move |(cause, n)| (vec![("pod", name), ("cause", cause)], *n as f64))
        });
        family(
            encoder,
            Counter,
            "pod_drops",
            "Frames dropped before the scheduler.",
            values,
        )?;
        let values = pods().flat_map(|(name, pod)| {
            pod.kernel
                .iter()
                .map(move |(what, n)| (vec![("pod", name), ("what", what)], *n as f64))
        });
        family(
            encoder,
            Counter,
            "pod_kernel",
            "What the kernel programs counted.",
            values,
        )?;

        let streams = || {
            pods().flat_map(|(name, pod)| {
                pod.streams
                    .iter()
                    .map(move |stream| (vec![("pod", name), ("stream", &*stream.name)], stream))
            })
        };
        let values = streams().map(|(labels, stream)| (labels, stream.received as f64));
        family(
            encoder,
            Counter,
            "stream_received",
            "Frames recognised as the stream.",
            values,
        )?;
        let values = streams().map(|(labels, stream)| (labels, stream.sent as f64));
        family(
            encoder,
            Counter,
            "stream_sent",
            "Frames handed to the uplink.",
            values,
        )?;
        let values = streams().map(|(labels, stream)| (labels, stream.stalled as f64));
        family(
            encoder,
            Counter,
            "stream_stalled",
            "Of these, touched by a stall.",
            values,
        )?;
        let help = "Departure - launch time of frames that no stall touched.";
        let mut metric =
            encoder.encode_descriptor("launch_error_seconds", help, None, MetricType::Histogram)?;
        for (labels, stream) in streams() {
            histogram(&mut metric.encode_family(&labels)?, &stream.launch_errors)?;
        }
        Ok(())
    }
}

fn histogram(metric: &mut MetricEncoder<'_>, errors: &LaunchErrors) -> fmt::Result {
    let bounds = BOUNDS_NS
        .iter()
        .map(|ns| *ns as f64 / 1e9)
        .chain(std::iter::once(f64::MAX));
    let buckets: Vec<(f64, u64)> = bounds.zip(errors.buckets).collect();
    metric.encode_histogram::<NoLabelSet>(
        errors.sum_ns as f64 / 1e9,
        errors.count(),
        &buckets,
        None,
    )
}

impl Collector for Moment {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.uplink(&mut encoder)?;
        self.worker(&mut encoder)?;
        self.classes(&mut encoder)?;
        self.pods(&mut encoder)
    }
}
