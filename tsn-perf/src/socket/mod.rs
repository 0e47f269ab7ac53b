//! The sockets of talker and listener. What the kernel offers only as bytes and pointers stays in here.

pub mod error_queue;
pub mod open;
pub mod options;
pub mod receive;
pub mod transmit;
