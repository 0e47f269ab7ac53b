//! The flow meter against a bucket that is filled nanosecond by nanosecond, and over long times.

use proptest::prelude::*;
use tsn_core::{Color, FlowMeter, FlowMeterParameters, TaiTime};

const NANOBITS_PER_BYTE: u128 = 8_000_000_000;
const START_NS: u64 = 1_795_290_000_000_000_000;

fn at(ns: u64) -> TaiTime {
    TaiTime::from_nanos(ns)
}

fn meter(committed_information_rate_bps: u64, committed_burst_size_bytes: u32) -> FlowMeter {
    FlowMeter::new(FlowMeterParameters {
        committed_information_rate_bps,
        committed_burst_size_bytes,
    })
}

proptest! {
    #[test]
    fn it_agrees_with_a_bucket_that_drips(
        rate_bps in prop_oneof![1..1_000u64, 1_000_000..400_000_000_000u64],
        burst_bytes in 0..4_000u32,
        frames in prop::collection::vec((0..3_000u64, 0..2_000u32), 1..40),
    ) {
        let mut meter = meter(rate_bps, burst_bytes);
        let burst = u128::from(burst_bytes) * NANOBITS_PER_BYTE;
        let mut tokens = burst;
        let mut now = START_NS;
        for (after_ns, length_bytes) in frames {
            for _ in 0..after_ns {
                tokens = burst.min(tokens + u128::from(rate_bps));
            }
            now += after_ns;
            let needed = u128::from(length_bytes) * NANOBITS_PER_BYTE;
            let expected = if needed <= tokens { Color::Green } else { Color::Red };
            if expected == Color::Green {
                tokens -= needed;
            }
            prop_assert_eq!(meter.meter(at(now), length_bytes), expected);
        }
    }

    /// Of a flood of frames, those that pass are the burst and what the rate has brought since, but for part of a frame.
    #[test]
    fn what_passes_in_any_time_is_burst_and_rate(
        rate_bps in 1_000_000..10_000_000_000u64,
        burst_bytes in 1_000..100_000u32,
        every_ns in 1..5_000u64,
        length_bytes in 64..1_000u32,
    ) {
        let mut meter = meter(rate_bps, burst_bytes);
        let mut passed = 0;
        for frame in 0..2_000 {
            let now = START_NS + frame * every_ns;
            if meter.meter(at(now), length_bytes) == Color::Green {
                passed += u128::from(length_bytes) * NANOBITS_PER_BYTE;
            }
            let earned = u128::from(frame * every_ns) * u128::from(rate_bps);
            prop_assert!(passed <= u128::from(burst_bytes) * NANOBITS_PER_BYTE + earned);
        }
    }

    #[test]
    fn no_instant_no_rate_and_no_length_breaks_it(
        rate_bps in any::<u64>(),
        burst_bytes in any::<u32>(),
        frames in prop::collection::vec((any::<u64>(), any::<u32>()), 1..20),
    ) {
        let mut meter = meter(rate_bps, burst_bytes);
        for (now, length_bytes) in frames {
            if meter.meter(at(now), length_bytes) == Color::Green {
                prop_assert!(length_bytes <= burst_bytes);
            }
        }
        // The longest time at the highest rate.
        meter.meter(at(0), u32::MAX);
        prop_assert_eq!(meter.meter(at(u64::MAX), burst_bytes), match rate_bps {
            2.. => Color::Green,
            slow => match u128::from(slow) * u128::from(u64::MAX) >= u128::from(burst_bytes) * NANOBITS_PER_BYTE {
                true => Color::Green,
                false => Color::Red,
            },
        });
    }
}

/// 100 bytes each 3 µs are 266,666,666⅔ bit/s: a rate that no clock tick divides.
#[test]
fn just_the_committed_rate_is_green_for_ever_and_a_bit_more_is_not() {
    let enough_bps = 266_666_667;
    for (rate_bps, expected) in [(enough_bps, Color::Green), (enough_bps - 1, Color::Red)] {
        let mut meter = meter(rate_bps, 100);
        let last = (0..2_000_000u64)
            .map(|frame| meter.meter(at(START_NS + frame * 3_000), 100))
            .find(|color| *color == Color::Red);
        assert_eq!(last.unwrap_or(Color::Green), expected, "{rate_bps}");
    }
}

#[test]
fn a_red_frame_uses_no_tokens_and_a_year_fills_no_more_than_the_bucket() {
    const YEAR_NS: u64 = 365 * 86_400_000_000_000;
    let mut meter = meter(8_000_000_000, 1_000);
    for now in [START_NS, START_NS + YEAR_NS] {
        assert_eq!(meter.meter(at(now), 1_001), Color::Red);
        assert_eq!(meter.meter(at(now), 600), Color::Green);
        assert_eq!(meter.meter(at(now), 401), Color::Red);
        assert_eq!(meter.meter(at(now), 400), Color::Green);
        assert_eq!(meter.meter(at(now), 1), Color::Red);
    }
}

#[test]
fn a_clock_that_is_set_back_brings_nothing_and_goes_on() {
    const HOUR_NS: u64 = 3_600_000_000_000;
    let mut meter = meter(8_000_000_000, 1_000);
    assert_eq!(meter.meter(at(START_NS), 1_000), Color::Green);
    assert_eq!(meter.meter(at(START_NS - HOUR_NS), 1), Color::Red);
    // A byte each nanosecond again.
    assert_eq!(meter.meter(at(START_NS - HOUR_NS + 99), 100), Color::Red);
    assert_eq!(meter.meter(at(START_NS - HOUR_NS + 100), 100), Color::Green);
}
