//! CLOCK_TAI, its relation to CLOCK_MONOTONIC, and whether it is synchronised.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tsn_core::TaiTime;

/// TAI − UTC since 2017, in seconds, for as long as the kernel does not know better.
const TAI_UTC_OFFSET_S: i32 = 37;

fn read_ns(clock: ClockId) -> u64 {
    // The clocks that are read here exist on every kernel that this runs on, and the vDSO never fails for them; time 0
    // makes the failure plain where it should happen after all.
    clock_gettime(clock).map_or(0, |at| {
        at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64
    })
}

/// CLOCK_TAI now. About 29 ns through the vDSO.
pub fn tai_now() -> TaiTime {
    TaiTime::from_nanos(read_ns(ClockId::CLOCK_TAI))
}

/// What must be added to a CLOCK_MONOTONIC value to make it CLOCK_TAI, in nanoseconds (wrapping).
///
/// Takes the tightest of three brackets, so that a pause between the two reads does not shift it.
pub fn tai_minus_monotonic_ns() -> u64 {
    let bracket = || {
        let before = read_ns(ClockId::CLOCK_MONOTONIC);
        let tai = read_ns(ClockId::CLOCK_TAI);
        let after = read_ns(ClockId::CLOCK_MONOTONIC);
        (
            after - before,
            tai.wrapping_sub(before + (after - before) / 2),
        )
    };
    let (_, offset) = [bracket(), bracket(), bracket()]
        .into_iter()
        .min()
        .unwrap_or_default();
    offset
}

/// Whether the clock follows a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SyncState {
    /// It never followed one since the daemon started.
    FreeRun,
    /// It follows one.
    Locked,
    /// It followed one until less than the holdover time ago.
    Holdover,
    /// It followed one, longer ago.
    Lost,
}

impl SyncState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::FreeRun, Self::Locked, Self::Holdover, Self::Lost];

    /// Its name, as in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FreeRun => "free-run",
            Self::Locked => "locked",
            Self::Holdover => "holdover",
            Self::Lost => "lost",
        }
    }
}

/// The clock as the kernel describes it (adjtimex(2)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ClockStatus {
    /// Whether it follows a source.
    pub state: SyncState,
    /// TAI − UTC as the kernel knows it, in seconds; 0 means that nobody told it.
    pub tai_utc_offset_s: i32,
    /// The kernel's bound on the clock's error, in microseconds.
    pub max_error_us: i64,
    /// The kernel's estimate of the clock's error, in microseconds, as its source gave it.
    pub estimated_error_us: i64,
    /// How far the clock still has to be slewed, in nanoseconds: the kernel's phase-locked loop has that left. Stays 0
    /// under a source that steers the frequency alone, as phc2sys does.
    pub offset_ns: i64,
}

impl ClockStatus {
    /// TAI − UTC to recognise a launch time that was taken from the wrong clock, in nanoseconds.
    pub fn assumed_tai_utc_offset_ns(&self) -> u64 {
        let seconds = if self.tai_utc_offset_s == 0 {
            TAI_UTC_OFFSET_S
        } else {
            self.tai_utc_offset_s
        };
        u64::from(seconds.unsigned_abs()) * 1_000_000_000
    }
}

/// Follows the clock's synchronisation.
///
/// The kernel itself calls a clock unsynchronised (STA_UNSYNC) only when its bound on the error, `maxerror`, has grown to
/// 16 s. That bound grows by 500 µs a second, and whatever steers the clock sets it back each time that it has heard its
/// source: ptp4l (with software time stamps) and phc2sys to 0. So a source that has fallen silent is known by the bound,
/// within seconds; by the flag alone, after nine hours.
#[derive(Debug)]
pub struct ClockMonitor {
    max_error: Duration,
    holdover: Duration,
    last_locked: Option<Instant>,
}

impl ClockMonitor {
    /// A clock counts as synchronised while the kernel says so and bounds its error by at most `max_error`; one that was
    /// counts as good for `holdover` without its source.
    pub fn new(max_error: Duration, holdover: Duration) -> Self {
        Self {
            max_error,
            holdover,
            last_locked: None,
        }
    }

    /// Asks the kernel.
    pub fn sample(&mut self) -> ClockStatus {
        // SAFETY: all-zero is a valid `timex` (integers only); mode 0 reads and changes nothing.
        let mut timex: libc::timex = unsafe { std::mem::zeroed() };
        // SAFETY: `timex` is a valid, writable record for the length of the call.
        let status = unsafe { libc::adjtimex(&mut timex) };
        let unsynchronised = status < 0 || timex.status & libc::STA_UNSYNC != 0;
        let is_followed = !unsynchronised && self.is_within_bound(timex.maxerror);
        ClockStatus {
            state: self.advance(is_followed, Instant::now()),
            tai_utc_offset_s: timex.tai,
            max_error_us: timex.maxerror,
            estimated_error_us: timex.esterror,
            offset_ns: if timex.status & libc::STA_NANO == 0 {
                timex.offset.saturating_mul(1_000)
            } else {
                timex.offset
            },
        }
    }

    fn is_within_bound(&self, max_error_us: i64) -> bool {
        Duration::from_micros(max_error_us.unsigned_abs()) <= self.max_error
    }

    fn advance(&mut self, synchronised: bool, now: Instant) -> SyncState {
        if synchronised {
            self.last_locked = Some(now);
            return SyncState::Locked;
        }
        match self.last_locked {
            None => SyncState::FreeRun,
            Some(at) if now.duration_since(at) <= self.holdover => SyncState::Holdover,
            Some(_) => SyncState::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_source_is_held_over_and_then_lost() {
        let mut monitor = ClockMonitor::new(Duration::from_millis(2), Duration::from_secs(10));
        let start = Instant::now();
        let after = |s| start + Duration::from_secs(s);
        assert_eq!(monitor.advance(false, start), SyncState::FreeRun);
        assert_eq!(monitor.advance(true, after(1)), SyncState::Locked);
        assert_eq!(monitor.advance(false, after(11)), SyncState::Holdover);
        assert_eq!(monitor.advance(false, after(12)), SyncState::Lost);
        assert_eq!(monitor.advance(true, after(13)), SyncState::Locked);
    }

    #[test]
    fn a_bound_that_has_grown_tells_of_a_silent_source() {
        let monitor = ClockMonitor::new(Duration::from_millis(2), Duration::ZERO);
        for (max_error_us, is_within) in [(0, true), (2_000, true), (2_001, false)] {
            assert_eq!(monitor.is_within_bound(max_error_us), is_within);
        }
    }

    #[test]
    fn monotonic_plus_offset_is_tai() {
        let (before, offset) = (tai_now().as_nanos(), tai_minus_monotonic_ns());
        let converted = read_ns(ClockId::CLOCK_MONOTONIC).wrapping_add(offset);
        assert!(converted >= before, "{converted} is before {before}");
    }
}
