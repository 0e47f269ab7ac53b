//! What the control plane asks of the worker. Each command brings the memory that its answer needs; what the worker gives
//! up goes back as [`Retired`], so that freeing it and closing its sockets is not the worker's business.

use tokio::sync::oneshot;
use tsn_core::{ConfigChange, GateStates, LinkSpeed, Schedule};
use tsn_port::MacAddress;

use super::capture::CaptureTap;
use super::pod::PodPort;
use super::snapshot::Snapshot;
use crate::overlay::encapsulation::NextHops;

/// Why the worker refused a command.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// All places are taken.
    #[error("the worker has {0} pods, which is its limit; remove one")]
    NoPlace(usize),
    /// Another pod is at its address.
    #[error(
        "the address {0} belongs to a pod that is served already; give each virtio device an address of its own"
    )]
    StationTaken(MacAddress),
    /// No such place.
    #[error("the worker has no pod at place {0}")]
    NoPod(usize),
}

/// What becomes of the gates.
#[derive(Debug)]
pub struct GateChange {
    /// `admin-gate-states`.
    pub admin_gate_states: GateStates,
    /// `gate-enabled`.
    pub enabled: bool,
    /// The new list, if there is one.
    pub schedule: Option<Box<Schedule>>,
}

/// What the clock's state does to the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockAction {
    /// Gates are ignored: all open.
    pub open_gates: bool,
    /// Frames of these classes are dropped.
    pub dropped_classes: u8,
    /// TAI − UTC, known or assumed, in nanoseconds.
    pub tai_minus_utc_ns: u64,
}

/// What the worker no longer needs.
#[derive(Debug)]
pub enum Retired<P> {
    /// A gate control list that another has replaced.
    Schedule(Box<Schedule>),
    /// A pod that is served no longer, with the port to close.
    Pod(PodPort<P>),
    /// A capture that is over.
    Capture(CaptureTap),
    /// The next hops that others have replaced.
    NextHops(Box<NextHops>),
}

/// What the control plane asks of the worker.
#[derive(Debug)]
pub enum Command<P> {
    /// Serve a pod; answers with its place.
    AddPod(Box<PodPort<P>>, oneshot::Sender<Result<usize, Refusal>>),
    /// Take what it has sent, then serve it no longer; the pod comes back as [`Retired::Pod`].
    RemovePod(usize, oneshot::Sender<Result<(), Refusal>>),
    /// Change the gates; answers when the change takes effect.
    ChangeGates(GateChange, oneshot::Sender<Option<ConfigChange>>),
    /// The link runs at another speed.
    SetLinkSpeed(LinkSpeed),
    /// The link has lost or found its carrier.
    SetCarrier(bool),
    /// The clock's state has changed.
    SetClockAction(ClockAction),
    /// Copy what leaves into this tap from now on, instead of another; `None` ends that.
    Capture(Option<CaptureTap>),
    /// Frames of overlay pods take these next hops from now on, and no others; answers when that is so.
    SetNextHops(Box<NextHops>, oneshot::Sender<()>),
    /// Fill in what the worker knows.
    Snapshot(Box<Snapshot>, oneshot::Sender<Box<Snapshot>>),
    /// Send what is queued, then stop; answers with how many frames had to be dropped at the deadline.
    Drain(std::time::Duration, oneshot::Sender<u64>),
}
