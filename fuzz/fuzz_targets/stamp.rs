//! Metadata before a frame: whatever lies there is a record of ours or none, and is taken once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsn_common::{METADATA_BYTES, Metadata, TimeBase};

fuzz_target!(|bytes: [u8; METADATA_BYTES]| {
    let magic = u32::from_ne_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    let mut place = bytes;
    let Some(record) = Metadata::take(&mut place) else {
        assert_ne!(magic, Metadata::MAGIC, "a record was not recognised");
        return;
    };
    assert_eq!(
        magic,
        Metadata::MAGIC,
        "a stale chunk was taken for a record"
    );
    assert_eq!(Metadata::take(&mut place), None, "taken twice");
    assert_eq!(record.next_hop.to_ne_bytes(), bytes[14..]);
    let stamp = record.stamp();
    assert_eq!(stamp.launch_time_ns.to_ne_bytes(), bytes[..8]);
    assert_eq!(stamp.priority, bytes[13]);
    if stamp.time_base != TimeBase::None {
        assert_eq!(stamp.time_base as u8, bytes[12]);
    }
});
