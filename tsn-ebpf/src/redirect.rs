//! Takes the stamp off a pod's frames and hands the time-sensitive ones to the daemon, if it is alive.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_xdp_adjust_head, bpf_xdp_adjust_meta};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::warn;
use tsn_common::{
    FRONT_BYTES, Front, Load, Metadata, PodCounter, PodPolicy, STAMP_HEADER_BYTES, Stamp,
    first_match, parse,
};

use crate::frame::Frame;
use crate::maps::{ADDRESSES, HEARTBEATS, POLICIES, SLOT, SOCKETS, count};
use crate::route::next_hop;

/// The queue that the pod's socket is bound to.
const QUEUE: u32 = 0;

/// XDP on the host's end of the veth pair.
#[xdp]
pub fn redirect(ctx: XdpContext) -> u32 {
    let slot = SLOT.load();
    let Some(policy) = POLICIES.get(slot).filter(|policy| policy.secret != 0) else {
        return XDP_PASS; // the slot is not in use
    };
    let stamp = match take_stamp(&ctx, policy.secret) {
        Front::Ordinary => None,
        Front::Stamp(stamp) => Some(stamp),
        Front::Forged => {
            if count(slot, PodCounter::ForgedStamp) {
                warn!(
                    &ctx,
                    "pod slot {}: dropped a frame with a forged stamp", slot
                );
            }
            return XDP_DROP;
        }
    };
    let frame = Frame(&ctx);
    let priority = stamp.as_ref().map_or(0, |stamp| stamp.priority);
    let Some(key) = parse(&frame, 0, priority) else {
        return XDP_PASS;
    };
    if first_match(&policy.rules, policy.rule_count as usize, &key).is_none() {
        return XDP_PASS;
    }
    let next_hop = match way(&ctx, &frame, policy) {
        Ok(next_hop) => next_hop,
        Err(reason) => {
            if count(slot, reason) && matches!(reason, PodCounter::FallbackHeartbeat) {
                warn!(
                    &ctx,
                    "pod slot {}: no sign of life of the daemon, the kernel takes over", slot
                );
            }
            return XDP_PASS;
        }
    };
    if put_metadata(&ctx, stamp.as_ref(), next_hop).is_some()
        && let Ok(action) = SOCKETS.redirect(slot, u64::from(XDP_PASS))
    {
        count(slot, PodCounter::Redirected);
        return action;
    }
    count(slot, PodCounter::FallbackNoSocket);
    XDP_PASS
}

/// The next hop of a time-sensitive frame for the daemon, 0 for one that leaves as it is; or why it is left to the kernel.
#[inline(always)]
fn way(ctx: &XdpContext, frame: &Frame, policy: &PodPolicy) -> Result<u16, PodCounter> {
    let destination = frame.load::<6>(0).unwrap_or_default();
    // SAFETY: only whether there is an entry matters.
    if unsafe { ADDRESSES.get(destination) }.is_some() {
        return Err(PodCounter::Local);
    }
    if !alive(policy.worker) {
        return Err(PodCounter::FallbackHeartbeat);
    }
    if ctx.rx_queue_index() != QUEUE || SOCKETS.get(SLOT.load()).is_none() {
        return Err(PodCounter::FallbackNoSocket);
    }
    if policy.overlay == 0 {
        return Ok(0);
    }
    next_hop(frame, policy)
}

/// Whether the worker's last sign of life is young enough.
#[inline(always)]
fn alive(worker: u32) -> bool {
    let Some(beat) = HEARTBEATS.get_ptr(worker) else {
        return false;
    };
    // SAFETY: the pointer is to a live map value; user space changes each of the two words as a whole.
    let (at_ns, timeout_ns) = unsafe {
        (
            (&raw const (*beat).at_ns).read_volatile(),
            (&raw const (*beat).timeout_ns).read_volatile(),
        )
    };
    // SAFETY: the helper takes nothing.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    // A machine that was just booted is younger than the timeout may be.
    timeout_ns != 0 && at_ns != 0 && now_ns <= at_ns.saturating_add(timeout_ns)
}

/// What the frame begins with; a genuine stamp is taken off.
#[inline(always)]
fn take_stamp(ctx: &XdpContext, secret: u64) -> Front {
    let Some(bytes) = Frame(ctx).load::<FRONT_BYTES>(0) else {
        return Front::Ordinary;
    };
    let front = Front::of(&bytes, Some(secret));
    if let Front::Stamp(_) = front
        // SAFETY: the helper takes the program's context. It cannot fail: the frame is long enough.
        && unsafe { bpf_xdp_adjust_head(ctx.ctx, STAMP_HEADER_BYTES as i32) } != 0
    {
        return Front::Forged;
    }
    front
}

/// Leaves the stamp and the next hop as XDP metadata before the frame.
#[inline(always)]
fn put_metadata(ctx: &XdpContext, stamp: Option<&Stamp>, next_hop: u16) -> Option<()> {
    // SAFETY: the helper takes the program's context.
    if unsafe { bpf_xdp_adjust_meta(ctx.ctx, -(size_of::<Metadata>() as i32)) } != 0 {
        return None;
    }
    let record = ctx.metadata() as *mut Metadata;
    if ctx.metadata() + size_of::<Metadata>() > ctx.data() {
        return None;
    }
    let metadata = Metadata {
        launch_time_ns: stamp.map_or(0, |stamp| stamp.launch_time_ns),
        magic: Metadata::MAGIC,
        time_base: stamp.map_or(0, |stamp| stamp.time_base as u8),
        priority: stamp.map_or(0, |stamp| stamp.priority),
        next_hop,
    };
    // SAFETY: the record lies before the frame's data, as just checked, and the kernel aligns it to four bytes, which
    // is all that an unaligned write needs.
    unsafe { record.write_unaligned(metadata) };
    Some(())
}
