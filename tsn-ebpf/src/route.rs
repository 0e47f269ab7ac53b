//! Where an overlay pod's frame goes, as the daemon has told after the kernel's routes.

use aya_ebpf::maps::lpm_trie::Key;
use tsn_common::{ETHERNET_HEADER_BYTES, Load, PodCounter, PodPolicy, parse_packet};

use crate::frame::Frame;
use crate::maps::{POD_IPS, ROUTES, SLOT};

/// The number of the frame's next hop, or why it is left to the kernel.
///
/// What the kernel would do more to than to forward it is left to it: answer for an expired TTL, fragment, tell the
/// sender, trim what is behind the packet, filter what does not come from one of the pod's own addresses.
#[inline(always)]
pub fn next_hop(frame: &Frame, policy: &PodPolicy) -> Result<u16, PodCounter> {
    let packet = parse_packet(frame, 0).ok_or(PodCounter::FallbackNoRoute)?;
    if frame.load::<6>(0) != Some(policy.router)
        || packet.hop_limit <= 1
        || frame.bytes() != ETHERNET_HEADER_BYTES + packet.length_bytes as usize
        || !is_own(&packet.source)
    {
        return Err(PodCounter::FallbackNoRoute);
    }
    let route = ROUTES
        .get(Key::new(128, packet.destination))
        .ok_or(PodCounter::FallbackNoRoute)?;
    if route.next_hop == 0 {
        Err(PodCounter::FallbackNoRoute)
    } else if packet.length_bytes > u32::from(route.mtu_bytes) {
        Err(PodCounter::FallbackOversize)
    } else {
        Ok(route.next_hop)
    }
}

/// Whether an address is the pod's.
#[inline(always)]
fn is_own(address: &[u8; 16]) -> bool {
    // SAFETY: entries are only replaced as a whole.
    let slot = unsafe { POD_IPS.get(address) };
    slot == Some(&SLOT.load())
}

/// Whether packets for an address leave by a next hop.
#[inline(always)]
pub fn is_beyond(address: [u8; 16]) -> bool {
    ROUTES
        .get(Key::new(128, address))
        .is_some_and(|route| route.next_hop != 0)
}
