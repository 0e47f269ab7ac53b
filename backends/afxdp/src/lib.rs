//! AF_XDP ports on one shared UMEM, and the loading and pinning of the kernel programs.
//!
//! [`AfxdpBackend`] opens the ports of one worker: its uplink, and the host end of each pod's veth pair, whose frames
//! the kernel programs redirect into the port's socket. All are used in copy mode on queue 0; zero-copy on a NIC that
//! can do it needs a second registration of the memory and is not there yet.
//!
//! [`Programs`] is everything that concerns the kernel programs; [`AfxdpPort`] and [`AfxdpFrame`] everything that
//! concerns the rings.

mod backend;
mod checksum;
mod error;
mod port;
mod programs;
mod socket;
mod umem;

pub use backend::{AfxdpBackend, AfxdpConfig, COUNTER_NAMES, DEFAULT_RING_SLOTS};
pub use error::{BackendError, SocketError};
pub use port::{AfxdpPort, WakeError};
pub use programs::{
    AttachedPod, Device, Pinned, PinnedProgram, ProgramError, ProgramLog, Programs, XdpAttachment,
    program_name, within_netns,
};
pub use umem::AfxdpFrame;
