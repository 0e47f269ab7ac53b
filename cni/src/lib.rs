//! `tsn-cni`, the CNI plugin: tells the node daemon of pods that come and go.
//!
//! The plugin and the daemon meet in two places: a directory of [records](record), one for each interface that is to be
//! served, and the daemon's control socket, by which the plugin asks it to look at one of them now.
//!
//! The plugin's configuration, where a pod's wishes come from, and all error codes are in `docs/cni.md`.

mod choice;
mod commands;
mod configuration;
mod daemon;
mod device;
mod environment;
mod error;
mod log;
mod previous_result;
pub mod record;
mod version;

pub use commands::{Answer, answer};
