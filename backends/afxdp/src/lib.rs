//! AF_XDP ports on one shared UMEM.
//!
//! [`AfxdpBackend`] opens the ports of one worker: its uplink, and the host end of each pod's veth pair, whose frames
//! the kernel programs redirect into the port's socket. All are used in copy mode on queue 0; zero-copy on a NIC that
//! can do it needs a second registration of the memory and is not there yet.
//!
//! The kernel programs are `tsn_programs`; here is what concerns the memory and the rings.

mod backend;
mod error;
mod mappings;
mod port;
mod socket;
mod umem;

pub use backend::{AfxdpBackend, AfxdpConfig, DEFAULT_RING_SLOTS};
pub use error::{BackendError, SocketError};
pub use port::{AfxdpPort, WakeError};
pub use umem::AfxdpFrame;
