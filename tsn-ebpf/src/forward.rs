//! Hands packets from other nodes to this node's overlay pods, as the kernel would forward them.

use aya_ebpf::bindings::xdp_action::XDP_DROP;
use aya_ebpf::helpers::bpf_xdp_adjust_head;
use aya_ebpf::programs::XdpContext;
use tsn_common::{
    ETHERNET_HEADER_BYTES, Load, PodCounter, PodPolicy, checksum_after_hop, matches_received,
    parse, parse_packet, parse_vxlan,
};

use crate::frame::Frame;
use crate::maps::{HOST_ENDS, POD_IPS, POLICIES, TUNNELS, UPLINK_ADDRESS, count};
use crate::route::is_beyond;

const PROTOCOL_UDP: u8 = 17;
const TTL_OFFSET: usize = ETHERNET_HEADER_BYTES + 8;
const IPV4_CHECKSUM_OFFSET: usize = ETHERNET_HEADER_BYTES + 10;
const HOP_LIMIT_OFFSET: usize = ETHERNET_HEADER_BYTES + 7;

/// Forwards a time-sensitive datagram for an overlay pod: one in a tunnel that ends here, or one that another node has
/// routed to this one. Its sender is one that overlay pods' frames have a next hop to: of any other it is the kernel that
/// knows whether it may come this way. `None`: the frame is the kernel's, and has not been touched.
#[inline(always)]
pub fn forward(ctx: &XdpContext, destination: &[u8; 6]) -> Option<u32> {
    if *destination != UPLINK_ADDRESS.load() {
        return None;
    }
    let frame = Frame(ctx);
    let (start, frame_bytes) = unpack(&frame)?;
    let packet = parse_packet(&frame, start)?;
    let packet_bytes = packet.length_bytes as usize;
    if packet.protocol != PROTOCOL_UDP
        || packet.is_fragment
        || packet.hop_limit <= 1
        || ETHERNET_HEADER_BYTES + packet_bytes > frame_bytes
        || !is_beyond(packet.source)
    {
        return None;
    }
    // SAFETY: entries are only replaced as a whole, and a stale slot leads to a policy that is not in use.
    let slot = *unsafe { POD_IPS.get(packet.destination) }?;
    let policy = POLICIES.get(slot)?;
    if policy.secret == 0
        || policy.overlay == 0
        || frame_bytes > ETHERNET_HEADER_BYTES + usize::from(policy.mtu_bytes)
        || HOST_ENDS.get_ifindex(slot).is_none()
    {
        return None;
    }
    let key = parse(&frame, start, 0)?;
    if !matches_received(&policy.rules, policy.rule_count as usize, &key) {
        return None;
    }
    if pass_on(ctx, start, packet.is_ipv6, policy).is_none() {
        return Some(XDP_DROP);
    }
    let action = HOST_ENDS.redirect(slot, u64::from(XDP_DROP));
    if action.is_ok() {
        count(slot, PodCounter::Delivered);
    }
    Some(action.unwrap_or_else(|action| action))
}

/// Where the frame begins that is for a pod, and its length: the one in a tunnel that ends here, or the whole. `None` for
/// one that the tunnel's device would not take.
#[inline(always)]
fn unpack(frame: &Frame) -> Option<(usize, usize)> {
    let whole = Some((0, frame.bytes()));
    let Some(vxlan) = parse_vxlan(frame) else {
        return whole;
    };
    // SAFETY: entries are only replaced as a whole.
    let Some(address) = (unsafe { TUNNELS.get(vxlan.tunnel) }) else {
        return whole;
    };
    let (outer, inner) = (vxlan.outer_bytes as usize, vxlan.inner_bytes as usize);
    let fits = outer + inner <= frame.bytes();
    (fits && frame.load::<6>(outer) == Some(*address)).then_some((outer, inner))
}

/// Strips what is before the frame, addresses it to the pod, and lowers its TTL.
#[inline(always)]
fn pass_on(ctx: &XdpContext, outer_bytes: usize, is_ipv6: bool, policy: &PodPolicy) -> Option<()> {
    // SAFETY: the helper takes the program's context.
    if unsafe { bpf_xdp_adjust_head(ctx.ctx, outer_bytes as i32) } != 0 {
        return None;
    }
    let header = ctx.data() as *mut [u8; IPV4_CHECKSUM_OFFSET + 2];
    if ctx.data() + size_of::<[u8; IPV4_CHECKSUM_OFFSET + 2]>() > ctx.data_end() {
        return None;
    }
    // SAFETY: the bytes lie before the end of the frame, as just checked, and nobody else has them.
    let header = unsafe { &mut *header };
    header[..6].copy_from_slice(&policy.address);
    header[6..12].copy_from_slice(&policy.router);
    if is_ipv6 {
        header[HOP_LIMIT_OFFSET] -= 1;
    } else {
        header[TTL_OFFSET] -= 1;
        let checksum = [
            header[IPV4_CHECKSUM_OFFSET],
            header[IPV4_CHECKSUM_OFFSET + 1],
        ];
        let checksum = checksum_after_hop(u16::from_be_bytes(checksum));
        header[IPV4_CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_be_bytes());
    }
    Some(())
}
