//! How much earlier the worker must act so that the frame is on the wire in time.

use tsn_core::Nanoseconds;
use tsn_port::{Frame, HardwareLaunch, Port};

use super::quantile::{Quantile, RunningQuantile};
use crate::clock::tai_now;

/// Nearest-bridge group address (IEEE 802.1Q table 8-1): no bridge forwards it, so a probe ends at the link's far end.
const NEAREST_BRIDGE: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e];
/// A locally administered source that no device has.
const PROBE_SOURCE: [u8; 6] = [0x02, 0x74, 0x73, 0x6e, 0x64, 0x00];
/// IEEE 802 local experimental EtherType 1.
const LOCAL_EXPERIMENTAL: [u8; 2] = [0x88, 0xb5];
/// A minimum frame, without FCS.
const PROBE_BYTES: usize = 60;
/// Between two probes of the start, so that each finds the caches as a single frame does.
const PAUSE: Nanoseconds = Nanoseconds::from_nanos(1_000_000);

/// The time from the worker's decision to the frame being on the wire.
///
/// Probes measure it at the start, and the frames' own wake-ups follow it while running. A wake-up can take longer than
/// the way to the wire, never shorter: the core may be taken away in it, and on a virtual device it also contains the
/// work of whoever receives the frame on this machine. Hence the lower decile, and of the running wake-ups only those
/// that take at most a quarter longer than the probes did.
#[derive(Debug, Clone, Copy)]
pub struct Lead {
    decile: RunningQuantile,
    believed_up_to_ns: u64,
}

impl Lead {
    /// Sends so many probes. Without any, there is no lead.
    pub fn measure<P: Port>(uplink: &mut P, probes: u32) -> Self {
        let mut durations_ns = Vec::with_capacity(probes as usize);
        for _ in 0..probes {
            let start = tai_now() + PAUSE;
            while tai_now() < start {
                std::hint::spin_loop();
            }
            let Some(duration) = probe(uplink) else { break };
            durations_ns.push(duration.as_nanos());
        }
        Self::from_durations_ns(&mut durations_ns)
    }

    /// Of a device that holds frames until their launch times: what it needs, not what was measured.
    pub fn of_device(device: HardwareLaunch) -> Self {
        Self {
            decile: RunningQuantile::from_durations_ns(
                Quantile::LowerDecile,
                &mut [device.lead_ns],
            ),
            believed_up_to_ns: 0,
        }
    }

    fn from_durations_ns(durations_ns: &mut [u64]) -> Self {
        let decile = RunningQuantile::from_durations_ns(Quantile::LowerDecile, durations_ns);
        Self {
            decile,
            believed_up_to_ns: decile.ns() + decile.ns() / 4,
        }
    }

    /// A frame's wake-up took this long from the decision to its end.
    pub fn observe(&mut self, duration: Nanoseconds) {
        if duration.as_nanos() <= self.believed_up_to_ns {
            self.decile.observe(duration.as_nanos());
        }
    }

    /// The lead in force.
    pub fn get(self) -> Nanoseconds {
        Nanoseconds::from_nanos(self.decile.ns())
    }

    /// How many wake-ups it rests on, probes included.
    pub fn observations(self) -> u32 {
        self.decile.observations()
    }
}

/// Sends a minimum frame; the time from the decision to the end of the wake-up. `None` when it cannot be sent.
fn probe<P: Port>(uplink: &mut P) -> Option<Nanoseconds> {
    let mut frame = uplink.allocate(PROBE_BYTES)?;
    let bytes = frame.bytes_mut();
    bytes.fill(0);
    bytes[..6].copy_from_slice(&NEAREST_BRIDGE);
    bytes[6..12].copy_from_slice(&PROBE_SOURCE);
    bytes[12..14].copy_from_slice(&LOCAL_EXPERIMENTAL);
    let decision = tai_now();
    uplink.transmit(frame).ok()?;
    uplink.wake().ok()?;
    Some(tai_now() - decision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tsn_port::loopback;

    #[test]
    fn probes_are_measured_and_end_at_the_nearest_bridge() {
        let (mut uplink, mut far) = loopback::pair(8);
        let lead = Lead::measure(&mut uplink, 3);
        assert_eq!(lead.observations(), 3);
        assert!(lead.get() > Nanoseconds::ZERO);
        let frame = far.receive().expect("a probe");
        assert_eq!(frame.bytes().len(), PROBE_BYTES);
        assert_eq!(frame.bytes()[..6], NEAREST_BRIDGE);
    }

    #[test]
    fn wake_ups_that_contain_somebody_elses_work_do_not_move_it() {
        let mut lead = Lead::from_durations_ns(&mut [3_000; 64]);
        for _ in 0..1_000 {
            lead.observe(Nanoseconds::from_nanos(30_000));
        }
        assert_eq!(lead.get().as_nanos(), 3_000);
        for _ in 0..1_000 {
            lead.observe(Nanoseconds::from_nanos(2_500));
        }
        assert_eq!(lead.get().as_nanos(), 2_500);
    }

    #[test]
    fn without_probes_there_is_no_lead() {
        let (mut uplink, _far) = loopback::pair(8);
        let mut lead = Lead::measure(&mut uplink, 0);
        lead.observe(Nanoseconds::from_nanos(3_000));
        assert_eq!(lead.get(), Nanoseconds::ZERO);
    }
}
