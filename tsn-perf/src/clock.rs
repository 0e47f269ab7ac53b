//! Reading the clocks, the offsets between them, and sleeping until an instant.

use std::io;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

const TAI: ClockId = ClockId::from_raw(libc::CLOCK_TAI);
const NS_PER_S: i128 = 1_000_000_000;

/// Now, in ns of CLOCK_TAI.
///
/// # Errors
///
/// When the kernel has no CLOCK_TAI (before Linux 3.10).
pub fn tai_now_ns() -> io::Result<u64> {
    read(TAI)
}

/// CLOCK_TAI minus CLOCK_MONOTONIC in ns: the narrowest of several samples, so that it is good to a
/// clock read (some 30 ns). It holds until somebody steps the clock.
///
/// # Errors
///
/// When a clock cannot be read.
pub fn tai_minus_monotonic_ns() -> io::Result<i64> {
    let mut narrowest = (u64::MAX, 0);
    for _ in 0..32 {
        let before = read(ClockId::CLOCK_MONOTONIC)?;
        let tai = read(TAI)?;
        let after = read(ClockId::CLOCK_MONOTONIC)?;
        let width = after - before;
        if width < narrowest.0 {
            narrowest = (width, tai as i64 - (before + width / 2) as i64);
        }
    }
    Ok(narrowest.1)
}

/// CLOCK_TAI minus CLOCK_REALTIME in ns. The kernel keeps it as whole seconds, so a sample rounded to a
/// second is exact. 0 means that nobody told the kernel the TAI offset.
///
/// # Errors
///
/// When a clock cannot be read.
pub fn tai_minus_realtime_ns() -> io::Result<i64> {
    let difference = i128::from(read(TAI)?) - i128::from(read(ClockId::CLOCK_REALTIME)?);
    let seconds = (difference + NS_PER_S / 2).div_euclid(NS_PER_S);
    Ok((seconds * NS_PER_S) as i64)
}

/// Sleeps until CLOCK_TAI shows `time_ns`. Returns at once when that is past, and early, without an
/// error, when a signal arrives.
///
/// # Errors
///
/// When the kernel refuses the sleep.
pub fn sleep_until_tai(time_ns: u64) -> io::Result<()> {
    let time = TimeSpec::new(
        (time_ns / 1_000_000_000) as i64,
        (time_ns % 1_000_000_000) as i64,
    );
    match clock_nanosleep(TAI, ClockNanosleepFlags::TIMER_ABSTIME, &time) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn read(clock: ClockId) -> io::Result<u64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_does_not_end_before_its_time() {
        let until = tai_now_ns().unwrap() + 2_000_000;
        sleep_until_tai(until).unwrap();
        assert!(tai_now_ns().unwrap() >= until);
    }

    #[test]
    fn the_offset_to_realtime_is_whole_seconds() {
        assert_eq!(tai_minus_realtime_ns().unwrap() % 1_000_000_000, 0);
    }

    #[test]
    fn the_offset_to_monotonic_leads_back_to_tai() {
        let offset = tai_minus_monotonic_ns().unwrap();
        let before = tai_now_ns().unwrap() as i64;
        let converted = read(ClockId::CLOCK_MONOTONIC).unwrap() as i64 + offset;
        // One sample is good to half its window; a window of 32 tries is far below a millisecond.
        assert!(
            converted > before - 1_000_000,
            "{converted} against {before}"
        );
    }
}
