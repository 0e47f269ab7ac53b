//! Why an operation failed, an enum for each kind of operation.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tsn_programs::ProgramError;

use crate::{DpdkReason, XskError};

/// Why the EAL could not be initialised.
#[derive(Debug, thiserror::Error)]
pub enum EalError {
    /// This process has initialised it, or has tried to.
    #[error(
        "DPDK can be initialised only once in a process, and has been (or has failed to be); start the process anew"
    )]
    Again,
    /// There are too few hugepages of the size asked for.
    #[error(
        "{wanted_mib} MiB in hugepages of {page_kib} KiB are needed, and {free_pages} of them are free; reserve more \
         (echo N > /sys/kernel/mm/hugepages/hugepages-{page_kib}kB/nr_hugepages), or, without a PCI device, set \
         hugepages to none"
    )]
    Hugepages {
        /// The memory asked for.
        wanted_mib: u32,
        /// Size of a page.
        page_kib: u32,
        /// How many are free.
        free_pages: u64,
    },
    /// An argument cannot be given to the EAL.
    #[error("{argument:?} cannot be given to DPDK, since it has a zero byte; take that out")]
    Argument {
        /// The argument.
        argument: String,
    },
    /// DPDK refused.
    #[error(
        "DPDK's EAL does not start with the arguments {arguments:?}: {reason}; {}",
        advice(reason)
    )]
    Init {
        /// What it was given.
        arguments: Vec<String>,
        /// Why not.
        reason: DpdkReason,
    },
}

fn advice(reason: &DpdkReason) -> &'static str {
    match reason.number {
        libc::EACCES | libc::EPERM => {
            "run as root, or with CAP_IPC_LOCK and access to the hugepages and /dev/vfio"
        }
        libc::ENOMEM => "use fewer frame buffers, reserve more hugepages, or set hugepages to none",
        _ => "check the addresses of the devices, and the hugepages in /proc/meminfo",
    }
}

/// Why a pool of frame buffers could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Frames of that length do not fit.
    #[error("a frame buffer of {frame_bytes} bytes is too long; the limit is {limit_bytes}")]
    FrameTooLong {
        /// The longest frame asked for.
        frame_bytes: u32,
        /// The longest possible.
        limit_bytes: u32,
    },
    /// The name has a zero byte or is longer than DPDK takes.
    #[error("a pool cannot be called {name:?}: at most {limit_bytes} bytes, none of them zero")]
    Name {
        /// The name.
        name: String,
        /// The longest possible.
        limit_bytes: usize,
    },
    /// DPDK refused.
    #[error(
        "DPDK has no memory for {frames} frame buffers of {frame_bytes} bytes: {reason}; use fewer frame buffers, or \
         give it more memory (hugepages that are free, or a larger memory where there are none)"
    )]
    Create {
        /// How many buffers.
        frames: u32,
        /// The longest frame in each.
        frame_bytes: u32,
        /// Why not.
        reason: DpdkReason,
    },
    /// Its memory is in several pieces, of which the kernel can take only one.
    #[error(
        "DPDK's memory for {frames} frame buffers is in pieces, with {gap_bytes} bytes between them; set dpdk.memory to \
         what they need or more, so that it is reserved at once, or use larger hugepages"
    )]
    Scattered {
        /// How many buffers.
        frames: u32,
        /// What lies between the pieces.
        gap_bytes: usize,
    },
}

/// Why a device could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// It has no name that a device can have.
    #[error(transparent)]
    Name(#[from] tsn_port::DeviceNameError),
    /// An interface of the kernel is no device of DPDK.
    #[error(
        "{device} is an interface of the kernel; as a device of DPDK it is net_af_packet0,iface={device}"
    )]
    Interface {
        /// The interface.
        device: String,
    },
    /// This process has it already.
    #[error("{device} is in use by this daemon already; give the virtual device another number")]
    InUse {
        /// The device.
        device: String,
    },
    /// The machine has no such PCI device.
    #[error("no PCI device {address} on this machine; see: lspci -D")]
    NoSuchPci {
        /// Its address.
        address: String,
    },
    /// A driver of the kernel has the PCI device, or none.
    #[error(
        "PCI device {address} belongs to {driver} of the kernel; give it to user space: modprobe vfio-pci && \
         dpdk-devbind.py --bind=vfio-pci {address}"
    )]
    KernelHasIt {
        /// Its address.
        address: String,
        /// The kernel's driver.
        driver: String,
    },
    /// DPDK cannot attach or make it.
    #[error("DPDK cannot attach {device}: {reason}; check its driver's name and its arguments")]
    Attach {
        /// The device with its arguments.
        device: String,
        /// Why not.
        reason: DpdkReason,
    },
    /// DPDK attached it, but it cannot be made to work.
    #[error("DPDK cannot {what} of {device}: {reason}")]
    Configure {
        /// The device with its arguments.
        device: String,
        /// What was tried.
        what: &'static str,
        /// Why not.
        reason: DpdkReason,
    },
}

/// Why [`wake`](tsn_port::Port::wake) failed. What becomes of the frames is the port's role: an uplink drops them.
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    /// The link is down, or nobody is at the other end.
    #[error("the link of {device} is down")]
    LinkDown {
        /// The device.
        device: Arc<str>,
    },
    /// The device takes nothing.
    #[error(
        "{device} is up but has taken no frame for {stuck_ms} ms{}; check that its other end reads its queue, and that \
         DPDK's memory is in few regions (hugepages of one size, or none)",
        because(complaints)
    )]
    Stuck {
        /// The device.
        device: Arc<str>,
        /// For how long.
        stuck_ms: u64,
        /// What DPDK complained of when the device started.
        complaints: Arc<[String]>,
    },
}

fn because(complaints: &[String]) -> String {
    if complaints.is_empty() {
        String::new()
    } else {
        format!(" (when it started, DPDK said: {})", complaints.join("; "))
    }
}

/// Why an operation of the backend failed.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The EAL.
    #[error(transparent)]
    Eal(#[from] EalError),
    /// The frame buffers.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A pod's veth.
    #[error(transparent)]
    Xsk(#[from] XskError),
    /// The kernel programs.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The place of a vhost-user socket is taken.
    #[error(
        "cannot make the vhost-user socket {}: {source}; stop the program that listens there, or choose another path",
        path.display()
    )]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something else is where a vhost-user socket is to be made.
    #[error(
        "cannot make the vhost-user socket {}: there is a file that is no socket; choose another path, or remove it",
        path.display()
    )]
    NoSocket {
        /// Where.
        path: PathBuf,
    },
    /// Nobody uses the uplink's socket.
    #[error(
        "nobody has connected to {} in {waited_s} s; start the switch and let it connect there (Open vSwitch: a port of \
         type dpdkvhostuserclient with this vhost-server-path)",
        path.display()
    )]
    NoPeer {
        /// The socket.
        path: PathBuf,
        /// For how long it was there.
        waited_s: u64,
    },
    /// The pod is attached to this backend already.
    #[error("pod {name:?} is attached already; detach it first")]
    PodAttached {
        /// The pod's name.
        name: String,
    },
}

/// Why a device that could hold frames until their launch times is not asked to.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// An mbuf has no room for a launch time.
    #[error("mbufs have no field for a launch time: {0}")]
    Field(DpdkReason),
    /// The device does not tell its time.
    #[error("its clock cannot be read: {0}")]
    Clock(DpdkReason),
    /// The device's clock, or CLOCK_TAI, did not run.
    #[error("its clock stood still for 50 ms, or CLOCK_TAI was set meanwhile")]
    Stopped,
}
