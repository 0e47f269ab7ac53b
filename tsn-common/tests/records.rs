//! What crosses the border between kernel and user space, as bytes.

use tsn_common::{
    FRONT_BYTES, Front, METADATA_BYTES, Metadata, STAMP_HEADER_BYTES, Stamp, StampHeader, TimeBase,
};

#[test]
fn metadata_is_taken_once_and_strangers_are_refused() {
    let mut record = [0; METADATA_BYTES];
    record[..8].copy_from_slice(&1_700_000_000_000_000_000u64.to_ne_bytes());
    record[8..12].copy_from_slice(&Metadata::MAGIC.to_ne_bytes());
    record[12] = 2;
    record[13] = 7;
    record[14..].copy_from_slice(&0x1234u16.to_ne_bytes());
    let stamp = Stamp {
        launch_time_ns: 1_700_000_000_000_000_000,
        time_base: TimeBase::Tai,
        priority: 7,
    };
    let mut bytes = record;
    let taken = Metadata::take(&mut bytes).unwrap();
    assert_eq!((taken.stamp(), taken.next_hop), (stamp, 0x1234));
    assert_eq!(Metadata::take(&mut bytes), None);

    let mut bytes = record;
    bytes[12] = 3;
    let taken = Metadata::take(&mut bytes).unwrap();
    assert_eq!(taken.stamp().time_base, TimeBase::None);
    for position in 8..12 {
        let mut strange = record;
        strange[position] ^= 1;
        assert_eq!(Metadata::take(&mut strange), None);
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

#[test]
fn a_front_is_judged_by_secret_mark_and_destination() {
    let header = StampHeader {
        destination: [2, 0, 0, 0, 0, 9],
        time_base: TimeBase::Tai as u8,
        priority: 5,
        launch_time_ns: 1_700_000_000_123_456_789,
        secret: StampHeader::secret(0xabcd),
    };
    assert_eq!(StampHeader::from_bytes(&header.to_bytes()), header);
    let mut front = [0; FRONT_BYTES];
    front[..STAMP_HEADER_BYTES].copy_from_slice(&header.to_bytes());
    front[STAMP_HEADER_BYTES..STAMP_HEADER_BYTES + 6].copy_from_slice(&header.destination);

    let stamp = Stamp {
        launch_time_ns: header.launch_time_ns,
        time_base: TimeBase::Tai,
        priority: 5,
    };
    assert_eq!(Front::of(&front, Some(header.secret)), Front::Stamp(stamp));
    let other = Some(StampHeader::secret(0xabce));
    assert_eq!(Front::of(&front, other), Front::Forged);
    assert_eq!(Front::of(&front, None), Front::Forged);
    front[STAMP_HEADER_BYTES] ^= 1; // another frame follows than the header says
    assert_eq!(Front::of(&front, other), Front::Ordinary);
    assert_eq!(Front::of(&[0; FRONT_BYTES], None), Front::Ordinary);
}
