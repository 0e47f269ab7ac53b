//! The link: its speed, and how long a frame occupies it.

use crate::time::Nanoseconds;

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

    /// The most octets on the wire that `duration` holds (the inverse of [`LinkSpeed::wire_time`]).
    pub fn octets_in(self, duration: Nanoseconds) -> u64 {
        let bit_nanoseconds = u128::from(duration.as_nanos()) * u128::from(self.bits_per_second);
        u64::try_from(bit_nanoseconds / 8_000_000_000).unwrap_or(u64::MAX)
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
}
