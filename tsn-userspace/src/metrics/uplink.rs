//! The uplink and the traffic classes.

use super::Kind::{Counter, Gauge, Info, Unknown};
use super::{Family, class, family, one, seconds};

/// A device that counts each of its queues and priorities may have thousands; who scrapes pays for each.
const MAX_DEVICE_STATISTICS: usize = 256;

pub(super) const FAMILIES: &[Family] = &[
    // The uplink
    family(
        "tsnd_uplink",
        Info,
        &["device"],
        "The device that frames leave by.",
        |m, to| {
            to.put(&[&m.status.uplink.device], 1.0);
        },
    ),
    one(
        "tsnd_uplink_up",
        Gauge,
        "1 if frames can leave.",
        |status| f64::from(status.uplink.up),
    ),
    one(
        "tsnd_lead_seconds",
        Gauge,
        "How much earlier the worker acts so that the frame is on the wire in time.",
        |status| seconds(status.uplink.lead_ns),
    ),
    one(
        "tsnd_lead_probe_frames",
        Counter,
        "Frames sent to measure the lead.",
        |status| status.uplink.lead_probes as f64,
    ),
    one(
        "tsnd_uplink_taken_frames",
        Counter,
        "Frames that the uplink's device took, probes included.",
        |status| status.uplink.transmit_queued as f64,
    ),
    one(
        "tsnd_uplink_transmitted_frames",
        Counter,
        "Frames whose transmission the uplink's device has reported.",
        |status| status.uplink.transmitted as f64,
    ),
    family(
        "tsnd_uplink_received_frames",
        Counter,
        &["what"],
        "Frames that arrived at the uplink and that the worker took, by whom they were for.",
        |m, to| {
            for (what, frames) in &m.status.uplink.received {
                to.put(&[what], *frames as f64);
            }
        },
    ),
    one(
        "tsnd_delivery_copied_bytes",
        Counter,
        "Bytes of the copies that were made of frames for a group.",
        |status| status.uplink.delivery_copied_bytes as f64,
    ),
    family(
        "tsnd_uplink_dropped_frames",
        Counter,
        &["cause"],
        "Scheduled frames that were not sent after all.",
        |m, to| {
            for (cause, frames) in &m.status.uplink.drops {
                to.put(&[cause], *frames as f64);
            }
        },
    ),
    family(
        "tsnd_uplink_device_statistic",
        Unknown,
        &["name"],
        "What the uplink's device itself counts and measures, by its own names; the first 256 by name.",
        |m, to| {
            let statistics = &m.status.uplink.device_counters;
            for (name, value) in statistics.iter().take(MAX_DEVICE_STATISTICS) {
                to.put(&[name], *value as f64);
            }
        },
    ),
    one(
        "tsnd_uplink_wakes",
        Counter,
        "System calls that woke the uplink's device.",
        |status| status.uplink.wakes as f64,
    ),
    one(
        "tsnd_uplink_ring_frames",
        Gauge,
        "Frames in the transmit ring that the device has not taken.",
        |status| status.uplink.transmit_ring_used.into(),
    ),
    one(
        "tsnd_uplink_ring_slots",
        Gauge,
        "Slots of the transmit ring.",
        |status| status.uplink.transmit_ring_slots.into(),
    ),
    one(
        "tsnd_frame_buffers_free",
        Gauge,
        "Frame buffers that nobody holds.",
        |status| status.uplink.free_frame_buffers.into(),
    ),
    one(
        "tsnd_frame_buffers",
        Gauge,
        "All frame buffers, which uplink and pods share.",
        |status| status.uplink.frame_buffers.into(),
    ),
    // The traffic classes
    family(
        "tsnd_class",
        Info,
        &["class", "name"],
        "The names of the classes that have one.",
        |m, to| {
            for class in &m.status.classes {
                if let Some(name) = &class.name {
                    to.put(&[&class.number.to_string(), name], 1.0);
                }
            }
        },
    ),
    class(
        "tsnd_class_received_frames",
        Counter,
        "Frames that came to the scheduler.",
        |class| class.received as f64,
    ),
    class(
        "tsnd_class_received_bytes",
        Counter,
        "Their lengths without FCS.",
        |class| class.received_bytes as f64,
    ),
    class(
        "tsnd_class_sent_frames",
        Counter,
        "Frames that the scheduler chose to send; the uplink's drops are among them.",
        |class| class.sent as f64,
    ),
    class(
        "tsnd_class_sent_bytes",
        Counter,
        "Their lengths without FCS.",
        |class| class.sent_bytes as f64,
    ),
    class(
        "tsnd_class_sent_late_frames",
        Counter,
        "Of the sent ones, those later than launch time plus tolerance.",
        |class| class.sent_late as f64,
    ),
    class(
        "tsnd_class_queued_frames",
        Gauge,
        "Frames that wait.",
        |class| class.queued as f64,
    ),
    family(
        "tsnd_class_dropped_frames",
        Counter,
        &["class", "cause"],
        "Frames that the scheduler refused or dropped.",
        |m, to| {
            for class in &m.status.classes {
                for (cause, frames) in &class.drops {
                    to.put(&[&class.number.to_string(), cause], *frames as f64);
                }
            }
        },
    ),
    class(
        "tsnd_class_transmission_overruns",
        Counter,
        "Frames whose end was measured after their gate's close.",
        |class| class.transmission_overruns as f64,
    ),
    class(
        "tsnd_class_guard_band_holds",
        Counter,
        "Windows in which a frame whose time had come was held back because it did not fit before its gate's close.",
        |class| class.guard_band_holds as f64,
    ),
    class(
        "tsnd_class_guard_band_seconds",
        Counter,
        "Their guard bands: from the first frame held back to the gate's close.",
        |class| seconds(class.guard_band_ns),
    ),
];
