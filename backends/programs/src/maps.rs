//! The object with the kernel programs, and the maps that they share.

use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use aya::maps::xdp::{DevMap, XdpMapError, XskMap};
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfLoader};
use tsn_common::PodPolicy;

use super::ProgramError;

static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("TSN_EBPF_OBJECT"));

/// Tells this build's object from another's.
pub fn object_id() -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(OBJECT);
    hasher.finish()
}

/// Maps that are pinned by their names; `AYA_LOGS` is the ring of the programs' log.
const PINNED: [&str; 7] = [
    "POLICIES",
    "HEARTBEATS",
    "SOCKETS",
    "HOST_ENDS",
    "ADDRESSES",
    "COUNTERS",
    "AYA_LOGS",
];

/// Loads the object for the pod in `slot`: its maps are those pinned under `directory`, made and pinned where missing.
pub fn load(directory: &Path, slot: u32) -> Result<Ebpf, ProgramError> {
    // Before 6.11 only the monotonic clock had a `tstamp_type` of its own.
    let kernel =
        KernelVersion::current().map_err(|error| ProgramError::Kernel(error.to_string()))?;
    let unnamed_is_tai = u8::from(kernel < KernelVersion::new(6, 11, 0));
    let mut loader = EbpfLoader::new();
    loader.override_global("SLOT", &slot, true);
    loader.override_global("UNNAMED_CLOCK_IS_TAI", &unnamed_is_tai, true);
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
