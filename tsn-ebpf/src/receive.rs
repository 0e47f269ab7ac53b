//! Sends what the uplink receives for a pod of this node straight to the pod's veth pair.

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use tsn_common::PodCounter;

use crate::maps::{ADDRESSES, HOST_ENDS, count};

/// XDP on the uplink.
#[xdp]
pub fn receive(ctx: XdpContext) -> u32 {
    let destination = ctx.data() as *const [u8; 6];
    if ctx.data() + size_of::<[u8; 6]>() > ctx.data_end() {
        return XDP_PASS;
    }
    // SAFETY: the six bytes lie before the end of the frame, as just checked; any alignment will do for bytes.
    let destination = unsafe { *destination };
    // SAFETY: entries are only replaced as a whole, and a stale slot leads to no device or to the kernel path.
    let Some(&slot) = (unsafe { ADDRESSES.get(destination) }) else {
        return XDP_PASS;
    };
    match HOST_ENDS.redirect(slot, u64::from(XDP_PASS)) {
        Ok(action) => {
            count(slot, PodCounter::Delivered);
            action
        }
        Err(fallback) => fallback,
    }
}
