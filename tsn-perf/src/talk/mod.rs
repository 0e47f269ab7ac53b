//! The talker: sends frames with launch times, or best effort, and says how it fared.

mod options;
mod sender;
mod summary;

pub use options::TalkOptions;
pub use sender::run;
pub use summary::TalkSummary;
