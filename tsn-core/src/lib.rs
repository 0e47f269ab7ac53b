//! Sans-IO Time-Aware Shaper: gates, launch times, queues (IEEE 802.1Q 8.6.8.4, 8.6.9).

#![forbid(unsafe_code)]

mod class;
mod counters;
mod cycle;
mod frame;
mod gates;
mod link;
mod queue;
mod schedule;
mod scheduler;
mod segments;
mod time;

pub use class::{GateStates, TrafficClass};
pub use counters::{ClassCounters, DropCause};
pub use frame::{Arrival, Departure, LateAction, LatePolicy, Launch, Refused};
pub use gates::{Close, ConfigChange, Gates};
pub use link::LinkSpeed;
pub use schedule::{
    CycleTime, GateControlEntry, MAX_ENTRIES, Schedule, ScheduleError, ScheduleParameters, Window,
};
pub use scheduler::{ClassParameters, ETHERNET_OVERHEAD_BYTES, Scheduler, SchedulerParameters};
pub use time::{Nanoseconds, TaiTime};
