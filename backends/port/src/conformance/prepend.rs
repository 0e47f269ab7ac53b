//! What can be put in front of a frame.

use super::checks::{longest_frame_bytes, receive_one};
use super::traffic::Traffic;
use super::{SHORTEST_FRAME_BYTES, TestBed};
use crate::{Frame, PREPEND_BYTES};

/// A VLAN tag, and a tunnel over IPv4 and over IPv6.
const HEADERS_BYTES: [usize; 3] = [4, PREPEND_BYTES - 24, PREPEND_BYTES];

/// A new frame grows and leaves; a received one grows and is forwarded.
pub fn there_is_room_in_front<B: TestBed>(bed: &mut B) {
    let longest = longest_frame_bytes(bed);
    let mut traffic = Traffic::new(bed);
    for bytes in HEADERS_BYTES {
        for length in [SHORTEST_FRAME_BYTES, 1001, longest - bytes] {
            for received in [false, true] {
                let mut frame = traffic.frame(length).expect("a buffer is free");
                if received {
                    traffic.transmit_patiently(frame);
                    frame = receive_one(&mut traffic);
                }
                grow(&mut frame, bytes);
                traffic.renumber(frame.bytes_mut());
                traffic.transmit_patiently(frame);
                let frame = receive_one(&mut traffic);
                assert_eq!(frame.bytes().len(), length + bytes, "bytes got lost");
            }
        }
    }
    traffic.account();
    assert_eq!(traffic.arrived, traffic.sent, "every frame arrived");
}

fn grow<F: Frame>(frame: &mut F, bytes: usize) {
    let before = frame.bytes().to_vec();
    assert!(
        !frame.prepend(1 << 16) && !frame.prepend(usize::MAX),
        "no buffer has so much room"
    );
    assert!(frame.bytes() == before, "a refusal changed the frame");
    assert!(
        frame.prepend(bytes),
        "no room for {bytes} bytes in front of a frame of {}",
        before.len()
    );
    assert!(
        frame.bytes().len() == before.len() + bytes && frame.bytes()[bytes..] == before,
        "the frame behind the new bytes changed"
    );
}
