//! The picture of a gate control list: when which class may send, and what is left of its windows for frames.
//!
//! [`Plan::of`] and [`Plan::of_change`] ask the scheduler's own gates, so what is drawn is what will happen. A plan is
//! data ([`model`]); [`terminal`] and [`svg`] draw it.

mod axis;
mod change;
mod course;
mod gates;
pub mod model;
mod parts;
mod rows;
mod running;
mod steady;
mod strip;
pub mod svg;

mod table;
pub mod terminal;
mod words;

pub use change::Command;
pub use model::Plan;
pub use running::take_running_base_time;

use tsn_core::Nanoseconds;

/// What a plan assumes beside the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Assumptions {
    /// The speed of a link whose configuration does not give it, in Mb/s.
    pub link_speed_mbps: u32,
    /// The longest service data unit of a class without `queue-max-sdu`, in bytes.
    pub mtu_bytes: u32,
    /// What the worker acts earlier by, and so how long after its gate opens a frame starts at the soonest.
    pub lead: Nanoseconds,
}

/// Why there is no picture of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Configuration(#[from] crate::config::ConfigurationError),
    /// The picture would reach beyond what 64 bits of nanoseconds can tell.
    #[error(
        "{} of {cycle}, with those around that are looked at, take more than the 146 years that a picture can hold; {}",
        if *cycles == 1 { "a cycle".to_owned() } else { format!("{cycles} cycles") },
        if *cycles == 1 { "shorten the cycle" } else { "draw fewer, or shorten the cycle" },
    )]
    TooLong {
        /// How many cycles were to be drawn.
        cycles: u32,
        /// The cycle time.
        cycle: String,
    },
    /// The new list starts too far ahead.
    #[error(
        "the new list starts at {start_ns} ns TAI, too far ahead for a picture; give an --at before the year 2400"
    )]
    TooFar {
        /// When.
        start_ns: u64,
    },
}
