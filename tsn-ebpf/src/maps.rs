//! The maps. All are pinned and shared by every program of the node; `SLOT` alone is each program's own.

use aya_ebpf::Global;
use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, DevMap, HashMap, LpmTrie, PerCpuArray, XskMap};
use tsn_common::{
    Beat, MAX_POD_IPS, MAX_PODS, MAX_ROUTES, MAX_TUNNELS, MAX_WORKERS, PodCounter, PodPolicy,
    RouteEntry, TunnelKey,
};

/// The pod that this program instance serves: its index into the maps. Set when the program is loaded.
#[unsafe(no_mangle)]
pub static SLOT: Global<u32> = Global::new(0);

/// That pod's secret. Set when the program is loaded.
#[unsafe(no_mangle)]
pub static SECRET: Global<u64> = Global::new(0);

/// Whether `tstamp_type` tells the clock of a launch time, as it does since Linux 6.11. Set when the program is loaded.
#[unsafe(no_mangle)]
pub static CLOCKS_ARE_NAMED: Global<u8> = Global::new(1);

/// The Ethernet address of the uplink that this program instance is attached to. Set when the program is loaded.
#[unsafe(no_mangle)]
pub static UPLINK_ADDRESS: Global<[u8; 6]> = Global::new([0; 6]);

/// What there is to know of each pod.
#[map]
pub static POLICIES: Array<PodPolicy> = Array::with_max_entries(MAX_PODS, 0);

/// Each worker's sign of life, written by user space through a memory mapping.
#[map]
pub static HEARTBEATS: Array<Beat> = Array::with_max_entries(MAX_WORKERS, BPF_F_MMAPABLE);

/// Each pod's AF_XDP socket, on queue 0 of the host end.
#[map]
pub static SOCKETS: XskMap = XskMap::with_max_entries(MAX_PODS, 0);

/// Each pod's host end.
#[map]
pub static HOST_ENDS: DevMap = DevMap::with_max_entries(MAX_PODS, 0);

/// The pods by their Ethernet address.
#[map]
pub static ADDRESSES: HashMap<[u8; 6], u32> = HashMap::with_max_entries(MAX_PODS, 0);

/// The overlay pods by their IP addresses; IPv4 as IPv4-mapped addresses, here and below.
#[map]
pub static POD_IPS: HashMap<[u8; 16], u32> = HashMap::with_max_entries(MAX_POD_IPS, 0);

/// Where the packets of overlay pods go, by destination.
#[map]
pub static ROUTES: LpmTrie<[u8; 16], RouteEntry> =
    LpmTrie::with_max_entries(MAX_ROUTES, BPF_F_NO_PREALLOC);

/// The Ethernet addresses that frames are sent to inside the tunnels that end at this node.
#[map]
pub static TUNNELS: HashMap<TunnelKey, [u8; 6]> = HashMap::with_max_entries(MAX_TUNNELS, 0);

/// Pod × [`PodCounter::COUNT`] + [`PodCounter`].
#[map]
pub static COUNTERS: PerCpuArray<u64> =
    PerCpuArray::with_max_entries(MAX_PODS * PodCounter::COUNT, 0);

/// Counts one up. Returns whether this one is worth a line in the log: the first on this CPU, and then every 65,536th.
#[inline(always)]
pub fn count(slot: u32, counter: PodCounter) -> bool {
    let Some(value) = COUNTERS.get_ptr_mut(slot * PodCounter::COUNT + counter as u32) else {
        return false;
    };
    // SAFETY: the pointer is to a live, aligned map value of this CPU. Where a real-time kernel lets another program in
    // between the two accesses, a count is lost and nothing else.
    unsafe {
        let now = value.read_volatile() + 1;
        value.write_volatile(now);
        now & 0xffff == 1
    }
}
