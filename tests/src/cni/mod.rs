//! CNI as a container runtime speaks it: chains of plugins, and what a node looks like before and after.
//!
//! [`Runtime`](runtime::Runtime) does what libcni does, which containerd, CRI-O and Multus use: it executes one plugin
//! after the other with the specification's environment and standard input, hands each the result of the one before,
//! caches the last result for CHECK and DEL, and undoes in reverse.
//!
//! The plugins of other projects are Debian's, which know the versions up to 1.0.0 and refuse 1.1.0 as libcni hands it to
//! them. For that version [`Plugins`](plugins::Plugins) puts a plugin of the test's own in front of each that says so
//! when it is asked for its VERSION: it hands the configuration on at 1.0.0, brings the result back at 1.1.0, and has
//! nothing to say to STATUS and GC. So at 1.1.0 the runtime and `tsn-cni` speak what they really speak, and the veth is
//! really made by `bridge`.

pub mod plugin;
pub mod plugins;
pub mod runtime;
pub mod snapshot;
