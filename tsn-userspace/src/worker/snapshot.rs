//! What the worker knows, copied out at one moment for the control plane.
//!
//! The control plane asks for it by a command and brings the memory with it, so that the worker neither locks nor
//! allocates, and the figures belong together.

use tsn_core::{ClassCounters, GateStates, Nanoseconds, TaiTime};
use tsn_port::{PortCounters, PortLevels};

use super::deliver::DeliveryCounters;
use super::pod::{PodDelivery, PodDrops, StreamCounters};
use super::stall::{Stall, StallTotals};
use tsn_common::MAX_RULES;

/// The worker at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// When.
    pub at: TaiTime,
    /// The lead in force.
    pub lead: Nanoseconds,
    /// Wake-ups that the lead rests on.
    pub lead_observations: u32,
    /// The gates now.
    pub gates: GatesSnapshot,
    /// Counters of the classes 0 to 7.
    pub classes: [ClassCounters; 8],
    /// The uplink.
    pub uplink: UplinkSnapshot,
    /// Why its last wake-up failed, as far as there is room; empty if it did not.
    pub uplink_failure: String,
    /// Times at which the worker's core was taken away.
    pub stalls: StallTotals,
    /// The latest of them, as many as there is room for.
    pub recent_stalls: Vec<Stall>,
    /// How often the worker slept.
    pub sleeps: u64,
    /// How often the worker saw that the clock had been set.
    pub clock_steps: u64,
    /// The pods, as many as there is room for.
    pub pods: Vec<PodSnapshot>,
}

/// The gates at one moment.
#[derive(Debug, Clone, Copy)]
pub struct GatesSnapshot {
    /// Open and closed.
    pub states: GateStates,
    /// When the latest schedule starts or started.
    pub config_change_time: Option<TaiTime>,
    /// Schedules that were asked to start in the past while another ran.
    pub config_change_error: u64,
    /// Whether a schedule waits for its start.
    pub config_pending: bool,
}

impl Default for GatesSnapshot {
    fn default() -> Self {
        Self {
            states: GateStates::ALL_OPEN,
            config_change_time: None,
            config_change_error: 0,
            config_pending: false,
        }
    }
}

/// The uplink at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct UplinkSnapshot {
    /// The port's counters.
    pub port: PortCounters,
    /// The port's rings, and the memory that all ports share.
    pub levels: PortLevels,
    /// Whether the last wake-up succeeded.
    pub up: bool,
    /// Frames dropped because the device was down.
    pub dropped_link_down: u64,
    /// Frames dropped because the transmit ring was full.
    pub dropped_ring_full: u64,
    /// Frames dropped because their class is critical and the clock was lost.
    pub dropped_clock_lost: u64,
    /// Frames sent to measure the lead.
    pub lead_probes: u64,
    /// Whether the device holds frames until their launch times.
    pub hardware_launch: bool,
    /// What became of the frames that arrived.
    pub delivery: DeliveryCounters,
}

/// A pod at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct PodSnapshot {
    /// The pod's place in the worker.
    pub place: u32,
    /// The port's counters.
    pub port: PortCounters,
    /// The port's rings.
    pub levels: PortLevels,
    /// Frames dropped before the scheduler.
    pub drops: PodDrops,
    /// What was delivered to the pod, and from it to others.
    pub delivery: PodDelivery,
    /// Frames in the queues.
    pub waiting: u32,
    /// The streams in the order of the configuration; unused ones are zero.
    pub streams: [StreamCounters; MAX_RULES],
    /// Of each stream, the error of largest magnitude in the last minute, in nanoseconds.
    pub worst_last_minute_ns: [Option<i64>; MAX_RULES],
}
