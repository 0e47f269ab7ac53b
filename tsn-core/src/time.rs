//! Instants and durations in nanoseconds. The scheduler never reads a clock: callers pass the time
//! in.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// An instant of `CLOCK_TAI`, in nanoseconds since 1970-01-01 00:00:00 TAI.
///
/// Arithmetic saturates: an instant that would lie beyond [`TaiTime::MAX`] (the year 2554) is
/// `MAX`, one that would lie before zero is zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TaiTime(u64);

/// A duration in nanoseconds. Arithmetic saturates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanoseconds(u64);

impl TaiTime {
    /// The last instant that can be told.
    pub const MAX: TaiTime = TaiTime(u64::MAX);

    /// The instant `nanoseconds` after the TAI epoch.
    pub const fn from_nanos(nanoseconds: u64) -> Self {
        TaiTime(nanoseconds)
    }

    /// Nanoseconds since the TAI epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

impl Nanoseconds {
    /// No time at all.
    pub const ZERO: Nanoseconds = Nanoseconds(0);
    /// The longest duration that can be told (584 years).
    pub const MAX: Nanoseconds = Nanoseconds(u64::MAX);

    /// A duration of `nanoseconds`.
    pub const fn from_nanos(nanoseconds: u64) -> Self {
        Nanoseconds(nanoseconds)
    }

    /// The duration in nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

impl Add<Nanoseconds> for TaiTime {
    type Output = TaiTime;
    /// Saturates at [`TaiTime::MAX`].
    fn add(self, duration: Nanoseconds) -> TaiTime {
        TaiTime(self.0.saturating_add(duration.0))
    }
}

impl AddAssign<Nanoseconds> for TaiTime {
    fn add_assign(&mut self, duration: Nanoseconds) {
        *self = *self + duration;
    }
}

impl Sub<Nanoseconds> for TaiTime {
    type Output = TaiTime;
    /// Saturates at zero.
    fn sub(self, duration: Nanoseconds) -> TaiTime {
        TaiTime(self.0.saturating_sub(duration.0))
    }
}

impl Sub for TaiTime {
    type Output = Nanoseconds;
    /// The time from `earlier` to `self`; zero where `earlier` is the later of the two.
    fn sub(self, earlier: TaiTime) -> Nanoseconds {
        Nanoseconds(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Nanoseconds {
    type Output = Nanoseconds;
    /// Saturates at [`Nanoseconds::MAX`].
    fn add(self, other: Nanoseconds) -> Nanoseconds {
        Nanoseconds(self.0.saturating_add(other.0))
    }
}

impl Sub for Nanoseconds {
    type Output = Nanoseconds;
    /// Saturates at zero.
    fn sub(self, other: Nanoseconds) -> Nanoseconds {
        Nanoseconds(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for TaiTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09} s TAI",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}

impl fmt::Debug for TaiTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaiTime({})", self.0)
    }
}

impl fmt::Display for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns", self.0)
    }
}

impl fmt::Debug for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns", self.0)
    }
}
