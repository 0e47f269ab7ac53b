//! Counters of one traffic class. Every frame that ever arrived is found in exactly one of them.

use std::fmt;

/// Why a frame was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DropCause {
    /// The class already held as many frames as its capacity.
    QueueFull,
    /// The frame's SDU (length − 14) is longer than the class's queueMaxSDU (8.6.8.4).
    SduTooLarge,
    /// The frame is longer on the wire than any window of its class.
    NeverFits,
    /// The gate of the class never opens.
    GateNeverOpens,
    /// The class takes only frames with a launch time, and this one has none.
    MissingLaunchTime,
    /// The launch time had passed by more than the tolerance when the frame arrived.
    LaunchTimePast,
    /// The launch time passed by more than the tolerance while the frame was queued.
    Late,
    /// The deadline passed by more than the tolerance, on arrival or while the frame was queued.
    DeadlineMissed,
    /// The owner of the scheduler emptied the queues.
    Flushed,
}

impl DropCause {
    /// The number of causes.
    pub const COUNT: usize = Self::ALL.len();

    /// All causes.
    pub const ALL: [DropCause; 9] = [
        DropCause::QueueFull,
        DropCause::SduTooLarge,
        DropCause::NeverFits,
        DropCause::GateNeverOpens,
        DropCause::MissingLaunchTime,
        DropCause::LaunchTimePast,
        DropCause::Late,
        DropCause::DeadlineMissed,
        DropCause::Flushed,
    ];

    /// The name of the cause in snake case, for metrics and messages.
    pub const fn name(self) -> &'static str {
        match self {
            DropCause::QueueFull => "queue_full",
            DropCause::SduTooLarge => "sdu_too_large",
            DropCause::NeverFits => "never_fits",
            DropCause::GateNeverOpens => "gate_never_opens",
            DropCause::MissingLaunchTime => "missing_launch_time",
            DropCause::LaunchTimePast => "launch_time_past",
            DropCause::Late => "late",
            DropCause::DeadlineMissed => "deadline_missed",
            DropCause::Flushed => "flushed",
        }
    }
}

impl fmt::Display for DropCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The counters of one traffic class, since the scheduler was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClassCounters {
    /// Frames that arrived, refused ones included.
    pub received: u64,
    /// Their octets, without FCS.
    pub received_bytes: u64,
    /// Frames handed out for transmission.
    pub sent: u64,
    /// Their octets, without FCS.
    pub sent_bytes: u64,
    /// Of `sent`: frames that started later than launch time or deadline plus tolerance.
    pub sent_late: u64,
    /// Frames in the queues now.
    pub queued: u64,
    /// Transmissions that were measured to end after the gate closed (TransmissionOverrun,
    /// 8.6.8.4).
    pub transmission_overruns: u64,
    /// Windows in which a frame whose time had come was held back because it would not have ended
    /// in time before its gate's close: how often the guard band took effect. A window in which
    /// nobody looks, because it is too short for the frame anyway, need not be one of them.
    pub guard_band_holds: u64,
    /// Their guard bands together, in nanoseconds: from the instant at which the first frame was
    /// held back up to the gate's close, as it was known then. Another frame of the class that fits
    /// may still have used a part of it.
    pub guard_band_ns: u64,
    drops: [u64; DropCause::COUNT],
}

impl ClassCounters {
    /// Frames dropped for `cause`.
    pub fn drops(&self, cause: DropCause) -> u64 {
        self.drops[cause as usize]
    }

    /// Frames dropped for any cause.
    pub fn total_drops(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// Whether every frame is accounted for: received = sent + queued + drops.
    pub fn is_conserved(&self) -> bool {
        self.received == self.sent + self.queued + self.total_drops()
    }

    pub(crate) fn count_drop(&mut self, cause: DropCause) {
        self.drops[cause as usize] += 1;
    }
}
