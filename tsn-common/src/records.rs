//! Records that cross the border between kernel programs and user space.

use crate::Rule;

/// Rules a pod may have.
pub const MAX_RULES: usize = 16;

/// Pods a node may have; the size of the kernel maps.
pub const MAX_PODS: u32 = 1024;

/// Destinations that overlay pods may have routes to.
pub const MAX_ROUTES: u32 = 16_384;

/// Tunnels that may end at a node.
pub const MAX_TUNNELS: u32 = 256;

/// IP addresses that the overlay pods of a node may have together.
pub const MAX_POD_IPS: u32 = 4 * MAX_PODS;

/// Workers a node may have.
pub const MAX_WORKERS: u32 = 16;

/// Version of the records in the kernel maps; raised with every change of their layout or meaning, so that a daemon
/// never adopts what another version left pinned without being able to read it.
pub const LAYOUT: u32 = 2;

/// Bytes that the stamp program puts in front of a frame; the host end's MTU must be larger by as much.
pub const STAMP_HEADER_BYTES: usize = size_of::<StampHeader>();

/// Bytes of a [`Metadata`] record.
pub const METADATA_BYTES: usize = 16;

/// The clock that a launch time was given in.
#[repr(u8)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeBase {
    /// No launch time.
    #[default]
    None = 0,
    /// `CLOCK_MONOTONIC` nanoseconds.
    Monotonic = 1,
    /// `CLOCK_TAI` nanoseconds.
    Tai = 2,
}

impl TimeBase {
    /// The value carried in a byte; anything unknown carries no launch time.
    #[inline(always)]
    pub const fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Monotonic,
            2 => Self::Tai,
            _ => Self::None,
        }
    }
}

/// What the sender's socket asked for (`SO_PRIORITY`, `SO_TXTIME`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Launch time in nanoseconds of `time_base`; 0 without one.
    pub launch_time_ns: u64,
    /// The clock of `launch_time_ns`.
    pub time_base: TimeBase,
    /// `SO_PRIORITY`, capped at 255.
    pub priority: u8,
}

impl Stamp {
    /// A frame of which nothing is known.
    pub const NONE: Self = Self {
        launch_time_ns: 0,
        time_base: TimeBase::None,
        priority: 0,
    };
}

/// In front of a frame on its way across the veth, from the pod's tcx egress program to the host end's XDP program.
///
/// It begins with a copy of the frame's destination address, since the kernel decides by the first bytes whether the
/// frame is for this host before the XDP program has stripped the header.
///
/// A header is genuine if `secret` is the pod's. A frame that begins like a header ([`StampHeader::looks_like_one`])
/// with any other secret is a forgery. Everything else is an ordinary frame ([`Front`](crate::Front)). Numbers have the
/// machine's byte order.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StampHeader {
    /// Copy of the frame's destination address.
    pub destination: [u8; 6],
    /// [`TimeBase`] of the launch time.
    pub time_base: u8,
    /// `SO_PRIORITY`, capped at 255.
    pub priority: u8,
    /// Launch time in nanoseconds.
    pub launch_time_ns: u64,
    /// The pod's secret: 48 random bits under [`StampHeader::MARK`].
    pub secret: u64,
}

const _: () = assert!(size_of::<StampHeader>() == 24 && align_of::<StampHeader>() == 8);

impl StampHeader {
    /// The upper 16 bits of every secret.
    pub const MARK: u16 = 0x7473;

    /// The secret made of 48 random bits.
    pub const fn secret(random: u64) -> u64 {
        ((Self::MARK as u64) << 48) | (random & 0x0000_ffff_ffff_ffff)
    }

    /// The header that these bytes begin with, whatever they are.
    #[inline(always)]
    pub fn from_bytes<const N: usize>(bytes: &[u8; N]) -> Self {
        const { assert!(N >= STAMP_HEADER_BYTES) };
        let word = |at: usize| {
            u64::from_ne_bytes([
                bytes[at],
                bytes[at + 1],
                bytes[at + 2],
                bytes[at + 3],
                bytes[at + 4],
                bytes[at + 5],
                bytes[at + 6],
                bytes[at + 7],
            ])
        };
        Self {
            destination: [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]],
            time_base: bytes[6],
            priority: bytes[7],
            launch_time_ns: word(8),
            secret: word(16),
        }
    }

    /// The header as it is on its way.
    pub fn to_bytes(&self) -> [u8; STAMP_HEADER_BYTES] {
        let mut bytes = [0; STAMP_HEADER_BYTES];
        bytes[..6].copy_from_slice(&self.destination);
        bytes[6] = self.time_base;
        bytes[7] = self.priority;
        bytes[8..16].copy_from_slice(&self.launch_time_ns.to_ne_bytes());
        bytes[16..].copy_from_slice(&self.secret.to_ne_bytes());
        bytes
    }

    /// Whether this is a header, whoever wrote it: the mark is there, and the frame after it begins with the same
    /// destination. By chance an ordinary frame does so once in 2⁶⁴ frames.
    #[inline(always)]
    pub fn looks_like_one(&self, destination_after: &[u8; 6]) -> bool {
        self.secret >> 48 == Self::MARK as u64 && self.destination == *destination_after
    }
}

/// XDP metadata directly before a redirected frame.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Launch time in nanoseconds.
    pub launch_time_ns: u64,
    /// [`Metadata::MAGIC`], so that a stale chunk is never taken for a record.
    pub magic: u32,
    /// [`TimeBase`] of the launch time.
    pub time_base: u8,
    /// `SO_PRIORITY`, capped at 255.
    pub priority: u8,
    /// Number of the next hop that an overlay pod's frame leaves by; 0 without one.
    pub next_hop: u16,
}

const _: () = assert!(size_of::<Metadata>() == METADATA_BYTES);

impl Metadata {
    /// Marks a record of this version.
    pub const MAGIC: u32 = 0x7473_6e02;

    /// Takes the record out of these bytes; `None` if they are none. Its mark is cleared, since the next frame in the same
    /// place may come without a record.
    #[inline]
    pub fn take(bytes: &mut [u8; METADATA_BYTES]) -> Option<Self> {
        let record = Self {
            launch_time_ns: u64::from_ne_bytes([
                bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
            ]),
            magic: u32::from_ne_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
            time_base: bytes[12],
            priority: bytes[13],
            next_hop: u16::from_ne_bytes([bytes[14], bytes[15]]),
        };
        bytes[8..12].fill(0);
        (record.magic == Self::MAGIC).then_some(record)
    }

    /// What the sender's socket asked for.
    pub fn stamp(&self) -> Stamp {
        Stamp {
            launch_time_ns: self.launch_time_ns,
            time_base: TimeBase::from_u8(self.time_base),
            priority: self.priority,
        }
    }
}

/// What the kernel programs must know of a pod: the value of the pod map.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PodPolicy {
    /// Shared by the pod's stamp and redirect program; random, never shown.
    pub secret: u64,
    /// Which of the workers' [`Beat`]s the redirect program watches.
    pub worker: u32,
    /// How many of `rules` are in use.
    pub rule_count: u32,
    /// Ethernet address that the pod sends to what is to be routed, with [`overlay`](Self::overlay).
    pub router: [u8; 6],
    /// The pod's own Ethernet address.
    pub address: [u8; 6],
    /// MTU of the pod's interface.
    pub mtu_bytes: u16,
    /// 1: its frames are routed; 0: they leave as they are.
    pub overlay: u8,
    /// Zero.
    pub reserved: u8,
    /// First match wins.
    pub rules: [Rule; MAX_RULES],
}

const _: () = assert!(size_of::<PodPolicy>() == 32 + MAX_RULES * size_of::<Rule>());

/// Where the packets of overlay pods for a destination go: the value of the route map.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteEntry {
    /// Number of the next hop; 0: the kernel's path.
    pub next_hop: u16,
    /// Longest IP packet.
    pub mtu_bytes: u16,
}

const _: () = assert!(size_of::<RouteEntry>() == 4);

/// A worker's sign of life: the value of the mmap-able heartbeat map.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// `CLOCK_MONOTONIC` nanoseconds of the last sign.
    pub at_ns: u64,
    /// How old a sign may be; 0 diverts everything to the kernel path.
    pub timeout_ns: u64,
}

const _: () = assert!(size_of::<Beat>() == 16);

/// What the kernel programs count for each pod (index into the per-CPU counter map: pod × `COUNT` + counter).
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodCounter {
    /// Frames that the stamp program stamped.
    Stamped = 0,
    /// Frames redirected to the daemon.
    Redirected = 1,
    /// Time-sensitive frames that took the kernel path because the daemon's heartbeat was too old.
    FallbackHeartbeat = 2,
    /// Time-sensitive frames that took the kernel path because no daemon's socket was there, or not for their queue.
    FallbackNoSocket = 3,
    /// Frames dropped because they began with a stamp that did not hold the pod's secret.
    ForgedStamp = 4,
    /// Time-sensitive frames for a pod of this node, left to the kernel path.
    Local = 5,
    /// Frames from the uplink that went straight to the pod.
    Delivered = 6,
    /// Time-sensitive frames of an overlay pod that took the kernel path because no next hop is known for them, or because
    /// they need more than a next hop.
    FallbackNoRoute = 7,
    /// Time-sensitive frames of an overlay pod that took the kernel path because their packet is longer than their route
    /// takes.
    FallbackOversize = 8,
}

impl PodCounter {
    /// How many counters a pod has.
    pub const COUNT: u32 = 9;
}

#[cfg(feature = "user")]
mod user {
    // SAFETY: it is `repr(C)`, `Copy`, without padding or pointers (layout asserted above), so any bit pattern is a
    // value.
    unsafe impl aya::Pod for super::PodPolicy {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Beat {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::RouteEntry {}
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::TunnelKey {}
}
