//! `tsnd`, the node daemon, and `tsnctl`, its command line.
//!
//! | module | what it is |
//! |---|---|
//! | [`config`] | the YAML file in the words of IEEE 802.1Q |
//! | [`check`] | what a file asks for that will hardly do what was meant |
//! | [`worker`] | the thread that joins a scheduler to ports |
//! | [`node`] | the control plane: backend, pods, gates, clock |
//! | [`control`] | the HTTP/JSON API over a unix socket, and its client |
//! | [`metrics`] | what Prometheus reads |
//! | [`capture`] | frames as they left, from the worker to a pcapng file |
//! | [`clock`] | CLOCK_TAI, and whether it is synchronised |
//! | [`cni_install`] | the plugin's place among a node's other CNI plugins |
//! | [`device`] | link events |
//! | [`durations`] | durations as people read them |
//! | [`formats`] | schedules in and out of YANG, taprio and tsnkit |
//! | [`log`] | what is logged, and no more than can be read |
//! | [`overlay`] | the way that the kernel would route a pod's frames |
//! | [`plan`] | the picture of a gate control list |
//! | [`doctor`] | what stands between a machine and punctual frames |
//! | [`state`] | what survives a restart |

pub mod capture;
pub mod check;
pub mod clock;
pub mod cni_install;
pub mod config;
pub mod control;
pub mod device;
pub mod doctor;
pub mod durations;
pub mod formats;
pub mod log;
pub mod metrics;
pub mod node;
pub mod overlay;
pub mod plan;
mod sources;
pub mod state;
pub mod worker;
