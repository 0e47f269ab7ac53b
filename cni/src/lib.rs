//! `tsn-cni`, the CNI plugin: tells the node daemon of pods that come and go.
//!
//! The plugin and the daemon meet in two places: a directory of [records](record), one for each interface that is to be
//! served, and the daemon's control socket, by which the plugin asks it to look at one of them now.

pub mod record;
