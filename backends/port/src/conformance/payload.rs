//! Frames that carry their number and a content that follows from it.

use super::SHORTEST_FRAME_BYTES;

const HEADER: [u8; 14] = [
    0x02, 0, 0, 0, 0, 0x02, // destination, locally administered
    0x02, 0, 0, 0, 0, 0x01, // source
    0x88, 0xb5, // IEEE 802 local experimental EtherType 1
];
const NUMBER: std::ops::Range<usize> = 14..22;
const LENGTH: std::ops::Range<usize> = 22..24;

/// Fills `bytes` (at least [`SHORTEST_FRAME_BYTES`]) as frame `number`.
pub fn write(bytes: &mut [u8], number: u64) {
    assert!(
        bytes.len() >= SHORTEST_FRAME_BYTES,
        "a frame of {} bytes is too short",
        bytes.len()
    );
    let length = u16::try_from(bytes.len()).expect("frames are shorter than 64 KiB");
    bytes[..HEADER.len()].copy_from_slice(&HEADER);
    bytes[NUMBER].copy_from_slice(&number.to_be_bytes());
    bytes[LENGTH].copy_from_slice(&length.to_be_bytes());
    for (index, byte) in bytes.iter_mut().enumerate().skip(LENGTH.end) {
        *byte = pattern(number, index);
    }
}

/// The number of one of our frames, `None` for a stranger's (a kernel's router solicitation, say).
///
/// # Panics
///
/// If it is ours and not byte-exact.
pub fn check(bytes: &[u8]) -> Option<u64> {
    if bytes.len() < SHORTEST_FRAME_BYTES || bytes[..HEADER.len()] != HEADER {
        return None;
    }
    let number = u64::from_be_bytes(bytes[NUMBER].try_into().expect("eight bytes"));
    let length = u16::from_be_bytes(bytes[LENGTH].try_into().expect("two bytes"));
    assert_eq!(
        usize::from(length),
        bytes.len(),
        "frame {number} changed its length"
    );
    for (index, &byte) in bytes.iter().enumerate().skip(LENGTH.end) {
        let expected = pattern(number, index);
        assert_eq!(
            byte, expected,
            "frame {number} of {length} bytes: byte {index} changed"
        );
    }
    Some(number)
}

fn pattern(number: u64, index: usize) -> u8 {
    (number as u8).wrapping_mul(31) ^ (index as u8).wrapping_mul(17) ^ (index >> 8) as u8
}
