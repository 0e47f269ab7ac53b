//! Overlay mode, byte for byte: what leaves through the daemon is what the kernel would have sent, and what it delivers is
//! what the kernel would have delivered. Underlays with a VLAN are tested in virtual machines, whose kernels have them.

mod common;

use common::overlay_frames::{same_bytes, same_delivery};
use tsn_tests::overlay::Kind;

#[test]
fn a_tunnels_frames_have_the_kernels_bytes() {
    same_bytes(Kind::Vxlan);
}

#[test]
fn frames_of_tunnels_of_the_other_family_have_the_kernels_bytes() {
    same_bytes(Kind::VxlanCrossed);
}

#[test]
fn a_tunnels_frames_to_a_router_have_the_kernels_bytes() {
    same_bytes(Kind::VxlanThroughRouter);
}

#[test]
fn a_tunnels_frames_without_checksum_have_the_kernels_bytes() {
    same_bytes(Kind::VxlanZeroChecksum);
}

#[test]
fn routed_frames_have_the_kernels_bytes() {
    same_bytes(Kind::HostGateway);
}

#[test]
fn what_a_tunnel_delivers_has_the_kernels_bytes() {
    same_delivery(Kind::Vxlan);
}

#[test]
fn what_tunnels_of_the_other_family_deliver_has_the_kernels_bytes() {
    same_delivery(Kind::VxlanCrossed);
}

#[test]
fn what_arrives_routed_is_delivered_with_the_kernels_bytes() {
    same_delivery(Kind::HostGateway);
}
