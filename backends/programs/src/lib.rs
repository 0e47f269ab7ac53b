//! Loads, attaches and pins the kernel programs, and speaks with them through their maps.
//!
//! Everything that must outlive the daemon is pinned under one directory of a bpffs:
//!
//! ```text
//! <pin_dir>/layout -> 2               version of the records that the maps hold
//! <pin_dir>/maps/POLICIES ...         maps that all programs of the node share
//! <pin_dir>/uplinks/<device>          link of the receive program
//! <pin_dir>/pods/<name>/redirect      link of the redirect program
//! <pin_dir>/pods/<name>/stamp         link of the stamp program
//! <pin_dir>/pods/<name>/slot -> 3     the pod's index into the maps
//! <pin_dir>/pods/<name>/netns -> /... path of the pod's namespace; the pair in it is that of the values
//! <pin_dir>/pods/<name>/interface ... `interface`, `inside-ifindex` and `host-ifindex`
//! <pin_dir>/pods/<name>/mtu -> 1500   the host end's MTU before the pod was attached
//! <pin_dir>/pods/<name>/gro -> false  whether GRO was on at the pod's end
//! <pin_dir>/pods/<name>/clsact, filter  in the place of `stamp` before 6.6: whether `clsact` was there, and the program
//! <pin_dir>/pods/<name>/object -> 42  which build the pod's programs are of
//! ```
//!
//! A bpffs holds only maps, programs, links, directories and symbolic links, so the few plain values are the targets
//! of symbolic links. Names are percent-encoded where a bpffs does not take a character.
//!
//! A later run adopts all of it, and puts its own programs in the place of the old ones without a moment between. Only
//! where the maps hold records of another version (`tsn_common::LAYOUT`) is everything detached first.
//!
//! Before Linux 6.6, which has no tcx, the stamp program is in a filter (`stamp_hook.rs`). A host end is served with one
//! receive queue, which is what a veth has unless told otherwise.

mod addresses;
mod attach;
mod clsact;
mod device;
mod error;
mod ethtool;
mod heartbeat;
mod inspect;
mod kernel;
mod maps;
mod namespace_id;
mod netns;
mod overlay;
mod pins;
mod pod;
mod release;
mod rtnetlink;
mod slots;
mod stamp_hook;
mod uplink;
mod veth_pods;
mod xsk_ring;
mod xsk_socket;

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aya::Ebpf;
use aya::maps::MapError;
use aya_log::EbpfLogger;
use heartbeat::{Mapping, WorkerHeartbeat};
use maps::{Instance, Maps, map_error};
use pins::Pins;
use tsn_common::{PodCounter, Rule};
use tsn_port::{Heartbeat, MacAddress, PodMode, VethEnd};

pub use device::{Device, XdpAttachment};
pub use error::ProgramError;
pub use ethtool::{Channels, Coalescing, Ethtool};
pub use inspect::{Pinned, PinnedProgram, program_name};
pub use netns::within as within_netns;
pub use release::{KernelRelease, OLDEST_KERNEL};
pub use stamp_hook::StampHook;
pub use uplink::UplinkProgram;
pub use veth_pods::VethPods;
pub use xsk_ring::{Ring, ring_offsets};
pub use xsk_socket::{XskMemory, XskMode, XskSocket, kick, raise_transmit_budget};

/// Names of the [`PodCounter`]s, in their order.
pub const COUNTER_NAMES: [&str; PodCounter::COUNT as usize] = [
    "stamped",
    "redirected",
    "fallback_heartbeat",
    "fallback_no_socket",
    "forged_stamp",
    "local",
    "delivered",
    "fallback_no_route",
    "fallback_oversize",
];

/// The kernel programs of a node and their maps.
///
/// Dropping it leaves everything attached and pinned: a node's pods must survive their daemon.
pub struct Programs {
    pins: Pins,
    maps: Maps,
    beats: Arc<Mapping>,
    /// Tells this build's object from another's.
    object: u64,
    stamp_hook: StampHook,
    /// Holds the ring of the programs' log until it is taken.
    logs: Option<Ebpf>,
}

/// A pod with a veth pair, and the traffic of it that is time-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VethPod {
    /// The name by which the pod is known to the daemon; unique.
    pub name: String,
    /// Its end of the pair.
    pub end: VethEnd,
    /// How its frames leave the node.
    pub mode: PodMode,
    /// What is steered into the socket, first match wins. At most [`tsn_common::MAX_RULES`].
    pub rules: Vec<Rule>,
}

/// A pod whose frames are steered into a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedPod {
    /// Index of the pod in the kernel maps; also that of its socket.
    pub slot: u32,
    /// Name of the host end of the pod's veth pair.
    pub host_interface: String,
    /// Its interface index.
    pub host_ifindex: u32,
    /// The pod interface's MTU in bytes.
    pub mtu: u32,
    /// Its address.
    pub address: MacAddress,
    /// Whether the pod was found attached by an earlier run.
    pub adopted: bool,
}

/// The log of the kernel programs.
///
/// Becomes readable ([`AsFd`](std::os::fd::AsFd)) when lines wait; `flush()` hands them to the `log` crate's logger.
pub type ProgramLog = EbpfLogger<&'static dyn log::Log>;

impl Programs {
    /// Loads or adopts the node's maps, pinned under `pin_dir` (a directory of a bpffs; made if it does not exist).
    ///
    /// Until the first [`beat`](Heartbeat::beat), and when the last is older than `heartbeat_timeout`, time-sensitive
    /// frames take the kernel path. Routes of an earlier run are forgotten, as its numbers of next hops mean nothing any
    /// more; its tunnels stay. A map layout of another version is replaced; its pods are detached.
    ///
    /// # Errors
    ///
    /// When the kernel is too old or refuses the maps, or `pin_dir` is on no bpffs.
    pub fn open(pin_dir: &Path, heartbeat_timeout: Duration) -> Result<Self, ProgramError> {
        let kernel = KernelRelease::of_this_machine()?;
        tracing::info!(
            %kernel,
            stamp = %StampHook::of_this_kernel(),
            clocks_of_launch_times = if kernel.names_clocks() { "named" } else { "by value" },
            "kernel programs"
        );
        let pins = Pins::open(pin_dir)?;
        if pins.layout_is_ours() {
            return Self::with_maps(pins, heartbeat_timeout);
        }
        for device in pins.uplink_names()? {
            pins::detach(&pins.uplink(&device)?)?;
        }
        pins.renew_maps()?;
        let mut programs = Self::with_maps(pins, heartbeat_timeout)?;
        for name in programs.pinned_pods()? {
            programs.detach_pod(&name)?;
        }
        Ok(programs)
    }

    fn with_maps(pins: Pins, heartbeat_timeout: Duration) -> Result<Self, ProgramError> {
        let mut object = maps::load(&pins.maps(), Instance::default())?;
        let maps = Maps::take(&mut object)?;
        let beats = Mapping::new(maps.heartbeats.fd()).map_err(ProgramError::Heartbeat)?;
        beats.set_timeout(heartbeat_timeout);
        let mut programs = Self {
            pins,
            maps,
            beats: Arc::new(beats),
            object: maps::object_id(),
            stamp_hook: StampHook::of_this_kernel(),
            logs: Some(object),
        };
        programs.forget_routes()?;
        Ok(programs)
    }

    /// Puts the AF_XDP socket of a pod's host end (queue 0) into the pod's slot.
    ///
    /// # Errors
    ///
    /// When the slot is none, or the socket is not bound.
    pub fn set_socket(&mut self, slot: u32, socket: BorrowedFd<'_>) -> Result<(), ProgramError> {
        self.maps
            .sockets
            .set(slot, socket.as_raw_fd(), 0)
            .map_err(map_error("SOCKETS"))
    }

    /// Takes the socket out: new frames take the kernel path. A slot that is empty is no error.
    ///
    /// # Errors
    ///
    /// When the slot is none.
    pub fn remove_socket(&mut self, slot: u32) -> Result<(), ProgramError> {
        match self.maps.sockets.unset(slot) {
            Err(MapError::SyscallError(error))
                if error.io_error.raw_os_error() == Some(libc::ENOENT) =>
            {
                Ok(())
            }
            result => result.map_err(map_error("SOCKETS")),
        }
    }

    /// From now on everything new takes the kernel path, until the programs are opened again.
    ///
    /// # Errors
    ///
    /// None with the maps of this version.
    pub fn divert(&mut self) -> Result<(), ProgramError> {
        self.beats.set_timeout(Duration::ZERO);
        Ok(())
    }

    /// The worker's sign of life: a clock read and a store.
    pub fn heartbeat(&self) -> Box<dyn Heartbeat> {
        Box::new(WorkerHeartbeat(Arc::clone(&self.beats)))
    }

    /// A pod's counters since it was attached, summed over the CPUs, in the order of [`PodCounter`].
    ///
    /// # Errors
    ///
    /// When the slot is none.
    pub fn pod_counters(
        &self,
        slot: u32,
    ) -> Result<[u64; PodCounter::COUNT as usize], ProgramError> {
        let mut counters = [0; PodCounter::COUNT as usize];
        for (index, counter) in (slot * PodCounter::COUNT..).zip(&mut counters) {
            let values = self
                .maps
                .counters
                .get(&index, 0)
                .map_err(map_error("COUNTERS"))?;
            *counter = values.iter().sum();
        }
        Ok(counters)
    }

    /// The pods for which something is pinned, by this run or an earlier one.
    ///
    /// # Errors
    ///
    /// When the directory of pins cannot be read.
    pub fn pinned_pods(&self) -> Result<Vec<String>, ProgramError> {
        self.pins.pod_names()
    }

    /// The log of all programs of the node; `None` when it has been taken before.
    ///
    /// # Errors
    ///
    /// When the ring cannot be mapped into memory.
    pub fn take_logs(&mut self) -> Result<Option<ProgramLog>, aya_log::Error> {
        self.logs
            .take()
            .map(|mut object| EbpfLogger::init(&mut object))
            .transpose()
    }
}
