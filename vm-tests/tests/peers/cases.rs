//! The situations in which all subjects are compared.

use crate::{
    bed::Stream,
    schedule::{BULK, CONTROL, MS, Schedule, US, VIDEO},
};

/// A situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Nothing but the critical streams.
    Rest,
    /// Beside a talker that sends best effort as fast as it goes.
    Flood,
    /// A new schedule begins in mid-cycle.
    MidCycle,
    /// The last cycle of the old schedule is stretched up to the new one.
    Extension,
    /// The new schedule's base time is in the past.
    PastBase,
    /// The new schedule's cycle is longer than its entries.
    LongCycle,
}

/// What is sent in a case, and under which schedule at first.
pub struct Plan {
    /// Of the stream with launch times.
    pub control_period_ns: u64,
    /// What is sent; the stream with launch times first, without the options that depend on the subject.
    pub streams: Vec<Stream>,
    /// Starts last, and may lose frames.
    pub flood: Option<Stream>,
    /// In force at first.
    pub schedule: Schedule,
    /// How long is measured, in ns.
    pub length_ns: u64,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Rest,
        Self::Flood,
        Self::MidCycle,
        Self::Extension,
        Self::PastBase,
        Self::LongCycle,
    ];

    /// Its name in the figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Flood => "flood",
            Self::MidCycle => "mid-cycle",
            Self::Extension => "extension",
            Self::PastBase => "past-base",
            Self::LongCycle => "long-cycle",
        }
    }

    /// The plan with a schedule that begins at `base_ns` of CLOCK_TAI, a whole number of 4 ms. `frames` is how many launch
    /// times there are where nothing changes.
    pub fn plan(self, base_ns: u64, frames: u64) -> Plan {
        match self {
            Self::Rest | Self::Flood => {
                let entries = [(CONTROL, 300 * US), (VIDEO, 200 * US), (BULK, 500 * US)];
                let flood = Stream::new(BULK, &["--flood", "--size", "1514"]);
                Plan {
                    control_period_ns: MS,
                    streams: vec![
                        Stream::new(
                            CONTROL,
                            &["--realtime", "40", "--period", "1ms", "--offset", "150us"],
                        ),
                        // Waits for its gate all of another class's time.
                        Stream::new(
                            VIDEO,
                            &[
                                "--period",
                                "1ms",
                                "--offset",
                                "700us",
                                "--launch-time",
                                "none",
                            ],
                        ),
                    ],
                    flood: (self == Self::Flood).then_some(flood),
                    schedule: Schedule::new(&entries, base_ns),
                    length_ns: frames * MS,
                }
            }
            Self::MidCycle | Self::Extension | Self::PastBase | Self::LongCycle => {
                let entries = [(BULK, 1_500 * US), (VIDEO, MS), (CONTROL, 1_500 * US)];
                let mut schedule = Schedule::new(&entries, base_ns);
                if self == Self::Extension {
                    schedule.extension_ns = MS;
                }
                let waiting = |offset| {
                    [
                        "--period",
                        "250us",
                        "--offset",
                        offset,
                        "--launch-time",
                        "none",
                    ]
                };
                Plan {
                    control_period_ns: 4 * MS,
                    streams: vec![
                        Stream::new(
                            CONTROL,
                            &["--realtime", "40", "--period", "4ms", "--offset", "3200us"],
                        ),
                        Stream::new(VIDEO, &waiting("30us")),
                        Stream::new(BULK, &waiting("80us")),
                    ],
                    flood: None,
                    schedule,
                    length_ns: 100 * MS,
                }
            }
        }
    }

    /// The schedule that follows in a measurement that begins at `start_ns`, a whole number of 4 ms, and how long after
    /// that it is asked for, in ns. Launch times are 3.2 ms into the old cycle, and in a window of theirs in every new one.
    pub fn change(self, start_ns: u64) -> Option<(u64, Schedule)> {
        match self {
            Self::Rest | Self::Flood => None,
            Self::MidCycle => {
                let entries = [
                    (VIDEO, 500 * US),
                    (CONTROL, 1_500 * US),
                    (BULK, MS),
                    (VIDEO, MS),
                ];
                Some((20 * MS, Schedule::new(&entries, start_ns + 50 * MS)))
            }
            Self::Extension => {
                let entries = [
                    (VIDEO, 900 * US),
                    (BULK, MS),
                    (CONTROL, 1_500 * US),
                    (VIDEO, 600 * US),
                ];
                Some((
                    20 * MS,
                    Schedule::new(&entries, start_ns + 48 * MS + 800 * US),
                ))
            }
            Self::PastBase => {
                let entries = [(BULK, MS), (CONTROL, 2 * MS), (VIDEO, MS)];
                Some((
                    42 * MS,
                    Schedule::new(&entries, start_ns - 10_000 * MS + MS),
                ))
            }
            Self::LongCycle => {
                let entries = [(BULK, 500 * US), (VIDEO, MS), (CONTROL, 1_500 * US)];
                let mut next = Schedule::new(&entries, start_ns + 48 * MS);
                next.cycle_ns = Some(4 * MS);
                Some((20 * MS, next))
            }
        }
    }
}
