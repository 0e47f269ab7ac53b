//! The flow meter of a stream (IEEE 802.1Q-2022, 8.6.5.5).

use crate::TaiTime;

const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;
const BITS_PER_BYTE: u128 = 8;

/// What a stream may send at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowMeterParameters {
    /// Committed information rate in bit/s.
    pub committed_information_rate_bps: u64,
    /// Committed burst size in bytes. A longer frame is always red.
    pub committed_burst_size_bytes: u32,
}

/// What a meter says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Within the committed rate and burst.
    Green,
    /// Beyond them.
    Red,
}

/// A token bucket: the bandwidth profile algorithm of MEF 10.3 (12.2) with one rate, colour-blind, and no excess.
///
/// Exact: a stream that sends just the committed rate is green for ever, and one that sends more by whatever little is red
/// in the end.
#[derive(Debug, Clone)]
pub struct FlowMeter {
    rate_bps: u64,
    /// Bits × 10⁻⁹, as many as the rate brings in a nanosecond.
    burst_nanobits: u128,
    tokens_nanobits: u128,
    filled_at: TaiTime,
}

impl FlowMeter {
    /// A meter with a full bucket.
    pub fn new(parameters: FlowMeterParameters) -> Self {
        let burst_nanobits = nanobits(parameters.committed_burst_size_bytes);
        Self {
            rate_bps: parameters.committed_information_rate_bps,
            burst_nanobits,
            tokens_nanobits: burst_nanobits,
            filled_at: TaiTime::from_nanos(0),
        }
    }

    /// Meters a frame of this length, which MEF 10.3 counts from the destination address to the end of the FCS. Only a
    /// green one uses tokens. A clock that was set back brings none, and goes on from there.
    pub fn meter(&mut self, now: TaiTime, length_bytes: u32) -> Color {
        let elapsed_ns = now.as_nanos().saturating_sub(self.filled_at.as_nanos());
        let earned = u128::from(self.rate_bps) * u128::from(elapsed_ns);
        self.tokens_nanobits = self
            .burst_nanobits
            .min(self.tokens_nanobits.saturating_add(earned));
        self.filled_at = now;
        match self.tokens_nanobits.checked_sub(nanobits(length_bytes)) {
            Some(rest) => {
                self.tokens_nanobits = rest;
                Color::Green
            }
            None => Color::Red,
        }
    }
}

fn nanobits(bytes: u32) -> u128 {
    u128::from(bytes) * BITS_PER_BYTE * NANOSECONDS_PER_SECOND
}
