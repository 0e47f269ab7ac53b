//! The bodies of the control API, version 1. `GET /v1/schema` gives their JSON schemas.

mod overlay;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tsn_cni::record::Record;
use tsn_core::{ClassCounters, DropCause};

use crate::clock::ClockStatus;
use crate::config::{GateParameters, Pod};
use crate::worker::histogram::LaunchErrors;
use crate::worker::snapshot::{PodSnapshot, Snapshot};
use crate::worker::stall::{Stall, StallTotals};

pub use overlay::{NextHopStatus, OverlayStatus, TunnelStatus, VxlanStatus, WayStatus};

/// Why a request was refused.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ApiError {
    /// What is wrong, and the way out.
    pub error: String,
}

/// `GET /v1/status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Of the daemon.
    pub version: String,
    /// `afxdp` or another.
    pub backend: String,
    /// When this was taken, TAI nanoseconds.
    pub at_ns: u64,
    /// When the daemon started, in nanoseconds since 1970 (UTC).
    pub started_at_unix_ns: u64,
    /// The clock.
    pub clock: ClockStatus,
    /// The device that frames leave by.
    pub uplink: UplinkStatus,
    /// The gates.
    pub gates: GatesStatus,
    /// The classes that have a name, belong to a stream or have seen a frame.
    pub classes: Vec<ClassStatus>,
    /// Times at which the worker's core was taken away.
    pub stalls: StallTotals,
    /// How often the worker slept.
    pub sleeps: u64,
    /// How often the worker saw that the clock had been set.
    pub clock_steps: u64,
    /// Number of attached pods.
    pub pods: usize,
    /// Number of pods that the CNI plugin wants attached, whether they are or wait.
    pub cni_pods: usize,
}

/// The device that frames leave by.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct UplinkStatus {
    /// Its name.
    pub device: String,
    /// In Mb/s.
    pub link_speed: u32,
    /// Whether frames can leave.
    pub up: bool,
    /// Why the device does not send, if it says so; absent while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Whether the device itself holds each frame until its time.
    pub hardware_launch_time: bool,
    /// How much earlier the worker acts so that the frame is on the wire in time, in nanoseconds. With
    /// `hardware_launch_time`: how much earlier the device must have the frame.
    pub lead_ns: u64,
    /// Wake-ups that the lead rests on; 0 with `hardware_launch_time`.
    pub lead_observations: u32,
    /// Frames sent at start to measure the lead.
    pub lead_probes: u64,
    /// Frames taken by the device, probes included.
    pub transmit_queued: u64,
    /// Frames that the device reported as sent, probes included.
    pub transmitted: u64,
    /// Wake-up system calls.
    pub wakes: u64,
    /// Payload bytes copied between receive and transmit.
    pub copied_bytes: u64,
    /// Frames that arrived at the uplink and that the worker took, by whom they were for: `for_pod`, `for_group`, or
    /// `no_station` and `own` (sent by a pod of this node), which were dropped. Always 0 where the kernel receives.
    pub received: BTreeMap<String, u64>,
    /// Bytes of the copies that were made for frames for a group, also of those that pods sent.
    pub delivery_copied_bytes: u64,
    /// Frames in the transmit ring that the device has not taken yet.
    pub transmit_ring_used: u32,
    /// Slots of the transmit ring.
    pub transmit_ring_slots: u32,
    /// Frame buffers that nobody holds.
    pub free_frame_buffers: u32,
    /// All frame buffers; uplink and pods share them.
    pub frame_buffers: u32,
    /// Scheduled frames that were not sent after all, by cause. Those of cause `device` were taken by the device and
    /// dropped there.
    pub drops: BTreeMap<String, u64>,
    /// What there is to know of the device, such as its driver; which facts depends on backend and device.
    pub device_facts: BTreeMap<String, String>,
    /// What the device itself counts, by its own names; empty where it counts nothing.
    pub device_counters: BTreeMap<String, u64>,
}

/// The gates.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct GatesStatus {
    /// `oper-gate-states`: bit i is class i.
    pub oper_gate_states: u8,
    /// When the latest schedule starts or started, TAI nanoseconds.
    pub config_change_time_ns: Option<u64>,
    /// Schedules that were asked to start in the past while another ran.
    pub config_change_error: u64,
    /// Whether a schedule waits for its start.
    pub config_pending: bool,
    /// The gate parameters that were set last.
    pub parameters: GateParameters,
}

/// One traffic class. `received` = `sent` + `queued` + all `drops`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ClassStatus {
    /// 0 to 7.
    pub number: u8,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Frames that came to the scheduler.
    pub received: u64,
    /// Their bytes, without FCS.
    pub received_bytes: u64,
    /// Frames that left the queue for the uplink; the uplink's drops tell of those that did not get further.
    pub sent: u64,
    /// Their bytes, without FCS.
    pub sent_bytes: u64,
    /// Of `sent`: later than launch time plus tolerance.
    pub sent_late: u64,
    /// Frames that wait.
    pub queued: u64,
    /// Frames whose end was measured after their gate's close.
    pub transmission_overruns: u64,
    /// Windows in which a frame whose time had come was held back because it did not fit before its gate's close.
    pub guard_band_holds: u64,
    /// Their guard bands together, in nanoseconds: from the first frame held back to the gate's close.
    pub guard_band_ns: u64,
    /// Frames dropped, by cause.
    pub drops: BTreeMap<String, u64>,
}

/// One element of `GET /v1/pods`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PodStatus {
    /// As configured.
    pub pod: Pod,
    /// What the CNI plugin tells of it; absent for a pod that it did not attach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
    /// Whether its frames are steered into the daemon.
    pub attached: bool,
    /// Why not; the daemon tries again every second.
    pub waits_for: Option<String>,
    /// Frames received from the pod. All of them are in the streams' `received`, in `to_pods`, or in the drops
    /// `unmatched`, `launch_time_too_far` or `launch_time_wrong_clock`.
    pub received: u64,
    /// Frames of the pod for another pod of the node, which were not scheduled.
    pub to_pods: u64,
    /// Frames that were delivered to the pod: from the uplink and from other pods. Always 0 where the kernel delivers.
    pub delivered: u64,
    /// Frames for the pod that were not delivered, by cause. Those of cause `device` were taken by its port, are in
    /// `delivered` too, and were dropped there.
    pub delivery_drops: BTreeMap<String, u64>,
    /// Frames of the pod in the queues.
    pub waiting: u32,
    /// Frames that arrived from the pod and that the worker has not taken yet.
    pub receive_ring_waiting: u32,
    /// The most frames that can wait so.
    pub receive_ring_slots: u32,
    /// Frames dropped before the scheduler, by cause; those named `receive_…` never got into `received`.
    pub drops: BTreeMap<String, u64>,
    /// What the kernel programs counted.
    pub kernel: BTreeMap<String, u64>,
    /// Its streams.
    pub streams: Vec<StreamStatus>,
}

/// What the CNI plugin tells of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Attachment {
    /// Name of the CNI network.
    pub network: String,
    /// Container ID, as the runtime gives it.
    pub container_id: String,
    /// Interface inside the pod.
    pub interface: String,
    /// The profile that was chosen for it.
    pub profile: String,
    /// The Kubernetes pod, where the runtime names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesPod>,
}

/// A pod as Kubernetes names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct KubernetesPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID; empty where the runtime does not tell.
    pub uid: String,
}

impl Attachment {
    /// From its record.
    pub fn of(record: &Record) -> Self {
        Self {
            network: record.network.clone(),
            container_id: record.container_id.clone(),
            interface: record.interface.clone(),
            profile: record.request.profile.clone(),
            kubernetes: record.pod.as_ref().map(|pod| KubernetesPod {
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
                uid: pod.uid.clone(),
            }),
        }
    }
}

/// One stream of a pod.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// Frames that were recognised as this stream.
    pub received: u64,
    /// Frames that its flow meter found to be red, and which were dropped.
    pub red: u64,
    /// Frames that the scheduler refused; the class tells why.
    pub refused: u64,
    /// Frames that were dropped after the scheduler had accepted them: from its queues (the class tells why), or when
    /// they were to be sent (the uplink tells why). The `received` of a pod's streams are their `red`, `refused`, `dropped` and
    /// `sent`, what waits, and the pod's
    /// drops `quota_exceeded` and `no_next_hop`.
    pub dropped: u64,
    /// Frames handed to the uplink.
    pub sent: u64,
    /// Of `sent`: later than launch time plus tolerance.
    pub sent_late: u64,
    /// Of `sent` and `dropped`: touched by a stall of the worker.
    pub stalled: u64,
    /// Departure − launch time of the others that have one.
    pub launch_errors: LaunchErrors,
    /// Departure − launch time of largest magnitude in the last minute, in nanoseconds, also of frames that a stall
    /// touched; absent if no frame with a launch time left.
    pub worst_last_minute_ns: Option<i64>,
}

/// `GET /v1/stalls`: the latest stalls, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Stalls {
    /// Sums over all, also those that are no longer listed.
    pub totals: StallTotals,
    /// The latest.
    pub stalls: Vec<Stall>,
}

/// What a change of gates or a configuration did.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Applied {
    /// When the new gate control list starts, TAI nanoseconds; absent when the list did not change.
    pub config_change_time_ns: Option<u64>,
    /// Pods that were attached.
    pub pods_added: Vec<String>,
    /// Pods that were attached anew because their settings or their profile changed.
    pub pods_changed: Vec<String>,
    /// Pods that cannot be attached now; the daemon tries again every second, and `GET /v1/pods` tells why.
    pub pods_waiting: Vec<String>,
    /// Pods that were added at run time and that the file does not name; they stay.
    pub pods_kept: Vec<String>,
}

impl ClassStatus {
    /// From the scheduler's counters.
    pub fn new(number: u8, name: Option<String>, counters: &ClassCounters) -> Self {
        let drops = DropCause::ALL
            .into_iter()
            .map(|cause| (cause.name().to_owned(), counters.drops(cause)))
            .collect();
        Self {
            number,
            name,
            received: counters.received,
            received_bytes: counters.received_bytes,
            sent: counters.sent,
            sent_bytes: counters.sent_bytes,
            sent_late: counters.sent_late,
            queued: counters.queued,
            transmission_overruns: counters.transmission_overruns,
            guard_band_holds: counters.guard_band_holds,
            guard_band_ns: counters.guard_band_ns,
            drops,
        }
    }
}

impl UplinkStatus {
    /// From the worker's snapshot; without what the backend tells of the device.
    pub fn new(device: &str, link_speed_mbps: u32, snapshot: &Snapshot) -> Self {
        let uplink = &snapshot.uplink;
        Self {
            device: device.to_owned(),
            link_speed: link_speed_mbps,
            up: uplink.up,
            failure: Some(snapshot.uplink_failure.clone()).filter(|failure| !failure.is_empty()),
            hardware_launch_time: uplink.hardware_launch,
            lead_ns: snapshot.lead.as_nanos(),
            lead_observations: snapshot.lead_observations,
            lead_probes: uplink.lead_probes,
            transmit_queued: uplink.port.transmit_queued,
            transmitted: uplink.port.transmitted,
            wakes: uplink.port.wakes,
            copied_bytes: uplink.port.copied_bytes,
            received: named([
                ("for_pod", uplink.delivery.to_pod),
                ("for_group", uplink.delivery.to_group),
                ("no_station", uplink.delivery.no_station),
                ("own", uplink.delivery.own),
            ]),
            delivery_copied_bytes: uplink.delivery.copied_bytes,
            transmit_ring_used: uplink.levels.transmit_used,
            transmit_ring_slots: uplink.levels.transmit_slots,
            free_frame_buffers: uplink.levels.free_buffers,
            frame_buffers: uplink.levels.buffers,
            drops: named([
                ("link_down", uplink.dropped_link_down),
                ("transmit_ring_full", uplink.dropped_ring_full),
                ("clock_lost", uplink.dropped_clock_lost),
                ("device", uplink.port.transmit_dropped),
            ]),
            device_facts: BTreeMap::new(),
            device_counters: BTreeMap::new(),
        }
    }
}

impl PodStatus {
    /// From the configuration and, if the pod is attached, the worker's snapshot.
    pub fn new(
        pod: &Pod,
        snapshot: Option<&PodSnapshot>,
        waits_for: Option<String>,
        kernel: BTreeMap<String, u64>,
    ) -> Self {
        let counters = snapshot.copied().unwrap_or_default();
        let streams = pod
            .streams
            .iter()
            .zip(counters.streams)
            .zip(counters.worst_last_minute_ns)
            .map(|((stream, counters), worst_last_minute_ns)| StreamStatus {
                name: stream.name.clone(),
                received: counters.received,
                red: counters.red,
                refused: counters.refused,
                dropped: counters.dropped,
                sent: counters.sent,
                sent_late: counters.sent_late,
                stalled: counters.stalled,
                launch_errors: counters.launch_errors,
                worst_last_minute_ns,
            });
        Self {
            attachment: None,
            attached: snapshot.is_some(),
            waits_for,
            received: counters.port.received,
            to_pods: counters.delivery.to_pod,
            delivered: counters.delivery.delivered,
            delivery_drops: named([
                ("pod_ring_full", counters.delivery.ring_full),
                ("no_buffer", counters.delivery.no_buffer),
                ("device", counters.port.transmit_dropped),
            ]),
            waiting: counters.waiting,
            receive_ring_waiting: counters.levels.receive_waiting,
            receive_ring_slots: counters.levels.receive_slots,
            drops: named([
                ("unmatched", counters.drops.unmatched),
                ("quota_exceeded", counters.drops.quota_exceeded),
                ("launch_time_too_far", counters.drops.launch_time_too_far),
                (
                    "launch_time_wrong_clock",
                    counters.drops.launch_time_wrong_clock,
                ),
                ("flow_meter_red", counters.drops.flow_meter_red),
                ("no_next_hop", counters.drops.no_next_hop),
                ("receive_no_buffer", counters.port.receive_no_buffer),
                ("receive_ring_full", counters.port.receive_ring_full),
                ("receive_length_errors", counters.port.receive_length_errors),
            ]),
            kernel,
            streams: streams.collect(),
            pod: pod.clone(),
        }
    }
}

fn named<const N: usize>(counters: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counters
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
