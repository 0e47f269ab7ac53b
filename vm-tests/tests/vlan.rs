//! Overlay mode over an underlay with a VLAN (802.1Q), byte for byte: what leaves through the daemon is what the kernel would
//! have sent, with the priority of the frame's class in the tag, and what it delivers is what the kernel would have delivered.

#[path = "../../tests/tests/common/mod.rs"]
mod common;

use common::overlay_frames::{same_bytes, same_delivery};
use tsn_tests::overlay::Kind;

#[test]
fn a_tunnels_frames_have_the_kernels_bytes_below_a_vlan_tag() {
    same_bytes(Kind::VxlanOverVlan);
}

#[test]
fn routed_frames_have_the_kernels_bytes_below_a_vlan_tag() {
    same_bytes(Kind::HostGatewayOverVlan);
}

#[test]
fn what_a_tunnel_delivers_below_a_vlan_tag_has_the_kernels_bytes() {
    same_delivery(Kind::VxlanOverVlan);
}
