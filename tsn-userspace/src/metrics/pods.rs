//! The pods and their streams.

use super::Kind::{Counter, Gauge, Histogram, Info};
use super::{Family, family, pod, stream};
use crate::worker::histogram::BOUNDS_NS;

pub(super) const FAMILIES: &[Family] = &[
    // The pods
    family(
        "tsnd_pod",
        Info,
        &[
            "pod",
            "network",
            "container_id",
            "interface",
            "profile",
            "pod_namespace",
            "pod_name",
            "pod_uid",
        ],
        "What the CNI plugin tells of a pod; the last three are empty where the runtime does not name it.",
        |m, to| {
            for status in &m.pods {
                let Some(attachment) = &status.attachment else {
                    continue;
                };
                let kubernetes = attachment.kubernetes.as_ref();
                let [namespace, name, uid] =
                    kubernetes.map_or([""; 3], |pod| [pod.namespace.as_str(), &pod.name, &pod.uid]);
                let labels = [
                    status.pod.name.as_str(),
                    &attachment.network,
                    &attachment.container_id,
                    &attachment.interface,
                    &attachment.profile,
                    namespace,
                    name,
                    uid,
                ];
                to.put(&labels, 1.0);
            }
        },
    ),
    pod(
        "tsnd_pod_attached",
        Gauge,
        "1 if the pod's frames are steered into the daemon, 0 while it waits for the pod.",
        |pod| f64::from(pod.attached),
    ),
    pod(
        "tsnd_pod_received_frames",
        Counter,
        "Frames received from the pod.",
        |pod| pod.received as f64,
    ),
    pod(
        "tsnd_pod_queued_frames",
        Gauge,
        "Frames of the pod that wait in the scheduler.",
        |pod| pod.waiting.into(),
    ),
    pod(
        "tsnd_pod_quota_frames",
        Gauge,
        "The most of them that may wait.",
        |pod| pod.pod.frame_quota.into(),
    ),
    pod(
        "tsnd_pod_ring_frames",
        Gauge,
        "Frames that arrived from the pod and that the worker has not taken.",
        |pod| pod.receive_ring_waiting.into(),
    ),
    pod(
        "tsnd_pod_ring_slots",
        Gauge,
        "The most frames that can wait so.",
        |pod| pod.receive_ring_slots.into(),
    ),
    family(
        "tsnd_pod_dropped_frames",
        Counter,
        &["pod", "cause"],
        "Frames of the pod dropped before the scheduler.",
        |m, to| {
            for status in &m.pods {
                for (cause, frames) in &status.drops {
                    to.put(&[&status.pod.name, cause], *frames as f64);
                }
            }
        },
    ),
    pod(
        "tsnd_pod_to_pods_frames",
        Counter,
        "Of the received ones, those for another pod of the node, which are not scheduled.",
        |pod| pod.to_pods as f64,
    ),
    pod(
        "tsnd_pod_delivered_frames",
        Counter,
        "Frames that the worker delivered to the pod.",
        |pod| pod.delivered as f64,
    ),
    family(
        "tsnd_pod_delivery_dropped_frames",
        Counter,
        &["pod", "cause"],
        "Frames for the pod that were not delivered.",
        |m, to| {
            for status in &m.pods {
                for (cause, frames) in &status.delivery_drops {
                    to.put(&[&status.pod.name, cause], *frames as f64);
                }
            }
        },
    ),
    family(
        "tsnd_pod_kernel_frames",
        Counter,
        &["pod", "what"],
        "Frames of the pod by what the kernel programs did with them.",
        |m, to| {
            for status in &m.pods {
                for (what, frames) in &status.kernel {
                    to.put(&[&status.pod.name, what], *frames as f64);
                }
            }
        },
    ),
    // The streams
    stream(
        "tsnd_stream_received_frames",
        "Frames recognised as the stream.",
        |stream| stream.received,
    ),
    stream(
        "tsnd_stream_red_frames",
        "Of these, dropped since the stream's flow meter found them to be red.",
        |stream| stream.red,
    ),
    stream(
        "tsnd_stream_refused_frames",
        "Of these, refused by the scheduler; the class tells why.",
        |stream| stream.refused,
    ),
    stream(
        "tsnd_stream_dropped_frames",
        "Of these, dropped once accepted; the class tells why, or the uplink.",
        |stream| stream.dropped,
    ),
    stream(
        "tsnd_stream_sent_frames",
        "Of these, handed to the uplink.",
        |stream| stream.sent,
    ),
    stream(
        "tsnd_stream_sent_late_frames",
        "Of the sent ones, those later than launch time plus tolerance.",
        |stream| stream.sent_late,
    ),
    stream(
        "tsnd_stream_stalled_frames",
        "Of the sent and dropped ones, those that a stall touched.",
        |stream| stream.stalled,
    ),
    family(
        "tsnd_launch_error_seconds",
        Histogram,
        &["pod", "stream"],
        "Departure - launch time of sent frames that no stall touched.",
        |m, to| {
            for status in &m.pods {
                for stream in &status.streams {
                    let errors = &stream.launch_errors;
                    let labels = [status.pod.name.as_str(), &stream.name];
                    to.histogram(
                        &labels,
                        BOUNDS_NS.into_iter(),
                        &errors.buckets,
                        errors.sum_ns as f64,
                    );
                }
            }
        },
    ),
    family(
        "tsnd_launch_error_worst_seconds",
        Gauge,
        &["pod", "stream"],
        "The one of largest magnitude in the last minute, also of frames that a stall touched.",
        |m, to| {
            for status in &m.pods {
                for stream in &status.streams {
                    if let Some(worst_ns) = stream.worst_last_minute_ns {
                        let labels = [status.pod.name.as_str(), &stream.name];
                        to.put(&labels, worst_ns as f64 / 1e9);
                    }
                }
            }
        },
    ),
];
