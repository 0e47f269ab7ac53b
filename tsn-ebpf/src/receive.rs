//! Sends what the uplink receives for a pod of this node straight to the pod's veth pair.

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use tsn_common::{Load, PodCounter};

use crate::forward::forward;
use crate::frame::Frame;
use crate::maps::{ADDRESSES, HOST_ENDS, POLICIES, count};

/// XDP on the uplink.
#[xdp]
pub fn receive(ctx: XdpContext) -> u32 {
    let Some(destination) = Frame(&ctx).load::<6>(0) else {
        return XDP_PASS;
    };
    // SAFETY: entries are only replaced as a whole, and a stale slot leads to no device or to the kernel path.
    match unsafe { ADDRESSES.get(destination) } {
        Some(&slot) => deliver(slot),
        None => forward(&ctx, &destination).unwrap_or(XDP_PASS),
    }
}

/// Hands a frame to the pod that it is addressed to. One that is to be reached through the node's routes alone is not.
#[inline(always)]
fn deliver(slot: u32) -> u32 {
    if POLICIES.get(slot).is_none_or(|policy| policy.overlay != 0) {
        return XDP_PASS;
    }
    match HOST_ENDS.redirect(slot, u64::from(XDP_PASS)) {
        Ok(action) => {
            count(slot, PodCounter::Delivered);
            action
        }
        Err(fallback) => fallback,
    }
}
