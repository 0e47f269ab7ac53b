//! Measuring, before the first frame, how long a wake-up of the uplink takes.

use tsn_core::Nanoseconds;
use tsn_port::{Frame, Port};

use crate::clock::tai_now;

/// Nearest-bridge group address (IEEE 802.1Q table 8-1): no bridge forwards it, so probes end at the link's far end.
const NEAREST_BRIDGE: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e];
/// IEEE 802 local experimental EtherType 1.
const LOCAL_EXPERIMENTAL: [u8; 2] = [0x88, 0xb5];
const SHORTEST_FRAME_BYTES: usize = 60;
/// Between two probes, so that each finds the caches as a single frame does.
const PAUSE: Nanoseconds = Nanoseconds::from_nanos(500_000);

/// Sends up to `count` minimum frames and gives the nanoseconds that each wake-up took; fewer when the link is down.
pub fn wake_up_durations_ns<P: Port>(uplink: &mut P, count: u32) -> Vec<u64> {
    let mut durations_ns = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let Some(mut frame) = uplink.allocate(SHORTEST_FRAME_BYTES) else { break };
        let bytes = frame.bytes_mut();
        bytes.fill(0);
        bytes[..6].copy_from_slice(&NEAREST_BRIDGE);
        // A locally administered source that no device has.
        bytes[6..12].copy_from_slice(&[0x02, 0x74, 0x73, 0x6e, 0x64, 0x00]);
        bytes[12..14].copy_from_slice(&LOCAL_EXPERIMENTAL);
        let start = tai_now() + PAUSE;
        while tai_now() < start {
            std::hint::spin_loop();
        }
        let before = tai_now();
        if uplink.transmit(frame).is_err() || uplink.wake().is_err() {
            break;
        }
        durations_ns.push((tai_now() - before).as_nanos());
    }
    durations_ns
}
