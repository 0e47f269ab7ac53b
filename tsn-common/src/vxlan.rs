//! What a VXLAN frame is known by (RFC 7348).

use crate::classify::{
    ETHERNET_HEADER_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN, Load, PROTOCOL_UDP,
    VLAN_TAG_BYTES,
};
use crate::packet::{IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, is_whole, mapped};

/// UDP and VXLAN header.
const TRANSPORT_BYTES: usize = 8 + 8;
/// The flags of a header with a network identifier and without any extension.
const VNI_IS_VALID: [u8; 4] = [0x08, 0, 0, 0];
const ECN_MASK: u8 = 0b11;
const CONGESTION_EXPERIENCED: u8 = 0b11;

/// A tunnel that ends at this node: what its frames have in common. The key of the tunnel map.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TunnelKey {
    /// Where its packets are sent to; IPv4 as an IPv4-mapped address.
    pub local: [u8; 16],
    /// VXLAN network identifier.
    pub vni: u32,
    /// UDP destination port.
    pub port: u16,
    /// VLAN; 0 without a tag.
    pub vlan_id: u16,
}

const _: () = assert!(size_of::<TunnelKey>() == 24);

/// A frame in a tunnel.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vxlan {
    /// The tunnel, if there is such a one.
    pub tunnel: TunnelKey,
    /// Bytes in front of the frame inside.
    pub outer_bytes: u32,
    /// Bytes of the frame inside, as the UDP header says.
    pub inner_bytes: u32,
}

/// Reads the headers of a tunnel in front of a frame, after at most one VLAN tag.
///
/// `None` for every frame that they are not in, and for those that the kernel has more to do with: fragments, options,
/// extensions of VXLAN, a mark of congestion (RFC 6040), a wrong IPv4 checksum. A UDP checksum is not looked at: what is
/// inside has its own.
#[inline(always)]
pub fn parse_vxlan<L: Load + ?Sized>(frame: &L) -> Option<Vxlan> {
    let mut tunnel = TunnelKey::default();
    let mut ethertype = u16::from_be_bytes(frame.load::<2>(12)?);
    let mut network = ETHERNET_HEADER_BYTES;
    if ethertype == ETHERTYPE_VLAN {
        let tag = frame.load::<VLAN_TAG_BYTES>(network)?;
        tunnel.vlan_id = u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff;
        ethertype = u16::from_be_bytes([tag[2], tag[3]]);
        network += VLAN_TAG_BYTES;
    }
    let transport;
    let datagram_bytes;
    if ethertype == ETHERTYPE_IPV4 {
        let header = frame.load::<IPV4_HEADER_BYTES>(network)?;
        tunnel.local = mapped([header[16], header[17], header[18], header[19]]);
        datagram_bytes = ipv4_datagram_bytes(&header)?;
        transport = network + IPV4_HEADER_BYTES;
    } else if ethertype == ETHERTYPE_IPV6 {
        let header = frame.load::<IPV6_HEADER_BYTES>(network)?;
        tunnel.local.copy_from_slice(&header[24..]);
        datagram_bytes = ipv6_datagram_bytes(&header)?;
        transport = network + IPV6_HEADER_BYTES;
    } else {
        return None;
    }
    let header = frame.load::<TRANSPORT_BYTES>(transport)?;
    if u16::from_be_bytes([header[4], header[5]]) != datagram_bytes
        || header[8..12] != VNI_IS_VALID
        || header[15] != 0
    {
        return None;
    }
    tunnel.port = u16::from_be_bytes([header[2], header[3]]);
    tunnel.vni = u32::from_be_bytes([0, header[12], header[13], header[14]]);
    Some(Vxlan {
        tunnel,
        outer_bytes: (transport + TRANSPORT_BYTES) as u32,
        inner_bytes: u32::from(datagram_bytes).checked_sub(TRANSPORT_BYTES as u32)?,
    })
}

/// Length of the UDP datagram in a packet that is to be unpacked here.
#[inline(always)]
fn ipv4_datagram_bytes(header: &[u8; IPV4_HEADER_BYTES]) -> Option<u16> {
    let whole = header[0] == 0x45
        && header[9] == PROTOCOL_UDP
        && header[6] & 0x3f == 0
        && header[7] == 0
        && header[1] & ECN_MASK != CONGESTION_EXPERIENCED
        && is_whole(header);
    let length = u16::from_be_bytes([header[2], header[3]]);
    length
        .checked_sub(IPV4_HEADER_BYTES as u16)
        .filter(|_| whole)
}

/// The same of IPv6.
#[inline(always)]
fn ipv6_datagram_bytes(header: &[u8; IPV6_HEADER_BYTES]) -> Option<u16> {
    let whole = header[0] >> 4 == 6
        && header[6] == PROTOCOL_UDP
        && (header[1] >> 4) & ECN_MASK != CONGESTION_EXPERIENCED;
    whole.then(|| u16::from_be_bytes([header[4], header[5]]))
}
