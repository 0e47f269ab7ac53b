//! The IP packet in a frame: what forwarding changes in it, and what the headers around it depend on.

use std::hash::{DefaultHasher, Hasher};

use tsn_common::ETHERNET_HEADER_BYTES;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
/// Where an IPv4 header has its time to live, and its checksum.
const IPV4_TTL: usize = 8;
const IPV4_CHECKSUM: usize = 10;
/// Where an IPv6 header has its hop limit.
const IPV6_HOP_LIMIT: usize = 7;
/// "More fragments" and the offset.
const IPV4_FRAGMENT_MASK: u16 = 0x3fff;
const IPV4_DONT_FRAGMENT: u8 = 0x40;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// What is to be known of a packet that is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// IPv6, otherwise IPv4.
    pub is_ipv6: bool,
    /// As its header tells. The frame may be longer: what follows is padding.
    pub length_bytes: usize,
    /// DS field and ECN (IPv4's "type of service", IPv6's "traffic class").
    pub ds_field: u8,
    /// Time to live or hop limit as it was sent, at least 2.
    pub hop_limit: u8,
    /// Whether routers must not fragment it; never may they an IPv6 packet.
    pub dont_fragment: bool,
    /// Of addresses, protocol and, if it is no fragment, UDP or TCP ports: the same for all packets of a flow.
    pub flow_hash: u32,
}

impl Packet {
    /// The packet in an Ethernet frame without a VLAN tag; `None` if there is none, if it is not whole, or if it has made
    /// its last hop.
    pub fn in_frame(frame: &[u8]) -> Option<Self> {
        let (header, packet) = frame.split_at_checked(ETHERNET_HEADER_BYTES)?;
        let found = match header[12..].try_into().ok()? {
            ETHERTYPE_IPV4 => Self::ipv4(packet),
            ETHERTYPE_IPV6 => Self::ipv6(packet),
            _ => None,
        }?;
        (found.length_bytes <= packet.len() && found.hop_limit > 1).then_some(found)
    }

    fn ipv4(packet: &[u8]) -> Option<Self> {
        let header: &[u8; IPV4_HEADER_BYTES] = packet.first_chunk()?;
        let header_bytes = usize::from(header[0] & 0x0f) * 4;
        let length_bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] >> 4 != 4 || header_bytes < IPV4_HEADER_BYTES || length_bytes < header_bytes {
            return None;
        }
        let is_fragment = u16::from_be_bytes([header[6], header[7]]) & IPV4_FRAGMENT_MASK != 0;
        let protocol = header[9];
        let ports = ports(packet, header_bytes, protocol).filter(|_| !is_fragment);
        Some(Self {
            is_ipv6: false,
            length_bytes,
            ds_field: header[1],
            hop_limit: header[IPV4_TTL],
            dont_fragment: header[6] & IPV4_DONT_FRAGMENT != 0,
            flow_hash: flow_hash(&header[12..], protocol, ports),
        })
    }

    fn ipv6(packet: &[u8]) -> Option<Self> {
        let header: &[u8; IPV6_HEADER_BYTES] = packet.first_chunk()?;
        if header[0] >> 4 != 6 {
            return None;
        }
        let payload_bytes = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let protocol = header[6];
        Some(Self {
            is_ipv6: true,
            length_bytes: IPV6_HEADER_BYTES + payload_bytes,
            ds_field: header[0] << 4 | header[1] >> 4,
            hop_limit: header[IPV6_HOP_LIMIT],
            dont_fragment: true,
            flow_hash: flow_hash(
                &header[8..],
                protocol,
                ports(packet, IPV6_HEADER_BYTES, protocol),
            ),
        })
    }

    /// Takes one from the hop limit of this packet, which begins at `packet`.
    pub fn count_hop(&self, packet: &mut [u8]) {
        if self.is_ipv6 {
            packet[IPV6_HOP_LIMIT] = self.hop_limit - 1;
            return;
        }
        packet[IPV4_TTL] = self.hop_limit - 1;
        // One less in the high byte of a word is one more there in the complement of the sum (RFC 1624). Never 0xffff,
        // which a sum of something other than zeros is not.
        let field = &mut packet[IPV4_CHECKSUM..IPV4_CHECKSUM + 2];
        let sum = u32::from(u16::from_be_bytes([field[0], field[1]])) + 0x0100;
        let checksum = (sum + u32::from(sum >= 0xffff)) as u16;
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Source and destination port behind a header of so many bytes.
fn ports(packet: &[u8], header_bytes: usize, protocol: u8) -> Option<[u8; 4]> {
    let ports = packet.get(header_bytes..)?.first_chunk()?;
    matches!(protocol, TCP | UDP).then_some(*ports)
}

fn flow_hash(addresses: &[u8], protocol: u8, ports: Option<[u8; 4]>) -> u32 {
    let mut hasher = DefaultHasher::new();
    hasher.write(addresses);
    hasher.write_u8(protocol);
    if let Some(ports) = ports {
        hasher.write(&ports);
    }
    (hasher.finish() >> 32) as u32
}
