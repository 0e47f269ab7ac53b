//! What a frame that comes from a pod begins with.

use crate::records::{STAMP_HEADER_BYTES, Stamp, StampHeader, TimeBase};

/// Bytes that tell a stamped frame from others: the stamp, and the addresses and EtherType of the frame after it.
pub const FRONT_BYTES: usize = STAMP_HEADER_BYTES + 14;

/// What a frame begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// The frame itself.
    Ordinary,
    /// A [`StampHeader`] with the pod's secret, of [`STAMP_HEADER_BYTES`], which the frame follows.
    Stamp(Stamp),
    /// Something made to look like a stamp.
    Forged,
}

impl Front {
    /// Judges a frame's first bytes; one that has fewer is [`Ordinary`](Self::Ordinary). Without a `secret` there is no
    /// genuine stamp.
    #[inline(always)]
    pub fn of(bytes: &[u8; FRONT_BYTES], secret: Option<u64>) -> Self {
        let header = StampHeader::from_bytes(bytes);
        if secret == Some(header.secret) {
            return Self::Stamp(Stamp {
                launch_time_ns: header.launch_time_ns,
                time_base: TimeBase::from_u8(header.time_base),
                priority: header.priority,
            });
        }
        let mut destination_after = [0; 6];
        destination_after.copy_from_slice(&bytes[STAMP_HEADER_BYTES..STAMP_HEADER_BYTES + 6]);
        if header.looks_like_one(&destination_after) {
            Self::Forged
        } else {
            Self::Ordinary
        }
    }
}
