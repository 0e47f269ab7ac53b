//! Completes the UDP or TCP checksum that a pod left to its "device".
//!
//! A veth end offers checksum offload, so the pod's kernel writes only the sum of the pseudo-header into the checksum
//! field (`CHECKSUM_PARTIAL`) and the far end would drop the frame. Nothing in the frame says so, and a pod can switch
//! its offload at any time. But the field then equals a sum that can be computed from the headers alone, and that is
//! how such a frame is recognised. Where a finished checksum equals it by chance, computing it anew gives the same
//! value again.
//!
//! IPv4 and IPv6 after up to two VLAN tags. Left alone: fragments (the kernel completes those itself), IPv6 with
//! extension headers (likewise for UDP), and everything malformed.

use std::ops::Range;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;
const ETHERTYPE_OFFSET: usize = 12;
const VLAN_TAG_BYTES: usize = 4;
const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
/// Any but "do not fragment": more fragments, or an offset.
const IPV4_FRAGMENT_MASK: u16 = 0x3fff;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A checksum that is still to be completed, and where a device that does it finds what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Bytes before the IP header.
    pub link_header_bytes: usize,
    /// Bytes of the IP header.
    pub network_header_bytes: usize,
    /// IPv6, otherwise IPv4.
    pub is_ipv6: bool,
    /// TCP, otherwise UDP.
    pub is_tcp: bool,
}

/// Whether a frame carries only the pseudo-header's sum, for a device that can complete it.
pub fn unfinished(frame: &[u8]) -> Option<Unfinished> {
    let found = find_unfinished(frame)?;
    Some(Unfinished {
        link_header_bytes: found.network,
        network_header_bytes: found.transport.start - found.network,
        is_ipv6: found.is_ipv6,
        is_tcp: found.is_tcp,
    })
}

/// Completes the checksum of a frame that carries only the pseudo-header's sum; whether it was such a frame.
pub fn complete(frame: &mut [u8]) -> bool {
    let Some(found) = find_unfinished(frame) else {
        return false;
    };
    frame[found.field.clone()].fill(0);
    let payload = sum(&frame[found.transport]);
    let sum = fold(u64::from(found.pseudo_header) + u64::from(payload));
    // A UDP checksum of 0 means "none"; the other zero of ones' complement says the same number (RFC 768). In TCP both
    // are the same to a receiver.
    let checksum = if sum == 0xffff { 0xffff } else { !sum };
    frame[found.field].copy_from_slice(&checksum.to_be_bytes());
    true
}

fn find_unfinished(frame: &[u8]) -> Option<Transport> {
    find(frame).filter(|found| word(frame, found.field.start) == Some(found.pseudo_header))
}

/// Where a frame's transport checksum is and what it depends on.
struct Transport {
    /// Where the IP header begins.
    network: usize,
    is_ipv6: bool,
    is_tcp: bool,
    /// Header and payload, without the padding of a short Ethernet frame.
    transport: Range<usize>,
    /// The two bytes of the checksum.
    field: Range<usize>,
    /// Folded sum of the pseudo-header.
    pseudo_header: u16,
}

fn find(frame: &[u8]) -> Option<Transport> {
    let mut ethertype = word(frame, ETHERTYPE_OFFSET)?;
    let mut network = ETHERTYPE_OFFSET + 2;
    for _ in 0..2 {
        if ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_SERVICE_VLAN {
            ethertype = word(frame, network + 2)?;
            network += VLAN_TAG_BYTES;
        }
    }
    let packet = frame.get(network..)?;
    // Protocol, addresses, and where the transport header begins and the packet ends.
    let (protocol, addresses, header_bytes, packet_bytes) = match ethertype {
        ETHERTYPE_IPV4 => {
            let header = packet.get(..IPV4_HEADER_BYTES)?;
            if header[0] >> 4 != 4 || word(header, 6)? & IPV4_FRAGMENT_MASK != 0 {
                return None;
            }
            let header_bytes = usize::from(header[0] & 0x0f) * 4;
            if header_bytes < IPV4_HEADER_BYTES {
                return None;
            }
            (
                header[9],
                &header[12..20],
                header_bytes,
                usize::from(word(header, 2)?),
            )
        }
        ETHERTYPE_IPV6 => {
            let header = packet.get(..IPV6_HEADER_BYTES)?;
            if header[0] >> 4 != 6 {
                return None;
            }
            let packet_bytes = IPV6_HEADER_BYTES + usize::from(word(header, 4)?);
            (header[6], &header[8..40], IPV6_HEADER_BYTES, packet_bytes)
        }
        _ => return None,
    };
    let transport = packet.get(header_bytes..packet_bytes)?;
    let (shortest_bytes, field_offset) = match protocol {
        UDP => (8, 6),
        TCP => (20, 16),
        _ => return None,
    };
    if transport.len() < shortest_bytes {
        return None;
    }
    // A UDP datagram says its own length; one that differs from the packet's is none of the kernel's.
    if protocol == UDP && usize::from(word(transport, 4)?) != transport.len() {
        return None;
    }
    let pseudo_header =
        fold(u64::from(sum(addresses)) + u64::from(protocol) + transport.len() as u64);
    let start = network + header_bytes;
    Some(Transport {
        network,
        is_ipv6: ethertype == ETHERTYPE_IPV6,
        is_tcp: protocol == TCP,
        transport: start..start + transport.len(),
        field: start + field_offset..start + field_offset + 2,
        pseudo_header,
    })
}

fn word(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_be_bytes(
        bytes.get(offset..offset + 2)?.try_into().ok()?,
    ))
}

/// The folded ones' complement sum of big-endian 16-bit words; an odd last byte is the high one of a word.
///
/// Adds in the machine's own byte order, eight bytes at a time, and turns the bytes round at the end (RFC 1071).
pub fn sum(bytes: &[u8]) -> u16 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut total = 0u64;
    for chunk in chunks {
        let value = u64::from_ne_bytes(*chunk);
        // Two halves of 32 bits cannot overflow a u64 within 2^31 chunks.
        total += (value & 0xffff_ffff) + (value >> 32);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let value = u64::from_ne_bytes(last);
    total += (value & 0xffff_ffff) + (value >> 32);
    u16::from_be(fold(total))
}

/// Folds the carries into 16 bits. Gives 0 only for 0.
fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

#[cfg(test)]
#[path = "checksum_tests.rs"]
mod tests;
