//! A talker and a listener as any application would write them, and the report of what they saw.
//!
//! Nothing here knows of a scheduler. The talker opens an ordinary UDP or raw packet socket, sets
//! `SO_PRIORITY` and `SO_TXTIME`, and sends; the listener notes when each frame arrived. What lies
//! between the two is what is measured.
//!
//! All times are nanoseconds of CLOCK_TAI unless a name says otherwise.

pub mod clock;
pub mod distribution;
pub mod ethernet;
pub mod listen;
pub mod process;
pub mod report;
pub mod sequence;
pub mod socket;
pub mod stream;
pub mod talk;
pub mod units;
pub mod wire;
