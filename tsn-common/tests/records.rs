//! What crosses the border between kernel and user space, as bytes.

use tsn_common::{Metadata, Stamp, StampHeader, TimeBase};

#[test]
fn metadata_is_read_back_and_strangers_are_refused() {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&1_700_000_000_000_000_000u64.to_ne_bytes());
    bytes[8..12].copy_from_slice(&Metadata::MAGIC.to_ne_bytes());
    bytes[12] = 2;
    bytes[13] = 7;
    let stamp = Stamp {
        launch_time_ns: 1_700_000_000_000_000_000,
        time_base: TimeBase::Tai,
        priority: 7,
    };
    assert_eq!(Metadata::read(&bytes), Some(stamp));
    bytes[12] = 3;
    assert_eq!(
        Metadata::read(&bytes).map(|stamp| stamp.time_base),
        Some(TimeBase::None)
    );
    for position in 8..12 {
        let mut strange = bytes;
        strange[position] ^= 1;
        assert_eq!(Metadata::read(&strange), None);
    }
}

#[test]
fn a_header_is_known_by_mark_and_destination() {
    let destination = [1, 2, 3, 4, 5, 6];
    let header = StampHeader {
        destination,
        time_base: 0,
        priority: 0,
        launch_time_ns: 0,
        secret: StampHeader::secret(u64::MAX),
    };
    assert!(header.looks_like_one(&destination));
    assert!(!header.looks_like_one(&[1, 2, 3, 4, 5, 7]));
    assert!(
        !StampHeader {
            secret: u64::MAX,
            ..header
        }
        .looks_like_one(&destination)
    );
    assert_ne!(StampHeader::secret(1), StampHeader::secret(2));
}
