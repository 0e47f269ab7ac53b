//! The test bed of the end-to-end tests and of `cargo xtask demo`: nodes and pods as network namespaces, a wire between
//! them, real daemons, and unmodified programs as clients.
//!
//! Everything here cleans up when it is dropped, also when a test fails. What a killed run leaves behind is swept by the
//! next one; several runs at once do not meet, since all their names are unique. All of it needs root.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use tsn_tests::{capture::Capture, topology::Network};
//!
//! let network = Network::new(2)?; // nodes `near` and `far`, two pods on each
//! let wire = Capture::start(&network.far.namespace, "uplink0")?;
//! let pod = &network.near.pods[0];
//! let socket = pod.namespace.enter(|| std::net::UdpSocket::bind((pod.ipv4, 0)))??;
//! socket.send_to(b"hello", (network.far.pods[0].ipv4, 7000))?;
//! while wire.is_empty() {}
//! # Ok(())
//! # }
//! ```

pub mod backend;
pub mod bpffs;
pub mod capture;
pub mod clients;
pub mod clock;
pub mod cni;
pub mod confined;
pub mod containerd;
pub mod control;
pub mod coverage;
pub mod daemon;
pub mod evidence;
pub mod footprint;
pub mod hugepages;
pub mod isochron;
pub mod namespace;
pub mod overlay;
pub mod ovs;
mod packet;
pub mod process;
pub mod recorded;
pub mod scratch;
pub mod spin;
pub mod testpmd;
pub mod topology;
pub mod wait;
