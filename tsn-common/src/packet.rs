//! What a router looks at in an IP packet.

use crate::classify::{ETHERNET_HEADER_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Load};

pub(crate) const IPV4_HEADER_BYTES: usize = 20;
pub(crate) const IPV6_HEADER_BYTES: usize = 40;
/// IPv4 and a header of 20 bytes, which has no options.
const IPV4_WITHOUT_OPTIONS: u8 = 0x45;
/// More fragments, or an offset.
const IPV4_FRAGMENT: u16 = 0x3fff;
const PROTOCOL_HOP_BY_HOP: u8 = 0;
const PROTOCOL_FRAGMENT: u8 = 44;

/// An IP packet that is routed by its destination alone.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Source, as `destination`.
    pub source: [u8; 16],
    /// Destination; IPv4 as an IPv4-mapped address (RFC 4291, section 2.5.5.2).
    pub destination: [u8; 16],
    /// Header and payload in bytes, as the header says.
    pub length_bytes: u32,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// The IP protocol, or the first IPv6 header after the fixed one.
    pub protocol: u8,
    /// Whether it is IPv6, otherwise IPv4.
    pub is_ipv6: bool,
    /// Whether it is a part of a packet.
    pub is_fragment: bool,
}

/// Reads the packet in a frame without VLAN tag that begins with its Ethernet header at `start`.
///
/// `None` for what is no IP packet, or one that a router has more to do with: options that routers look at, or an address
/// that is not to be routed.
#[inline(always)]
pub fn parse_packet<L: Load + ?Sized>(frame: &L, start: usize) -> Option<Packet> {
    let network = start + ETHERNET_HEADER_BYTES;
    match u16::from_be_bytes(frame.load::<2>(start + 12)?) {
        ETHERTYPE_IPV4 => parse_ipv4(&frame.load::<IPV4_HEADER_BYTES>(network)?),
        ETHERTYPE_IPV6 => parse_ipv6(&frame.load::<IPV6_HEADER_BYTES>(network)?),
        _ => None,
    }
}

#[inline(always)]
fn parse_ipv4(header: &[u8; IPV4_HEADER_BYTES]) -> Option<Packet> {
    let length = u16::from_be_bytes([header[2], header[3]]);
    let routed = header[0] == IPV4_WITHOUT_OPTIONS
        && usize::from(length) >= IPV4_HEADER_BYTES
        && is_routed_ipv4(header[12])
        && is_routed_ipv4(header[16]);
    routed.then(|| Packet {
        source: mapped([header[12], header[13], header[14], header[15]]),
        destination: mapped([header[16], header[17], header[18], header[19]]),
        length_bytes: u32::from(length),
        hop_limit: header[8],
        protocol: header[9],
        is_ipv6: false,
        is_fragment: u16::from_be_bytes([header[6], header[7]]) & IPV4_FRAGMENT != 0,
    })
}

#[inline(always)]
fn parse_ipv6(header: &[u8; IPV6_HEADER_BYTES]) -> Option<Packet> {
    let routed = header[0] >> 4 == 6
        && header[6] != PROTOCOL_HOP_BY_HOP
        && is_routed_ipv6(header[8], header[9])
        && is_routed_ipv6(header[24], header[25]);
    let mut source = [0; 16];
    source.copy_from_slice(&header[8..24]);
    let mut destination = [0; 16];
    destination.copy_from_slice(&header[24..]);
    routed.then(|| Packet {
        source,
        destination,
        length_bytes: IPV6_HEADER_BYTES as u32
            + u32::from(u16::from_be_bytes([header[4], header[5]])),
        hop_limit: header[7],
        protocol: header[6],
        is_ipv6: true,
        is_fragment: header[6] == PROTOCOL_FRAGMENT,
    })
}

/// By its first byte: neither "this network" nor loopback, multicast, reserved or broadcast.
#[inline(always)]
fn is_routed_ipv4(first: u8) -> bool {
    first != 0 && first != 127 && first < 224
}

/// By its first two bytes: neither unspecified, loopback or IPv4-mapped, nor link-local or multicast.
#[inline(always)]
fn is_routed_ipv6(first: u8, second: u8) -> bool {
    first != 0 && first != 0xff && (first != 0xfe || second & 0xc0 != 0x80)
}

/// An IPv4 address as an IPv4-mapped IPv6 address.
#[inline(always)]
pub fn mapped(ipv4: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = ipv4;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// The checksum of an IPv4 header whose TTL has been lowered by one, as the kernel computes it from the old one
/// (RFC 1624).
#[inline(always)]
pub fn checksum_after_hop(checksum: u16) -> u16 {
    let sum = u32::from(checksum) + 0x0100;
    (sum + u32::from(sum >= 0xffff)) as u16
}

/// Whether an IPv4 header's checksum is right.
#[inline(always)]
pub(crate) fn is_whole(header: &[u8; IPV4_HEADER_BYTES]) -> bool {
    let mut sum = 0;
    let mut at = 0;
    while at < IPV4_HEADER_BYTES {
        sum += u32::from(u16::from_be_bytes([header[at], header[at + 1]]));
        at += 2;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum == 0xffff
}
