//! Drops that point at something to mend.

use std::collections::BTreeMap;

use super::{Answers, Code, Findings};

/// Why, and the way out, by cause. The other causes are what the application or the schedule asked for.
pub const CAUSES: [(&str, &str, &str); 20] = [
    (
        "receive_no_buffer",
        "there was no frame buffer left to receive into",
        "raise worker.frame-buffers, or lower the pods' frame-quota",
    ),
    (
        "receive_ring_full",
        "the worker did not come to receive for so long that the ring was full",
        "give the worker a core of its own (see the findings about it)",
    ),
    (
        "receive_length_errors",
        "frames were shorter than an Ethernet header, or longer than a frame buffer",
        "lower the MTU of the pod's device, or raise worker.frame-buffer-bytes",
    ),
    (
        "quota_exceeded",
        "a pod had more frames waiting than it may",
        "raise the pod's frame-quota, or let it send later",
    ),
    (
        "launch_time_wrong_clock",
        "launch times are off by TAI - UTC: the application took CLOCK_REALTIME",
        "take launch times from CLOCK_TAI (or CLOCK_MONOTONIC) in the application",
    ),
    (
        "launch_time_too_far",
        "launch times lie more than 10 s ahead",
        "look at the application's clock and unit (nanoseconds)",
    ),
    (
        "unmatched",
        "frames match no stream any more",
        "nothing, if a pod's streams were just changed; else restart tsnd",
    ),
    (
        "flow_meter_red",
        "a stream sends more than its flow meter lets pass",
        "send less, or raise committed-information-rate or committed-burst-size of the stream's flow-meter",
    ),
    (
        "no_next_hop",
        "a pod in overlay mode sent frames, and the daemon knew of no next hop for them",
        "nothing, if routes were just changed; else look at why the kernel keeps their destination (`tsnctl status`)",
    ),
    (
        "forged_stamp",
        "a pod sends frames that look like stamped ones and do not have its secret",
        "find out what that pod runs",
    ),
    (
        "fallback_heartbeat",
        "the worker gave no sign of life within heartbeat-timeout, so frames took the kernel's path",
        "give the worker a core of its own, or raise worker.heartbeat-timeout",
    ),
    (
        "fallback_no_socket",
        "the daemon's socket was not there, so frames took the kernel's path",
        "nothing, if tsnd was restarted; else look at its log",
    ),
    (
        "fallback_no_route",
        "an overlay pod sends to destinations without a next hop, so frames took the kernel's path",
        "see `tsnctl status` for why the kernel keeps a destination",
    ),
    (
        "fallback_oversize",
        "an overlay pod's packets are longer than their route takes, so frames took the kernel's path",
        "lower the MTU of the pod's interface to that of the tunnel",
    ),
    (
        "transmit_ring_full",
        "the uplink did not take frames for so long that the ring was full",
        "look at the uplink: link, pause frames, and uplinks[0].link-speed against its real speed",
    ),
    (
        "clock_lost",
        "the clock was lost, and on-sync-loss is drop-critical",
        "bring ptp4l and phc2sys, or chrony, back",
    ),
    (
        "device",
        "the device's driver did not send frames that it had taken",
        "look at the driver's counters (ethtool -S) and at `dmesg`",
    ),
    (
        "link_down",
        "the uplink had no carrier",
        "look at the cable and the other end",
    ),
    (
        "never_fits",
        "frames are longer on the wire than any window of their class, less lead and stall-threshold",
        "lengthen the class's window, or lower the MTU of the pod",
    ),
    (
        "gate_never_opens",
        "the gate control list never opens the gate of the frames' class",
        "give the class an entry in admin-control-list, or the stream another class",
    ),
];

/// Looks at all counters of the daemon.
pub fn examine(answers: &Answers, findings: &mut Findings) {
    let uplink = &answers.status.uplink;
    let mut counters = vec![(format!("uplink {}", uplink.device), &uplink.drops)];
    for class in &answers.status.classes {
        counters.push((format!("class {}", class.number), &class.drops));
    }
    for pod in &answers.pods {
        for drops in [&pod.drops, &pod.kernel] {
            counters.push((format!("pod {}", pod.pod.name), drops));
        }
    }
    let before = findings.0.len();
    for (whose, drops) in counters {
        of_one(&whose, drops, findings);
    }
    if findings.0.len() == before {
        findings.fine(Code::Drops, "no drops that point at something to mend");
    }
}

fn of_one(whose: &str, drops: &BTreeMap<String, u64>, findings: &mut Findings) {
    for (cause, why, mend) in CAUSES {
        let frames = drops.get(cause).copied().unwrap_or_default();
        if frames > 0 {
            findings.bad(
                Code::Drops,
                format!("{whose}: {frames} frames {cause} since the start"),
                why,
                mend,
            );
        }
    }
}
