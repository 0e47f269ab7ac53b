//! The link: its speed, and how long a frame occupies it.

use crate::time::Nanoseconds;

/// Preamble and start delimiter (8), FCS (4) and inter-frame gap (12) of Ethernet, in octets.
pub const ETHERNET_OVERHEAD_BYTES: u32 = 24;

/// The shortest frame without FCS, in octets; devices pad up to it.
pub const MIN_FRAME_BYTES: u32 = 60;

/// The octets that a frame of this length, FCS not counted, occupies on the wire: no fewer than those
/// of the shortest frame, and `overhead_bytes` beside them.
pub fn octets_on_wire(length_bytes: u64, overhead_bytes: u32) -> u64 {
    length_bytes
        .max(u64::from(MIN_FRAME_BYTES))
        .saturating_add(u64::from(overhead_bytes))
}

/// The speed of the link. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkSpeed {
    bits_per_second: u64,
}

impl LinkSpeed {
    /// A speed in Mb/s, as `ethtool` tells it; `None` for zero.
    pub const fn from_mbps(megabits_per_second: u32) -> Option<Self> {
        Self::from_bits_per_second(megabits_per_second as u64 * 1_000_000)
    }

    /// A speed in bits a second; `None` for zero.
    pub const fn from_bits_per_second(bits_per_second: u64) -> Option<Self> {
        if bits_per_second == 0 {
            None
        } else {
            Some(LinkSpeed { bits_per_second })
        }
    }

    /// The speed in bits a second.
    pub const fn bits_per_second(self) -> u64 {
        self.bits_per_second
    }

    /// The time that `octets` on the wire take, rounded up to the nanosecond.
    pub fn wire_time(self, octets: u64) -> Nanoseconds {
        let nanoseconds = match octets.checked_mul(8_000_000_000) {
            // The usual case: a 64-bit division costs a fraction of a 128-bit one.
            Some(bit_nanoseconds) => bit_nanoseconds.div_ceil(self.bits_per_second),
            None => {
                let bit_nanoseconds = u128::from(octets) * 8_000_000_000;
                let exact = bit_nanoseconds.div_ceil(u128::from(self.bits_per_second));
                u64::try_from(exact).unwrap_or(u64::MAX)
            }
        };
        Nanoseconds::from_nanos(nanoseconds)
    }

    /// How long a frame occupies the wire: the [`LinkSpeed::wire_time`] of its [`octets_on_wire`].
    pub fn frame_time(self, length_bytes: u32, overhead_bytes: u32) -> Nanoseconds {
        self.wire_time(octets_on_wire(u64::from(length_bytes), overhead_bytes))
    }

    /// The most octets on the wire that `duration` holds (the inverse of [`LinkSpeed::wire_time`]).
    pub fn octets_in(self, duration: Nanoseconds) -> u64 {
        let bit_nanoseconds = u128::from(duration.as_nanos()) * u128::from(self.bits_per_second);
        u64::try_from(bit_nanoseconds / 8_000_000_000).unwrap_or(u64::MAX)
    }

    /// The longest frame, FCS not counted, that `duration` holds (the inverse of
    /// [`LinkSpeed::frame_time`]); `None` if not even the shortest.
    pub fn longest_frame_in(self, duration: Nanoseconds, overhead_bytes: u32) -> Option<u32> {
        let frame = self
            .octets_in(duration)
            .checked_sub(u64::from(overhead_bytes))?;
        (frame >= u64::from(MIN_FRAME_BYTES)).then(|| u32::try_from(frame).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_time_and_octets_are_inverse() {
        for mbps in [10, 100, 1_000, 2_500, 10_000, 400_000] {
            let speed = LinkSpeed::from_mbps(mbps).unwrap();
            for octets in [1, 84, 88, 1_538, 9_042, u64::from(u32::MAX)] {
                let time = speed.wire_time(octets);
                assert!(speed.octets_in(time) >= octets);
                let less = Nanoseconds::from_nanos(time.as_nanos() - 1);
                assert!(speed.octets_in(less) < octets);
            }
        }
    }

    #[test]
    fn a_frame_is_padded_and_has_more_on_the_wire_than_its_own() {
        let speed = LinkSpeed::from_mbps(8_000).unwrap();
        let time = |length, overhead| speed.frame_time(length, overhead).as_nanos();
        assert_eq!([time(0, 0), time(60, 24), time(61, 24)], [60, 84, 85]);
        for (ns, longest) in [(83, None), (84, Some(60)), (1_538, Some(1_514))] {
            let window = Nanoseconds::from_nanos(ns);
            assert_eq!(
                speed.longest_frame_in(window, ETHERNET_OVERHEAD_BYTES),
                longest
            );
        }
        let overhead_alone = Nanoseconds::from_nanos(23);
        assert_eq!(speed.longest_frame_in(overhead_alone, 24), None);
        assert_eq!(speed.longest_frame_in(Nanoseconds::MAX, 24), Some(u32::MAX));
        assert_eq!(octets_on_wire(u64::MAX, 24), u64::MAX);
    }
}
