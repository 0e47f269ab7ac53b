//! CLOCK_TAI, the clock of launch times and gates.

use nix::time::{ClockId, clock_gettime};

/// CLOCK_TAI in nanoseconds.
///
/// # Panics
///
/// Never on Linux: the clock exists since 3.10.
pub fn tai_now_ns() -> u64 {
    now_ns(ClockId::CLOCK_TAI)
}

/// What to add to CLOCK_REALTIME, the clock of the kernel's receive timestamps, to get CLOCK_TAI: whole seconds, and 0
/// where nobody has told the kernel.
pub fn tai_minus_realtime_ns() -> i64 {
    let difference =
        now_ns(ClockId::CLOCK_TAI).cast_signed() - now_ns(ClockId::CLOCK_REALTIME).cast_signed();
    // The two were read one after the other; their true difference is a whole number of seconds.
    (difference + 500_000_000).div_euclid(1_000_000_000) * 1_000_000_000
}

fn now_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).expect("the clock exists");
    now.tv_sec().cast_unsigned() * 1_000_000_000 + now.tv_nsec().cast_unsigned()
}
