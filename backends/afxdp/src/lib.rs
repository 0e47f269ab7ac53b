//! AF_XDP ports on one shared UMEM.
//!
//! [`AfxdpBackend`] opens the ports of one worker: its uplink, and the host end of each pod's veth pair, whose frames
//! the kernel programs redirect into the port's socket. All are used on queue 0. A pod's veth only has the copy mode; an
//! uplink whose driver can do it sends, if asked to, in zero-copy mode, from a second registration of the same memory.
//!
//! The kernel programs are `tsn_programs`; here is what concerns the memory and the rings.

mod backend;
mod error;
mod held;
mod mappings;
mod port;
mod port_socket;
mod socket;
mod umem;
mod zero_copy;

pub use backend::{AfxdpBackend, AfxdpConfig, DEFAULT_RING_SLOTS};
pub use error::{BackendError, SocketError};
pub use port::{AfxdpPort, WakeError};
pub use umem::AfxdpFrame;
