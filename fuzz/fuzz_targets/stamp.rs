//! Metadata before a frame: whatever lies there is a record of ours or none.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsn_common::{Metadata, TimeBase};

fuzz_target!(|bytes: [u8; 16]| {
    let magic = u32::from_ne_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    let Some(stamp) = Metadata::read(&bytes) else {
        assert_ne!(magic, Metadata::MAGIC, "a record was not recognised");
        return;
    };
    assert_eq!(
        magic,
        Metadata::MAGIC,
        "a stale chunk was taken for a record"
    );
    assert_eq!(stamp.launch_time_ns.to_ne_bytes(), bytes[..8]);
    assert_eq!(stamp.priority, bytes[13]);
    if stamp.time_base != TimeBase::None {
        assert_eq!(stamp.time_base as u8, bytes[12]);
    }
});
