//! The suite that every backend must pass: what [`Port`] promises, checked on two connected ports.
//!
//! A backend gives a [`TestBed`] and calls [`run`]. A violation panics and says what was promised. Nothing is timed:
//! every wait ends when its condition holds, and after [`TestBed::PATIENCE`] at the latest.

mod checks;
mod payload;
mod prepend;
mod traffic;

use std::time::Duration;

use crate::Port;

/// The shortest frame that is sent: an Ethernet frame's 64 bytes without its FCS.
pub const SHORTEST_FRAME_BYTES: usize = 60;

/// Two connected ports of a backend.
pub trait TestBed {
    /// The backend's port.
    type Port: Port;

    /// How long a condition may take to come true before the check fails: far more than the device needs.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// The port that transmits, and the one that receives what it transmitted. Both share one pool of buffers.
    fn ports(&mut self) -> (&mut Self::Port, &mut Self::Port);

    /// Buffers of the pool that neither a port, a device nor a frame holds.
    fn free_buffers(&mut self) -> usize;

    /// By how many the buffers that the drivers have may differ while nothing is on the way: one keeps what has left until
    /// it needs the room, another gets back late what it was short of. A leak of fewer stays unseen by the suite.
    fn kept_by_driver(&self) -> usize {
        0
    }

    /// Buffers that must be free for a frame to be received: 0 where the receiver keeps some ready.
    fn needed_to_receive(&self) -> usize {
        0
    }

    /// Frames that the medium between the ports has lost and counted since the bed was made.
    fn lost_on_the_way(&mut self) -> u64 {
        0
    }
}

type Check<B> = fn(&mut B);

/// Runs every check on the same bed, one after the other; each leaves the ports empty and all buffers free.
///
/// # Panics
///
/// When a port breaks a promise, with the name of the check in the message.
pub fn run<B: TestBed>(bed: &mut B) {
    let checks: [(&str, Check<B>); 10] = [
        (
            "every size arrives byte-exact",
            checks::every_size_arrives_byte_exact,
        ),
        ("frames keep their order", checks::frames_keep_their_order),
        (
            "a full transmit ring gives the frame back",
            checks::full_ring_gives_the_frame_back,
        ),
        (
            "a receiver that does not look loses only what is counted",
            checks::unread_receiver,
        ),
        (
            "running out of buffers is survived",
            checks::buffers_run_out,
        ),
        (
            "a received frame is transmitted without another buffer",
            checks::forwarding_needs_no_buffer,
        ),
        (
            "there is room in front of every frame",
            prepend::there_is_room_in_front,
        ),
        ("dropping a frame frees its buffer", checks::dropping_frees),
        ("the levels tell what waits", checks::levels_tell_what_waits),
        (
            "frames are conserved under random use",
            checks::random_use_conserves_frames,
        ),
    ];
    for (name, check) in checks {
        let at_rest = traffic::settle(bed, name);
        check(bed);
        let kept = bed.kept_by_driver();
        let after = traffic::settle_to(bed, name, at_rest.saturating_sub(kept));
        assert!(
            after.abs_diff(at_rest) <= kept,
            "{name}: buffers leaked: {at_rest} were free before, {after} after"
        );
    }
}
