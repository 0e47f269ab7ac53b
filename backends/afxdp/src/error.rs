//! Why a port could not be opened.

use std::io;

use tsn_programs::ProgramError;

/// Why an AF_XDP socket or its memory could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The shared memory could not be registered.
    #[error(
        "cannot register {chunks} chunks of {chunk_bytes} bytes for AF_XDP: {why}; \
         this needs CAP_SYS_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK or as high a limit on locked memory (`ulimit -l`), as much \
         free memory, chunks of 2048 or 4096 bytes, and rings of a power of two"
    )]
    Memory {
        /// How many chunks.
        chunks: u32,
        /// Their size.
        chunk_bytes: u32,
        /// What the kernel or the library said.
        why: String,
    },
    /// The socket could not be opened.
    #[error(
        "cannot open an AF_XDP socket on queue 0 of {device}: {source}; {}",
        advice(source)
    )]
    Open {
        /// The device.
        device: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The pod's frames do not fit a chunk.
    #[error(
        "the MTU of {device} is {mtu_bytes} bytes, but a chunk holds frames of an MTU of at most {limit_bytes}; \
         lower the MTU or use chunks of 4096 bytes"
    )]
    MtuTooLarge {
        /// The device.
        device: String,
        /// Its MTU.
        mtu_bytes: u32,
        /// The largest MTU that fits.
        limit_bytes: usize,
    },
    /// This backend has a port on the device already.
    #[error("{device} has a port in this worker already; drop that port first")]
    AlreadyOpen {
        /// The device.
        device: String,
    },
}

/// The way out, as far as the kernel's reason tells it.
fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EBUSY) => "another AF_XDP socket holds it: stop that program, or drop that port",
        Some(libc::ENODEV) => {
            "check the device's name, and that it is in the daemon's network namespace"
        }
        Some(libc::EPERM) => "run with CAP_NET_ADMIN and CAP_NET_RAW",
        Some(libc::ENOMEM | libc::ENOBUFS) => "use fewer chunks or smaller rings",
        _ => "check that the kernel has CONFIG_XDP_SOCKETS",
    }
}

/// Why an operation of the backend failed.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A socket or its memory.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The kernel programs.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The pod has no veth pair.
    #[error(
        "pod {name:?} has a vhost-user socket, which AF_XDP does not serve; run tsnd with --backend dpdk, or connect \
         the pod by a veth pair"
    )]
    NoVeth {
        /// The pod's name.
        name: String,
    },
}
