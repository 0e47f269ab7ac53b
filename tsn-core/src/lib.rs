//! Sans-IO Time-Aware Shaper: gates, launch times and queues by IEEE 802.1Q 8.6.8.4 and 8.6.9.
//!
//! A [`Scheduler`] takes frames in and tells which of them starts on the wire at which nanosecond.
//! It has no clock, no socket and no thread: the caller passes the time (`CLOCK_TAI`) in, polls
//! [`Scheduler::dequeue`], and sleeps or spins until [`Scheduler::next_event`]. A frame is an
//! opaque handle whose `Drop` gives the buffer back. After construction nothing allocates or frees.
//!
//! ```
//! use tsn_core::*;
//!
//! // Class 7 may send in the first 100 µs of every millisecond, all others in the rest.
//! let entry = |states, ns| GateControlEntry {
//!     gate_states: GateStates(states),
//!     time_interval: Nanoseconds::from_nanos(ns),
//! };
//! let schedule = Schedule::new(ScheduleParameters {
//!     base_time: TaiTime::from_nanos(0),
//!     cycle_time: None,
//!     cycle_time_extension: Nanoseconds::ZERO,
//!     entries: vec![entry(0x80, 100_000), entry(0x7f, 900_000)],
//! })?;
//!
//! let class = ClassParameters {
//!     capacity: 64,
//!     queue_max_sdu_bytes: None,
//!     launch_time_required: false,
//! };
//! let mut scheduler = Scheduler::new(SchedulerParameters {
//!     link_speed: LinkSpeed::from_mbps(1_000).ok_or("no link")?,
//!     per_frame_overhead_bytes: ETHERNET_OVERHEAD_BYTES,
//!     admin_gate_states: GateStates::ALL_OPEN,
//!     classes: [class; 8],
//! });
//! let mut now = TaiTime::from_nanos(5_000_000_000_300_000);
//! let change = scheduler.configure(now, Box::new(schedule));
//! assert_eq!(change.config_change_time, TaiTime::from_nanos(5_000_000_001_000_000));
//!
//! // A frame of class 7 that wants to leave 20 µs into the next cycle but one.
//! let launch = change.config_change_time + Nanoseconds::from_nanos(1_020_000);
//! let arrival = Arrival {
//!     frame: "buffer 1",
//!     length_bytes: 1_514,
//!     sdu_bytes: 1_500,
//!     class: TrafficClass::ALL[7],
//!     launch: Launch::At(launch),
//!     late: LatePolicy { tolerance: Nanoseconds::ZERO, action: LateAction::Drop },
//!     stream: 0,
//! };
//! scheduler.enqueue(now, arrival).map_err(|refused| refused.cause.name())?;
//!
//! let departure = loop {
//!     now = scheduler.next_event(now).ok_or("nothing is queued")?;
//!     if let Some(departure) = scheduler.dequeue(now) {
//!         break departure;
//!     }
//! };
//! assert_eq!(departure.start, launch);
//! assert_eq!(departure.end - departure.start, Nanoseconds::from_nanos(12_304));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | `time` | instants and durations |
//! | `class` | traffic classes and gate states |
//! | `cycle` | exact arithmetic of cycle starts |
//! | `segments` | a gate control list compiled to lookup tables |
//! | `schedule` | a list with base time and cycle time, checked |
//! | `gates` | the state machines: what is in force when, openings, closings, changes |
//! | `link` | speed and wire time |
//! | `frame` | arrivals, departures, refusals |
//! | `flow_meter` | a stream's committed rate and burst |
//! | `queue` | the three queues of a class |
//! | `heap` | frames in the order of their times |
//! | `counters` | what was received, sent and dropped, and why |
//! | `scheduler` | a port: what leaves (`selection`) and when to look again (`next_event`) |

#![forbid(unsafe_code)]

mod class;
mod counters;
mod cycle;
mod flow_meter;
mod frame;
mod gates;
mod heap;
mod link;
mod queue;
mod schedule;
mod scheduler;
mod segments;
mod time;

pub use class::{GateStates, TrafficClass};
pub use counters::{ClassCounters, DropCause};
pub use flow_meter::{Color, FlowMeter, FlowMeterParameters};
pub use frame::{Arrival, Departure, Dropped, LateAction, LatePolicy, Launch, Refused};
pub use gates::{Close, ConfigChange, Gates};
pub use link::{ETHERNET_OVERHEAD_BYTES, LinkSpeed, MIN_FRAME_BYTES, octets_on_wire};
pub use schedule::{
    CycleTime, GateControlEntry, MAX_ENTRIES, Schedule, ScheduleError, ScheduleParameters, Window,
};
pub use scheduler::{ClassParameters, GateMargins, Scheduler, SchedulerParameters};
pub use time::{Nanoseconds, TaiTime};
