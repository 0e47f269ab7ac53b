//! The ports of pods.

pub mod vhost;
