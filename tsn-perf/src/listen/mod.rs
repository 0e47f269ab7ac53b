//! The listener: notes when each of the talker's frames arrived.

mod csv;
mod options;
mod receiver;
mod stream;
mod summary;

pub use options::ListenOptions;
pub use receiver::run;
pub use summary::{ListenSummary, StreamSummary};
