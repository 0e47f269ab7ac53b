//! The headers that bring a routed packet to its next hop: byte for byte those of Linux's `vxlan` driver, but for the
//! identification of IPv4 and the choice of the UDP source port.

use std::net::IpAddr;

use tsn_common::{ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES};
use tsn_port::{Frame, NextHopId, checksum};

use super::next_hop::{LinkAddresses, NextHop, Setting, Vxlan};
use super::packet::Packet;
use crate::config::Marking;

/// Destination and source of an Ethernet header.
const LINK_ADDRESSES_BYTES: usize = 12;
const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
const UDP_HEADER_BYTES: usize = 8;
const VXLAN_HEADER_BYTES: usize = 8;
const LONGEST_BYTES: usize = ETHERNET_HEADER_BYTES
    + VLAN_TAG_BYTES
    + IPV6_HEADER_BYTES
    + UDP_HEADER_BYTES
    + VXLAN_HEADER_BYTES
    + LINK_ADDRESSES_BYTES;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const DONT_FRAGMENT: u8 = 0x40;
/// The flag I: the network identifier is valid (RFC 7348, section 5).
const HAS_VNI: u8 = 0x08;
/// The bits of the DS field's octet that are ECN (RFC 3168).
const ECN_MASK: u8 = 3;
const ECN_CE: u8 = 3;
const ECN_ECT_0: u8 = 2;

/// All next hops, by the number that the kernel program gives with a frame.
#[derive(Debug, Default)]
pub struct NextHops(Vec<Option<Encapsulation>>);

impl NextHops {
    /// Of these; of two with the same number the last one counts. One with a tunnel between addresses of two families
    /// does not exist, and is left out. As much memory as the highest number needs.
    pub fn new(next_hops: impl IntoIterator<Item = (NextHopId, NextHop)>) -> Self {
        let mut table = Vec::new();
        for (id, next_hop) in next_hops {
            let index = usize::from(id.0.get());
            if table.len() <= index {
                table.resize(index + 1, None);
            }
            table[index] = Encapsulation::new(&next_hop);
        }
        Self(table)
    }

    /// The way to the one with this number.
    pub fn get(&self, id: NextHopId) -> Option<&Encapsulation> {
        self.0.get(usize::from(id.0.get()))?.as_ref()
    }
}

/// Why a frame cannot be brought to a next hop. It is unchanged then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncapsulationError {
    /// There is nothing to forward.
    #[error("the frame holds no whole IP packet that has a hop left")]
    NoPacket,
    /// The headers do not fit in front of the frame.
    #[error("the frame's buffer has no room for {0} bytes in front of the frame")]
    NoHeadroom(usize),
}

/// What brings frames to one next hop: headers prepared as far as they are the same for all packets.
#[derive(Debug, Clone)]
pub struct Encapsulation {
    /// All up to and with the addresses that take the place of those in the frame.
    headers: [u8; LONGEST_BYTES],
    length: usize,
    has_tag: bool,
    tunnel: Option<Tunnel>,
}

/// Which fields of the outer headers differ from packet to packet, and how.
#[derive(Debug, Clone, Copy)]
struct Tunnel {
    is_ipv6: bool,
    hop_limit: Setting<u8>,
    ds_field: Setting<u8>,
    dont_fragment: Setting<bool>,
    first_source_port: u16,
    /// How many there are.
    source_ports: u32,
    has_checksum: bool,
}

impl Encapsulation {
    /// The way to this next hop; `None` if the ends of its tunnel are addresses of two families.
    pub fn new(next_hop: &NextHop) -> Option<Self> {
        let mut headers = Vec::with_capacity(LONGEST_BYTES);
        put_addresses(&mut headers, next_hop.link);
        if let Some(vlan_id) = next_hop.vlan_id {
            headers.extend(ETHERTYPE_VLAN.to_be_bytes());
            headers.extend(vlan_id.to_be_bytes());
        }
        let tunnel = match &next_hop.tunnel {
            Some(vxlan) => Some(put_tunnel(&mut headers, vxlan)?),
            None => None,
        };
        let mut fixed = [0; LONGEST_BYTES];
        fixed[..headers.len()].copy_from_slice(&headers);
        Some(Self {
            headers: fixed,
            length: headers.len(),
            has_tag: next_hop.vlan_id.is_some(),
            tunnel,
        })
    }

    /// Forwards the packet in a frame as the kernel would: one hop less, the next hop's addresses, and the headers of the
    /// tunnel. The frame must have no VLAN tag, and [`Frame::complete`] called. `identification` is IPv4's. How many bytes
    /// are then in front of the frame's service data unit.
    ///
    /// # Errors
    ///
    /// See [`EncapsulationError`].
    pub fn apply(
        &self,
        frame: &mut impl Frame,
        marking: Marking,
        identification: u16,
    ) -> Result<u32, EncapsulationError> {
        let packet = Packet::in_frame(frame.bytes()).ok_or(EncapsulationError::NoPacket)?;
        let more_bytes = self.length - LINK_ADDRESSES_BYTES;
        if !frame.prepend(more_bytes) {
            return Err(EncapsulationError::NoHeadroom(more_bytes));
        }
        let bytes = frame.bytes_mut();
        packet.count_hop(&mut bytes[more_bytes + ETHERNET_HEADER_BYTES..]);
        bytes[..self.length].copy_from_slice(&self.headers[..self.length]);
        let mut header_bytes = ETHERNET_HEADER_BYTES;
        if self.has_tag {
            bytes[ETHERNET_HEADER_BYTES] |= marking.pcp << 5;
            header_bytes += VLAN_TAG_BYTES;
        }
        if let Some(tunnel) = &self.tunnel {
            let end = more_bytes + ETHERNET_HEADER_BYTES + packet.length_bytes;
            tunnel.fill_in(
                &mut bytes[header_bytes..end],
                &packet,
                marking,
                identification,
            );
        }
        Ok(header_bytes as u32)
    }
}

impl Tunnel {
    /// Completes the headers of an outer packet, which begins with its IP header.
    fn fill_in(&self, outer: &mut [u8], inner: &Packet, marking: Marking, identification: u16) {
        let ds_field = marking
            .dscp
            .map_or_else(|| self.ds_field.of(inner.ds_field), |dscp| dscp << 2);
        // The full functionality of RFC 3168, 9.1.1, as in the kernel: congestion before the tunnel is none inside it.
        let ecn = match inner.ds_field & ECN_MASK {
            ECN_CE => ECN_ECT_0,
            ecn => ecn,
        };
        let ds_field = ds_field & !ECN_MASK | ecn;
        let hop_limit = self.hop_limit.of(inner.hop_limit - 1);
        let udp = if self.is_ipv6 {
            let payload_bytes = (outer.len() - IPV6_HEADER_BYTES) as u16;
            outer[0] |= ds_field >> 4;
            outer[1] |= ds_field << 4;
            outer[4..6].copy_from_slice(&payload_bytes.to_be_bytes());
            outer[7] = hop_limit;
            IPV6_HEADER_BYTES
        } else {
            let length_bytes = outer.len() as u16;
            outer[1] = ds_field;
            outer[2..4].copy_from_slice(&length_bytes.to_be_bytes());
            outer[4..6].copy_from_slice(&identification.to_be_bytes());
            if self.dont_fragment.of(inner.dont_fragment) {
                outer[6] = DONT_FRAGMENT;
            }
            outer[8] = hop_limit;
            let header_checksum = !checksum::sum(&outer[..IPV4_HEADER_BYTES]);
            outer[10..12].copy_from_slice(&header_checksum.to_be_bytes());
            IPV4_HEADER_BYTES
        };
        let datagram_bytes = (outer.len() - udp) as u16;
        let chosen = (u64::from(inner.flow_hash) * u64::from(self.source_ports)) >> 32;
        let source_port = self.first_source_port + chosen as u16;
        outer[udp..udp + 2].copy_from_slice(&source_port.to_be_bytes());
        outer[udp + 4..udp + 6].copy_from_slice(&datagram_bytes.to_be_bytes());
        if self.has_checksum {
            let addresses = if self.is_ipv6 { 8 } else { 12 };
            // The addresses are the last of the IP header, so they are summed with the datagram; the pseudo-header has the
            // protocol and the length besides.
            let sum = u32::from(checksum::sum(&outer[addresses..]))
                + u32::from(UDP)
                + u32::from(datagram_bytes);
            let field = udp_checksum(sum);
            outer[udp + 6..udp + 8].copy_from_slice(&field.to_be_bytes());
        }
    }
}

/// The field of a sum that is not folded. 0 would mean that there is none (RFC 768).
fn udp_checksum(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    match !((once & 0xffff) + (once >> 16)) as u16 {
        0 => 0xffff,
        checksum => checksum,
    }
}

fn put_addresses(headers: &mut Vec<u8>, link: LinkAddresses) {
    headers.extend(link.destination.0);
    headers.extend(link.source.0);
}

/// Puts the headers of a tunnel behind those of the link, with 0 where packets differ.
fn put_tunnel(headers: &mut Vec<u8>, vxlan: &Vxlan) -> Option<Tunnel> {
    let is_ipv6 = match (vxlan.local, vxlan.remote) {
        (IpAddr::V4(local), IpAddr::V4(remote)) => {
            headers.extend(ETHERTYPE_IPV4.to_be_bytes());
            headers.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 0, UDP, 0, 0]);
            headers.extend(local.octets());
            headers.extend(remote.octets());
            false
        }
        (IpAddr::V6(local), IpAddr::V6(remote)) => {
            headers.extend(ETHERTYPE_IPV6.to_be_bytes());
            headers.extend((6 << 28 | vxlan.flow_label & 0xf_ffff).to_be_bytes());
            headers.extend([0, 0, UDP, 0]);
            headers.extend(local.octets());
            headers.extend(remote.octets());
            true
        }
        _ => return None,
    };
    headers.extend([0, 0]);
    headers.extend(vxlan.destination_port.to_be_bytes());
    headers.extend([0; 4]);
    headers.extend([HAS_VNI, 0, 0, 0]);
    headers.extend((vxlan.vni << 8).to_be_bytes());
    put_addresses(headers, vxlan.inner);
    Some(Tunnel {
        is_ipv6,
        hop_limit: vxlan.hop_limit,
        ds_field: vxlan.ds_field,
        dont_fragment: vxlan.dont_fragment,
        first_source_port: *vxlan.source_ports.start(),
        source_ports: (u32::from(*vxlan.source_ports.end()) + 1)
            .saturating_sub(u32::from(*vxlan.source_ports.start())),
        has_checksum: vxlan.has_checksum,
    })
}
