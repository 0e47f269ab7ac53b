//! The uplink's wire: its speed, and what else can be on it when a frame's time comes.

use super::device::{Uplink, is_served};
use super::{Code, Findings, Subject};

/// A full frame with a VLAN tag, preamble, FCS and inter-frame gap.
const FULL_FRAME_BYTES: u64 = 1_542;
/// The largest burst that a segmentation offload takes at once.
const SEGMENTED_BYTES: u64 = 65_536;
/// For the figures, where a device tells no speed and none is configured.
const ASSUMED_SPEED_MBPS: u32 = 1_000;
/// The longest pause that one pause frame asks for (IEEE 802.3 annex 31B), in bytes
/// on the wire: 65535 times 512 bit times.
const PAUSE_BYTES: u64 = 65_535 * 64;

pub(super) fn examine(subject: &Subject, uplink: &Uplink, findings: &mut Findings) {
    let set_mbps = set_speed_mbps(subject);
    speed(subject, uplink, set_mbps, findings);
    if uplink.is_virtual() {
        return;
    }
    let known = uplink.ethtool.speed_mbps.or(set_mbps);
    let speed_mbps = known.unwrap_or(ASSUMED_SPEED_MBPS);
    queue(uplink, speed_mbps, findings);
    sharing(uplink, speed_mbps, findings);
}

fn speed(subject: &Subject, uplink: &Uplink, set_mbps: Option<u32>, findings: &mut Findings) {
    let name = &uplink.link.name;
    match (set_mbps, uplink.ethtool.speed_mbps) {
        (None, None) => findings.bad(
            Code::LinkSpeedUnknown,
            format!("{name} does not tell its speed"),
            "tsnd must know how long a frame takes on the wire, and does not start",
            "set uplinks[0].link-speed in the configuration, in Mb/s",
        ),
        (Some(configured), Some(speed)) if configured != speed && !uplink.is_virtual() => {
            let (frame_us, wrong_us) = (
                wire_us(FULL_FRAME_BYTES, speed),
                wire_us(FULL_FRAME_BYTES, configured),
            );
            findings.bad(
                Code::LinkSpeedDiffers,
                format!("{name} runs at {speed} Mb/s, the gates reckon with {configured}"),
                format!(
                    "a full frame takes {frame_us:.1} us on the wire, and is taken to need {wrong_us:.1} us"
                ),
                if is_configured(subject) {
                    "correct uplinks[0].link-speed, or leave it out"
                } else {
                    "restart tsnd, which takes the device's speed when it starts"
                },
            );
        }
        (configured, speed) => findings.fine(
            Code::LinkSpeedUnknown,
            format!("{name}: {} Mb/s", configured.or(speed).unwrap_or_default()),
        ),
    }
}

/// Whether a speed is set in the configuration file.
fn is_configured(subject: &Subject) -> bool {
    let uplink = subject
        .configuration()
        .and_then(|known| known.uplinks.first());
    uplink.is_some_and(|uplink| uplink.link_speed.is_some())
}

/// The speed that the gates reckon with, where it is known: the running daemon's, else the configured one.
fn set_speed_mbps(subject: &Subject) -> Option<u32> {
    if is_served(subject) {
        return Some(subject.answers()?.status.uplink.link_speed);
    }
    subject.configuration()?.uplinks.first()?.link_speed
}

/// What can be ahead of a frame when its time comes.
fn queue(uplink: &Uplink, speed: u32, findings: &mut Findings) {
    let name = &uplink.link.name;
    if let Some(channels) = uplink.ethtool.channels {
        let transmit = channels.transmit;
        if transmit > 1 {
            findings.fine(
                Code::TransmitQueueShared,
                format!("{name}: {transmit} transmit queues, the worker uses the first"),
            );
        } else {
            findings.bad(
                Code::TransmitQueueShared,
                format!("{name} has one transmit queue"),
                format!(
                    "a full frame of the kernel's that is ahead in it costs {:.1} us at {speed} Mb/s",
                    wire_us(FULL_FRAME_BYTES, speed)
                ),
                match channels.transmit_limit {
                    0..2 => "none with this device; keep other traffic off it".to_owned(),
                    _ => format!("ethtool -L {name} combined 2"),
                },
            );
        }
    }
}

/// What can keep the wire from a frame when its time comes.
fn sharing(uplink: &Uplink, speed: u32, findings: &mut Findings) {
    let name = &uplink.link.name;
    match uplink.ethtool.tso {
        Some(true) => findings.bad(
            Code::TsoOn,
            format!("{name} segments TCP by itself (TSO)"),
            format!(
                "a burst of the kernel's TCP traffic holds the wire for up to {:.0} us at {speed} Mb/s",
                wire_us(SEGMENTED_BYTES, speed)
            ),
            format!("ethtool -K {name} tso off gso off"),
        ),
        Some(false) => findings.fine(Code::TsoOn, format!("{name}: TSO off")),
        None => {}
    }
    match uplink.ethtool.eee_active {
        Some(true) => findings.bad(
            Code::EeeActive,
            format!("Energy-Efficient Ethernet is active on {name}"),
            "the link sleeps between frames, and the first frame after that waits until it has woken up",
            format!("ethtool --set-eee {name} eee off"),
        ),
        Some(false) => findings.fine(Code::EeeActive, format!("{name}: EEE not active")),
        None => {}
    }
    match uplink.ethtool.obeys_pause {
        Some(true) => findings.bad(
            Code::PauseObeyed,
            format!("{name} obeys pause frames"),
            format!(
                "one pause frame of the other end can hold all frames for {:.0} us at {speed} Mb/s",
                wire_us(PAUSE_BYTES, speed)
            ),
            format!("ethtool -A {name} autoneg off rx off"),
        ),
        Some(false) => findings.fine(Code::PauseObeyed, format!("{name}: pause frames ignored")),
        None => {}
    }
}

/// How long so many bytes take on the wire, in microseconds.
fn wire_us(bytes: u64, speed_mbps: u32) -> f64 {
    (bytes * 8) as f64 / f64::from(speed_mbps.max(1))
}
