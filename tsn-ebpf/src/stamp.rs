//! Puts what the pod's socket asked for (launch time, priority) in front of the pod's time-sensitive frames.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{__sk_buff, tcx_action_base::TCX_NEXT};
use aya_ebpf::helpers::{
    bpf_ktime_get_ns, bpf_ktime_get_tai_ns, bpf_skb_change_head, bpf_skb_load_bytes,
    bpf_skb_store_bytes, bpf_skb_vlan_pop, bpf_skb_vlan_push,
};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use tsn_common::{
    FrameKey, Load, PodCounter, STAMP_HEADER_BYTES, StampHeader, TimeBase, first_match,
    parse_offloaded,
};

use crate::maps::{CLOCKS_ARE_NAMED, POLICIES, SECRET, SLOT, count};

/// `skb->tstamp_type` values. Before Linux 6.11 the clock of `SO_TXTIME` is not told: with any it was 0, and 1 in 6.9 and
/// 6.10.
const CLOCK_UNNAMED: u8 = 0;
const CLOCK_MONOTONIC: u8 = 1;
const CLOCK_TAI: u8 = 2;

const ADDRESSES_BYTES: usize = 12;
const VLAN_TAG_BYTES: usize = 4;

/// tcx egress on the pod's end of the veth pair, or before Linux 6.6 a filter of `clsact` there.
///
/// Whatever happens the frame goes on to the next program: a frame that cannot be stamped is an untimed one.
#[classifier]
pub fn stamp(ctx: TcContext) -> i32 {
    let _ = try_stamp(ctx.skb.skb);
    TCX_NEXT
}

fn try_stamp(skb: *mut __sk_buff) -> Option<()> {
    let slot = SLOT.load();
    // A program that was left behind has another pod's slot, or none.
    let policy = POLICIES
        .get(slot)
        .filter(|policy| policy.secret == SECRET.load())?;
    let frame = Skb(skb);
    // SAFETY: the context is valid while the program runs, and the verifier checks each access.
    let (priority, tag) = unsafe { ((*skb).priority.min(255) as u8, Tag::beside(skb)) };
    let key = parse_offloaded(&frame, 0, tag.map(|tag| tag.control), priority)?;
    first_match(&policy.rules, policy.rule_count as usize, &key)?;

    let (time_base, launch_time_ns) = launch_time(skb, &key);
    let header = StampHeader {
        destination: frame.load::<6>(0)?,
        time_base: time_base as u8,
        priority,
        launch_time_ns,
        secret: policy.secret,
    };
    // Read again: kept in a register or on the stack, half of the tag would be undefined without one, and verifiers before
    // Linux 6.3 refuse a program that so much as copies that.
    // SAFETY: as above.
    match unsafe { Tag::beside(skb) } {
        None => prepend(skb, &header)?,
        Some(tag) => prepend_with_tags(skb, &header, tag)?,
    }
    count(slot, PodCounter::Stamped);
    Some(())
}

/// The launch time that the socket asked for by `SO_TXTIME`.
#[inline(always)]
fn launch_time(skb: *mut __sk_buff, key: &FrameKey) -> (TimeBase, u64) {
    // SAFETY: as above.
    let (time_ns, clock) = unsafe { ((*skb).tstamp, (*skb).tstamp_type) };
    if time_ns == 0 || !key.carries_launch_time() {
        return (TimeBase::None, 0);
    }
    match clock {
        CLOCK_UNNAMED | CLOCK_MONOTONIC if CLOCKS_ARE_NAMED.load() == 0 => {
            (nearer_clock(time_ns), time_ns)
        }
        CLOCK_MONOTONIC => (TimeBase::Monotonic, time_ns),
        CLOCK_TAI => (TimeBase::Tai, time_ns),
        _ => (TimeBase::None, 0),
    }
}

/// The clock whose time now is nearer: a launch time is seconds away at most, the clocks are decades apart.
#[inline(always)]
fn nearer_clock(time_ns: u64) -> TimeBase {
    // SAFETY: the helpers take nothing.
    let (tai_ns, monotonic_ns) = unsafe { (bpf_ktime_get_tai_ns(), bpf_ktime_get_ns()) };
    if time_ns.abs_diff(tai_ns) < time_ns.abs_diff(monotonic_ns) {
        TimeBase::Tai
    } else {
        TimeBase::Monotonic
    }
}

#[inline(always)]
fn prepend(skb: *mut __sk_buff, header: &StampHeader) -> Option<()> {
    grow(skb, STAMP_HEADER_BYTES)?;
    store(skb, 0, header)
}

/// Prepends the header and moves VLAN tags that the kernel keeps beside the frame into it, since the host end's XDP
/// program sees only what is in the frame.
#[inline(never)]
fn prepend_with_tags(skb: *mut __sk_buff, header: &StampHeader, outer: Tag) -> Option<()> {
    let addresses = Skb(skb).load::<ADDRESSES_BYTES>(0)?;
    pop(skb)?;
    // SAFETY: the context is valid while the program runs.
    let inner = unsafe { Tag::beside(skb) };
    if let Some(inner) = inner {
        // The kernel took a tag that was in the frame out of it; it goes back in.
        pop(skb)?;
        if grow(skb, STAMP_HEADER_BYTES + 2 * VLAN_TAG_BYTES).is_none() {
            push(skb, inner);
            push(skb, outer);
            return None;
        }
        store(
            skb,
            STAMP_HEADER_BYTES + ADDRESSES_BYTES + VLAN_TAG_BYTES,
            &inner.bytes(),
        )?;
    } else if grow(skb, STAMP_HEADER_BYTES + VLAN_TAG_BYTES).is_none() {
        push(skb, outer);
        return None;
    }
    store(skb, 0, header)?;
    store(skb, STAMP_HEADER_BYTES, &addresses)?;
    store(skb, STAMP_HEADER_BYTES + ADDRESSES_BYTES, &outer.bytes())
}

/// A VLAN tag, host byte order.
#[derive(Clone, Copy)]
struct Tag {
    ethertype: u16,
    control: u16,
}

impl Tag {
    /// The tag that the kernel keeps beside the frame.
    ///
    /// # Safety
    ///
    /// `skb` is the program's context.
    #[inline(always)]
    unsafe fn beside(skb: *mut __sk_buff) -> Option<Self> {
        // SAFETY: by the caller.
        unsafe {
            ((*skb).vlan_present != 0).then(|| Self {
                ethertype: u16::from_be((*skb).vlan_proto as u16),
                control: (*skb).vlan_tci as u16,
            })
        }
    }

    #[inline(always)]
    fn bytes(self) -> [u8; VLAN_TAG_BYTES] {
        let [e0, e1] = self.ethertype.to_be_bytes();
        let [c0, c1] = self.control.to_be_bytes();
        [e0, e1, c0, c1]
    }
}

/// The frame, read by helper calls, since parts of it need not lie in the linear area.
struct Skb(*mut __sk_buff);

impl Load for Skb {
    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = MaybeUninit::<[u8; N]>::uninit();
        // SAFETY: the helper writes into an array of `N` bytes, and checks the offset itself.
        let error = unsafe {
            bpf_skb_load_bytes(
                self.0.cast(),
                offset as u32,
                bytes.as_mut_ptr().cast(),
                N as u32,
            )
        };
        // SAFETY: without an error the helper has written all `N` bytes.
        (error == 0).then(|| unsafe { bytes.assume_init() })
    }
}

#[inline(always)]
fn grow(skb: *mut __sk_buff, bytes: usize) -> Option<()> {
    // SAFETY: the helper takes the program's context.
    (unsafe { bpf_skb_change_head(skb, bytes as u32, 0) } == 0).then_some(())
}

#[inline(always)]
fn store<T>(skb: *mut __sk_buff, offset: usize, value: &T) -> Option<()> {
    // SAFETY: the helper reads `size_of::<T>()` bytes of a `T`, which has no padding here.
    let error = unsafe {
        bpf_skb_store_bytes(
            skb.cast(),
            offset as u32,
            core::ptr::from_ref(value).cast(),
            size_of::<T>() as u32,
            0,
        )
    };
    (error == 0).then_some(())
}

#[inline(always)]
fn pop(skb: *mut __sk_buff) -> Option<()> {
    // SAFETY: the helper takes the program's context.
    (unsafe { bpf_skb_vlan_pop(skb) } == 0).then_some(())
}

#[inline(always)]
fn push(skb: *mut __sk_buff, tag: Tag) {
    // SAFETY: the helper takes the program's context. Failing here loses the tag of a frame for which there is no
    // memory anyway.
    unsafe { bpf_skb_vlan_push(skb, tag.ethertype.to_be(), tag.control) };
}
