#![no_std]
//! Records that the kernel programs and user space share, with their layout asserted at compile time, and the one
//! classification that both use.
//!
//! A frame's way through them: the pod's socket sets priority and launch time; the stamp program writes a
//! [`StampHeader`] in front of the frame; the redirect program checks and strips it and leaves a [`Metadata`] record
//! before the frame; user space takes it from there.

mod classify;
mod front;
mod packet;
mod records;
mod vxlan;

pub use classify::{
    ETHERNET_HEADER_BYTES, FrameKey, Load, Rule, RuleFields, VLAN_TAG_BYTES, first_match,
    matches_received, parse, parse_offloaded,
};
pub use front::{FRONT_BYTES, Front};
pub use packet::{Packet, checksum_after_hop, mapped, parse_packet};
pub use records::{
    Beat, LAYOUT, MAX_POD_IPS, MAX_PODS, MAX_ROUTES, MAX_RULES, MAX_TUNNELS, MAX_WORKERS,
    METADATA_BYTES, Metadata, PodCounter, PodPolicy, RouteEntry, STAMP_HEADER_BYTES, Stamp,
    StampHeader, TimeBase,
};
pub use vxlan::{TunnelKey, Vxlan, parse_vxlan};
