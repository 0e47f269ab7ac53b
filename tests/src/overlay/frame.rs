//! Frames on the wire between two nodes, with and without a tunnel around them.

use anyhow::{Context, Result, bail, ensure};

use crate::capture::CapturedFrame;

const ETHERNET_BYTES: usize = 14;
const ETHERTYPE_VLAN: u16 = 0x8100;
/// Behind the addresses.
const TAG_AT: usize = 12;
const TAG_BYTES: usize = 4;
const UDP_BYTES: usize = 8;
const VXLAN_BYTES: usize = 8;
const VXLAN_PORT: u16 = 8472;
const UDP: u8 = 17;

/// The outer headers of a VXLAN frame and what they carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnelled {
    /// Outer IPv4 header or IPv6.
    pub is_ipv4: bool,
    /// Outer DS field with its two bits of ECN, formerly TOS or traffic class.
    pub ds_field: u8,
    /// Outer TTL or hop limit.
    pub hop_limit: u8,
    /// Outer UDP source port.
    pub source_port: u16,
    /// Outer UDP checksum.
    pub udp_checksum: u16,
    /// The frame inside.
    pub inner: CapturedFrame,
}

impl Tunnelled {
    /// Looks into a frame of Flannel's tunnel; `None` if it is another.
    pub fn of(frame: &CapturedFrame) -> Option<Self> {
        let bytes = &frame.bytes;
        let headers = Headers::of(bytes)?;
        let udp = headers.udp_at;
        if headers.protocol != UDP || word(bytes, udp + 2)? != VXLAN_PORT {
            return None;
        }
        let (ds_field, hop_limit) = if headers.is_ipv4 {
            (*bytes.get(15)?, *bytes.get(22)?)
        } else {
            ((word(bytes, 14)? >> 4) as u8, *bytes.get(21)?)
        };
        let inner_at = udp + UDP_BYTES + VXLAN_BYTES;
        Some(Self {
            is_ipv4: headers.is_ipv4,
            ds_field,
            hop_limit,
            source_port: word(bytes, udp)?,
            udp_checksum: word(bytes, udp + 6)?,
            inner: CapturedFrame {
                arrival_ns: frame.arrival_ns,
                bytes: bytes.get(inner_at..)?.to_vec(),
                length: frame.length.checked_sub(inner_at)?,
            },
        })
    }
}

/// The control information of the frame's outer VLAN tag (802.1Q), if it has one, and the frame without it.
pub fn untagged(frame: &CapturedFrame) -> (Option<u16>, CapturedFrame) {
    let bytes = &frame.bytes;
    let tag = match (word(bytes, TAG_AT), word(bytes, TAG_AT + 2)) {
        (Some(ETHERTYPE_VLAN), Some(control)) => control,
        _ => return (None, frame.clone()),
    };
    let without = CapturedFrame {
        arrival_ns: frame.arrival_ns,
        bytes: [&bytes[..TAG_AT], &bytes[TAG_AT + TAG_BYTES..]].concat(),
        length: frame.length - TAG_BYTES,
    };
    (Some(tag), without)
}

/// The frame without a tunnel around it.
pub fn unwrapped(frame: &CapturedFrame) -> CapturedFrame {
    Tunnelled::of(frame).map_or_else(|| frame.clone(), |tunnelled| tunnelled.inner)
}

/// A whole frame with zeros in those fields in which two frames of the same packet may differ: the tunnel's IPv4
/// identification and UDP source port, and the two checksums over these. All checksums of headers are checked before.
///
/// # Errors
///
/// When a checksum is wrong, a length does not fit, or the frame was cut.
pub fn without_what_may_differ(frame: &CapturedFrame) -> Result<Vec<u8>> {
    ensure!(
        frame.bytes.len() == frame.length,
        "the capture has cut the frame"
    );
    let mut bytes = frame.bytes.clone();
    let headers = Headers::of(&bytes).context("neither IPv4 nor IPv6")?;
    headers.check(&bytes).context("outer headers")?;
    let Some(tunnelled) = Tunnelled::of(frame) else {
        return Ok(bytes);
    };
    let inner = &tunnelled.inner.bytes;
    Headers::of(inner)
        .context("inside is neither IPv4 nor IPv6")?
        .check(inner)
        .context("inner headers")?;
    if headers.is_ipv4 {
        bytes[18..20].fill(0);
        bytes[24..26].fill(0);
    }
    let udp = headers.udp_at;
    bytes[udp..udp + 2].fill(0);
    if tunnelled.udp_checksum != 0 {
        // Whether it is there at all is to be compared.
        bytes[udp + 6..udp + 8].fill(0xff);
    }
    Ok(bytes)
}

/// Where things are in an untagged IP frame.
struct Headers {
    is_ipv4: bool,
    is_fragment: bool,
    protocol: u8,
    /// Behind the IP header.
    udp_at: usize,
    /// Behind the packet.
    end: usize,
}

impl Headers {
    fn of(bytes: &[u8]) -> Option<Self> {
        match word(bytes, 12)? {
            0x0800 => Some(Self {
                is_ipv4: true,
                is_fragment: word(bytes, 20)? & 0x3fff != 0,
                protocol: *bytes.get(23)?,
                udp_at: ETHERNET_BYTES + usize::from(bytes.get(14)? & 0x0f) * 4,
                end: ETHERNET_BYTES + usize::from(word(bytes, 16)?),
            }),
            0x86dd => Some(Self {
                is_ipv4: false,
                is_fragment: false,
                protocol: *bytes.get(20)?,
                udp_at: ETHERNET_BYTES + 40,
                end: ETHERNET_BYTES + 40 + usize::from(word(bytes, 18)?),
            }),
            _ => None,
        }
    }

    /// Lengths, the IPv4 header's checksum, and that of a whole UDP datagram that has one.
    fn check(&self, bytes: &[u8]) -> Result<()> {
        ensure!(
            self.udp_at <= self.end && self.end <= bytes.len(),
            "the packet ends at {} of {} bytes",
            self.end,
            bytes.len()
        );
        if self.is_ipv4 {
            let sum = sum(&bytes[ETHERNET_BYTES..self.udp_at], 0);
            ensure!(sum == 0xffff, "wrong IPv4 header checksum ({sum:#06x})");
        }
        let payload = &bytes[self.udp_at..self.end];
        if self.protocol != UDP || self.is_fragment {
            return Ok(());
        }
        let length = word(payload, 4).map(usize::from);
        if length != Some(payload.len()) {
            bail!(
                "UDP length {length:?}, {} bytes in the packet",
                payload.len()
            );
        }
        if word(payload, 6) == Some(0) {
            ensure!(
                self.is_ipv4 || word(payload, 2) == Some(VXLAN_PORT),
                "IPv6 without UDP checksum"
            );
            return Ok(());
        }
        let addresses = if self.is_ipv4 { 26..34 } else { 22..54 };
        let pseudo = u32::from(UDP) + payload.len() as u32;
        let sum = sum(&[&bytes[addresses], payload].concat(), pseudo);
        ensure!(sum == 0xffff, "wrong UDP checksum ({sum:#06x})");
        Ok(())
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([word[0], word[1]]))
}

/// One's complement sum (RFC 1071); over what includes a right checksum it is all ones.
fn sum(bytes: &[u8], start: u32) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from));
    let mut sum = start + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(bytes: Vec<u8>) -> CapturedFrame {
        CapturedFrame {
            arrival_ns: 1,
            length: bytes.len(),
            bytes,
        }
    }

    fn put_checksum(bytes: &mut [u8], at: usize, range: std::ops::Range<usize>, start: u32) {
        bytes[at..at + 2].fill(0);
        let sum = !sum(&bytes[range], start);
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }

    /// An IPv4 UDP datagram of so many bytes in all.
    fn udp_frame(port: u16, payload: &[u8], identification: u16) -> Vec<u8> {
        let total = 28 + payload.len() as u16;
        let mut bytes = [&[2; 12][..], &[8, 0, 0x45, 3]].concat();
        bytes.extend(total.to_be_bytes());
        bytes.extend(identification.to_be_bytes());
        bytes.extend([0, 0, 63, UDP, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2]);
        bytes.extend([0x90, 0x01]);
        bytes.extend(port.to_be_bytes());
        bytes.extend((total - 20).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(payload);
        put_checksum(&mut bytes, 24, 14..34, 0);
        let end = bytes.len();
        put_checksum(
            &mut bytes,
            40,
            26..end,
            u32::from(UDP) + u32::from(total) - 20,
        );
        bytes
    }

    fn tunnelled(identification: u16) -> Vec<u8> {
        let inner = udp_frame(7, b"hello", 77);
        udp_frame(
            VXLAN_PORT,
            &[&[8, 0, 0, 0, 0, 0, 1, 0][..], &inner].concat(),
            identification,
        )
    }

    #[test]
    fn a_tunnelled_frame_is_taken_apart() {
        let frame = captured(tunnelled(5));
        let outer = Tunnelled::of(&frame).unwrap();
        assert_eq!(
            (outer.ds_field, outer.hop_limit, outer.source_port),
            (3, 63, 0x9001)
        );
        assert_eq!(outer.inner.bytes, udp_frame(7, b"hello", 77));
        assert_eq!(outer.inner.length, outer.inner.bytes.len());
        assert_eq!(unwrapped(&outer.inner), outer.inner, "nothing to unwrap");
    }

    #[test]
    fn a_tag_is_taken_out_and_told() {
        let plain = captured(tunnelled(5));
        let mut tagged = plain.bytes.clone();
        tagged.splice(TAG_AT..TAG_AT, [0x81, 0, 0xe0, 7]);
        assert_eq!(untagged(&captured(tagged)), (Some(0xe007), plain.clone()));
        assert_eq!(untagged(&plain), (None, plain.clone()));
    }

    #[test]
    fn only_what_may_differ_is_blanked() {
        let blank = |bytes| without_what_may_differ(&captured(bytes)).unwrap();
        assert_eq!(blank(tunnelled(5)), blank(tunnelled(6)));
        let mut other = tunnelled(5);
        other[22] = 62;
        put_checksum(&mut other, 24, 14..34, 0);
        assert_ne!(blank(tunnelled(5)), blank(other));
        assert_ne!(
            blank(udp_frame(7, b"", 5)),
            blank(udp_frame(7, b"", 6)),
            "no tunnel"
        );
    }

    #[test]
    fn wrong_checksums_are_found() {
        for at in [24, 40, 50 + 24, 50 + 40] {
            let mut bytes = tunnelled(5);
            bytes[at] ^= 1;
            let error = without_what_may_differ(&captured(bytes)).unwrap_err();
            assert!(format!("{error:#}").contains("checksum"), "{at}: {error:#}");
        }
    }
}
