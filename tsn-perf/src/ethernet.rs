//! Ethernet frames: building the talker's raw ones, finding the talker's payload in captured ones.

use crate::units::MacAddress;

/// Size of an Ethernet header in bytes, without a tag.
pub const HEADER_BYTES: usize = 14;
/// Size of an IEEE 802.1Q tag in bytes.
pub const TAG_BYTES: usize = 4;
/// Size of an IPv4 header in bytes, without options.
pub const IPV4_BYTES: usize = 20;
/// Size of an IPv6 header in bytes.
pub const IPV6_BYTES: usize = 40;
/// Size of a UDP header in bytes.
pub const UDP_BYTES: usize = 8;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const C_TAG: u16 = 0x8100;
const S_TAG: u16 = 0x88a8;
const PROTOCOL_UDP: u8 = 17;
/// VXLAN's port, as assigned (RFC 7348) and as Linux and Flannel use it.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
const VXLAN_BYTES: usize = 8;

/// An IEEE 802.1Q tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VlanTag {
    /// VLAN identifier, 0 to 4095. 0 is a priority tag.
    pub id: u16,
    /// Priority code point, 0 to 7.
    pub pcp: u8,
}

impl VlanTag {
    /// Reads a tag control information field.
    pub fn from_tci(tci: u16) -> Self {
        Self {
            id: tci & 0xfff,
            pcp: (tci >> 13) as u8,
        }
    }

    /// The tag control information, not drop eligible.
    pub fn tci(self) -> u16 {
        u16::from(self.pcp) << 13 | (self.id & 0xfff)
    }
}

/// The header of a raw frame, tag inline.
pub fn header(
    destination: MacAddress,
    source: MacAddress,
    tag: Option<VlanTag>,
    ethertype: u16,
) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES + TAG_BYTES);
    header.extend_from_slice(&destination.0);
    header.extend_from_slice(&source.0);
    if let Some(tag) = tag {
        header.extend_from_slice(&C_TAG.to_be_bytes());
        header.extend_from_slice(&tag.tci().to_be_bytes());
    }
    header.extend_from_slice(&ethertype.to_be_bytes());
    header
}

/// Where the talker's payload lies in a captured frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// What was captured of it; may be less than it is long.
    pub bytes: &'a [u8],
    /// How long it is.
    pub length: usize,
    /// The frame's EtherType behind its outer tag.
    pub ethertype: u16,
    /// The frame's outer tag, if it stands inline.
    pub tag: Option<VlanTag>,
}

/// Finds the payload of a frame: that of UDP in IPv4 or IPv6, also inside VXLAN, or, for any other
/// EtherType, all that follows the Ethernet header.
///
/// `captured` is the frame's start, `length` its whole size. `None` for other protocols in IP, for
/// fragments, and for what was captured too short.
pub fn payload(captured: &[u8], length: usize) -> Option<Payload<'_>> {
    let (mut rest, mut ethertype, mut tag) =
        (captured.get(HEADER_BYTES..)?, be16(captured, 12)?, None);
    while ethertype == C_TAG || ethertype == S_TAG {
        tag = tag.or(Some(VlanTag::from_tci(be16(rest, 0)?)));
        ethertype = be16(rest, 2)?;
        rest = rest.get(TAG_BYTES..)?;
    }
    let udp = match ethertype {
        IPV4 => {
            let header_bytes = usize::from(rest.first()? & 0xf) * 4;
            let is_fragment = be16(rest, 6)? & 0x3fff != 0;
            if *rest.get(9)? != PROTOCOL_UDP || is_fragment {
                return None;
            }
            rest.get(header_bytes..)?
        }
        IPV6 if *rest.get(6)? == PROTOCOL_UDP => rest.get(IPV6_BYTES..)?,
        IPV6 => return None,
        _ => {
            let length = length.checked_sub(captured.len() - rest.len())?;
            return Some(Payload {
                bytes: rest,
                length,
                ethertype,
                tag,
            });
        }
    };
    let inner = udp.get(UDP_BYTES..)?;
    let inner_length = usize::from(be16(udp, 4)?).checked_sub(UDP_BYTES)?;
    if VXLAN_PORTS.contains(&be16(udp, 2)?)
        && let Some(frame) = inner.get(VXLAN_BYTES..)
        && let Some(found) = payload(frame, inner_length.saturating_sub(VXLAN_BYTES))
    {
        return Some(Payload {
            ethertype,
            tag,
            ..found
        });
    }
    Some(Payload {
        bytes: inner,
        length: inner_length,
        ethertype,
        tag,
    })
}

fn be16(bytes: &[u8], offset: usize) -> Option<u16> {
    let two = bytes.get(offset..offset + 2)?;
    Some(u16::from_be_bytes([two[0], two[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xa]);
    const B: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xb]);

    fn udp(destination_port: u16, payload: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0x12, 0x34];
        datagram.extend(destination_port.to_be_bytes());
        datagram.extend((payload.len() as u16 + 8).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        datagram
    }

    fn ipv4(protocol: u8, fragment: u16, inner: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; IPV4_BYTES];
        packet[0] = 0x45;
        packet[6..8].copy_from_slice(&fragment.to_be_bytes());
        packet[9] = protocol;
        packet.extend(inner);
        packet
    }

    fn frame(tag: Option<VlanTag>, ethertype: u16, inner: &[u8]) -> Vec<u8> {
        [header(A, B, tag, ethertype), inner.to_vec()].concat()
    }

    #[test]
    fn a_raw_payload_is_all_behind_the_tag() {
        let tag = VlanTag { id: 100, pcp: 5 };
        let frame = frame(Some(tag), 0x88b5, b"payload");
        let found = payload(&frame, 1000).unwrap();
        assert_eq!(found.bytes, b"payload");
        assert_eq!(
            (found.length, found.ethertype, found.tag),
            (1000 - 18, 0x88b5, Some(tag))
        );
    }

    #[test]
    fn a_udp_payload_is_as_long_as_udp_says() {
        let mut frame = frame(
            None,
            IPV4,
            &ipv4(PROTOCOL_UDP, 0x4000, &udp(5000, b"payload")),
        );
        frame.extend([0; 11]);
        let found = payload(&frame, frame.len()).unwrap();
        assert_eq!(
            (&found.bytes[..7], found.length, found.tag),
            (&b"payload"[..], 7, None)
        );
    }

    #[test]
    fn vxlan_is_looked_into() {
        let inner = frame(None, IPV4, &ipv4(PROTOCOL_UDP, 0, &udp(5000, b"payload")));
        let vxlan = [vec![8, 0, 0, 0, 0, 0, 1, 0], inner].concat();
        let tag = VlanTag { id: 0, pcp: 7 };
        let outer = frame(Some(tag), IPV4, &ipv4(PROTOCOL_UDP, 0, &udp(8472, &vxlan)));
        let found = payload(&outer, outer.len()).unwrap();
        assert_eq!((found.bytes, found.tag), (&b"payload"[..], Some(tag)));
    }

    #[test]
    fn fragments_and_other_protocols_have_none() {
        let datagram = udp(5000, b"payload");
        for packet in [ipv4(PROTOCOL_UDP, 0x2000, &datagram), ipv4(1, 0, &datagram)] {
            assert_eq!(payload(&frame(None, IPV4, &packet), 100), None);
        }
    }

    #[test]
    fn a_frame_cut_anywhere_is_no_panic() {
        let inner = frame(None, IPV4, &ipv4(PROTOCOL_UDP, 0, &udp(5000, b"payload")));
        let vxlan = [vec![8, 0, 0, 0, 0, 0, 1, 0], inner].concat();
        let outer = frame(None, IPV4, &ipv4(PROTOCOL_UDP, 0, &udp(4789, &vxlan)));
        for length in 0..outer.len() {
            if let Some(found) = payload(&outer[..length], length) {
                assert!(found.bytes.len() <= length);
            }
        }
    }
}
