//! Frames as they left, for people who read captures.
//!
//! | module | what it is |
//! |---|---|
//! | [`line`](mod@line) | the daemon's answer to `GET /v1/capture`: one JSON object a line |
//! | [`stream`] | from the worker's tap to these lines |
//! | [`pcapng`] | from these lines to a file for Wireshark |

pub mod line;
pub mod pcapng;
pub mod stream;
