//! The object with the kernel programs, and the maps that they share.

use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use aya::maps::xdp::{DevMap, XdpMapError, XskMap};
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray};
use aya::{Ebpf, EbpfLoader};
use tsn_common::{PodPolicy, RouteEntry, TunnelKey};

use super::ProgramError;
use super::release::KernelRelease;

static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("TSN_EBPF_OBJECT"));

/// Tells this build's object from another's.
pub fn object_id() -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(OBJECT);
    hasher.finish()
}

/// Maps that are pinned by their names; `AYA_LOGS` is the ring of the programs' log.
const PINNED: [&str; 10] = [
    "POLICIES",
    "HEARTBEATS",
    "SOCKETS",
    "HOST_ENDS",
    "ADDRESSES",
    "POD_IPS",
    "ROUTES",
    "TUNNELS",
    "COUNTERS",
    "AYA_LOGS",
];

/// What an instance of the programs serves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Instance {
    /// The pod's index into the maps.
    pub slot: u32,
    /// The pod's secret.
    pub secret: u64,
    /// The uplink's Ethernet address.
    pub uplink_address: [u8; 6],
}

/// Loads the object: its maps are those pinned under `directory`, made and pinned where missing.
pub fn load(directory: &Path, instance: Instance) -> Result<Ebpf, ProgramError> {
    let kernel = KernelRelease::of_this_machine()?;
    let clocks_are_named = u8::from(kernel.names_clocks());
    let mut loader = EbpfLoader::new();
    loader.override_global("SLOT", &instance.slot, true);
    loader.override_global("UPLINK_ADDRESS", &instance.uplink_address, true);
    loader.override_global("SECRET", &instance.secret, true);
    loader.override_global("CLOCKS_ARE_NAMED", &clocks_are_named, true);
    for name in PINNED {
        loader.map_pin_path(name, directory.join(name));
    }
    loader
        .load(OBJECT)
        .map_err(|error| ProgramError::Load(Box::new(error)))
}

/// The maps that user space reads and writes.
pub struct Maps {
    /// What the programs know of each pod, by slot.
    pub policies: Array<MapData, PodPolicy>,
    /// The workers' signs of life.
    pub heartbeats: MapData,
    /// AF_XDP sockets, by slot.
    pub sockets: XskMap<MapData>,
    /// Host ends of the pods' veth pairs, by slot.
    pub host_ends: DevMap<MapData>,
    /// Slots of the pods, by Ethernet address.
    pub addresses: HashMap<MapData, [u8; 6], u32>,
    /// Slots of the overlay pods, by IP address.
    pub pod_ips: HashMap<MapData, [u8; 16], u32>,
    /// Where overlay pods' packets go, by destination.
    pub routes: LpmTrie<MapData, [u8; 16], RouteEntry>,
    /// Ethernet addresses of the tunnels that end here.
    pub tunnels: HashMap<MapData, TunnelKey, [u8; 6]>,
    /// Counters, by slot × `PodCounter::COUNT` + counter.
    pub counters: PerCpuArray<MapData, u64>,
}

impl Maps {
    /// Takes the maps out of the object.
    pub fn take(object: &mut Ebpf) -> Result<Self, ProgramError> {
        Ok(Self {
            policies: take(object, "POLICIES")?,
            heartbeats: match object.take_map("HEARTBEATS") {
                Some(Map::Array(map)) => map,
                _ => return Err(ProgramError::Object("HEARTBEATS")),
            },
            sockets: take(object, "SOCKETS")?,
            host_ends: take(object, "HOST_ENDS")?,
            addresses: take(object, "ADDRESSES")?,
            pod_ips: take(object, "POD_IPS")?,
            routes: take(object, "ROUTES")?,
            tunnels: take(object, "TUNNELS")?,
            counters: take(object, "COUNTERS")?,
        })
    }
}

fn take<M: TryFrom<Map, Error = MapError>>(
    object: &mut Ebpf,
    name: &'static str,
) -> Result<M, ProgramError> {
    object
        .take_map(name)
        .ok_or(ProgramError::Object(name))?
        .try_into()
        .map_err(map_error(name))
}

/// Names the map that an error is about.
pub fn map_error<E: Into<XdpMapError>>(map: &'static str) -> impl Fn(E) -> ProgramError {
    move |source| ProgramError::Map {
        map,
        source: Box::new(source.into()),
    }
}
