//! What goes into the scheduler and what comes out of it.

use crate::class::TrafficClass;
use crate::counters::DropCause;
use crate::gates::Close;
use crate::time::{Nanoseconds, TaiTime};

/// When a frame wants to leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Launch {
    /// As soon as its class may send, in order of arrival.
    None,
    /// Not before this instant, and at it if the gate and the link allow (`SO_TXTIME`).
    At(TaiTime),
    /// At any moment up to this instant (deadline mode, `SOF_TXTIME_DEADLINE_MODE`).
    By(TaiTime),
}

/// What happens to a frame that starts later than its launch time or deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LatePolicy {
    /// A frame counts as late when it starts more than this after its time.
    pub tolerance: Nanoseconds,
    /// What to do with a late frame.
    pub action: LateAction,
}

/// What to do with a late frame; it is counted either way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LateAction {
    /// Drop it.
    Drop,
    /// Send it all the same.
    Send,
}

/// A frame that arrives at the scheduler. Dropping `frame` gives its buffer back.
#[derive(Debug)]
pub struct Arrival<F> {
    /// The caller's handle of the frame.
    pub frame: F,
    /// Length from the destination address to the end of the payload, without FCS. A frame under
    /// 60 octets is padded by the device and counts as 60.
    pub length_bytes: u32,
    /// Length of its mac_service_data_unit: of `length_bytes`, what is behind the Ethernet header
    /// and the VLAN tag.
    pub sdu_bytes: u32,
    /// The traffic class.
    pub class: TrafficClass,
    /// When the frame wants to leave.
    pub launch: Launch,
    /// What happens if it cannot leave in time; of no effect with [`Launch::None`].
    pub late: LatePolicy,
    /// The caller's tag, handed back with the departure.
    pub stream: u32,
}

/// A frame that may start on the wire now.
#[derive(Debug)]
pub struct Departure<F> {
    /// The caller's handle of the frame.
    pub frame: F,
    /// The traffic class.
    pub class: TrafficClass,
    /// The caller's tag from the arrival.
    pub stream: u32,
    /// The length from the arrival, unpadded.
    pub length_bytes: u32,
    /// When the frame wanted to leave.
    pub launch: Launch,
    /// When it starts on the wire: the `now` of the call.
    pub start: TaiTime,
    /// When its last bit and the inter-frame gap have passed.
    pub end: TaiTime,
    /// When the gate of its class closes; never before `end`.
    pub gate_close: Close,
    /// How long after its launch time or deadline it starts; zero without one.
    pub late_by: Nanoseconds,
}

/// A frame that was dropped from a queue, given back to its owner. Its cause has been counted.
#[derive(Debug)]
pub struct Dropped<F> {
    /// The caller's handle of the frame.
    pub frame: F,
    /// The traffic class.
    pub class: TrafficClass,
    /// The caller's tag from the arrival.
    pub stream: u32,
    /// When the frame wanted to leave.
    pub launch: Launch,
    /// Why it cannot.
    pub cause: DropCause,
}

/// A frame that was not accepted, given back to its owner.
#[derive(Debug)]
pub struct Refused<F> {
    /// The caller's handle of the frame.
    pub frame: F,
    /// Why. The counter of this cause has been counted up already.
    pub cause: DropCause,
}

impl Launch {
    /// The launch time or deadline.
    pub fn time(self) -> Option<TaiTime> {
        match self {
            Launch::None => None,
            Launch::At(time) | Launch::By(time) => Some(time),
        }
    }
}
