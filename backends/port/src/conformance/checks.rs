//! One function for each promise.

use super::traffic::Traffic;
use super::{SHORTEST_FRAME_BYTES, TestBed};
use crate::rng::Rng;
use crate::{Frame, Port};

/// Frames on the way at the same time where losses would prove nothing; every medium holds that many.
const BURST_FRAMES: usize = 32;

pub(super) fn longest_frame_bytes<B: TestBed>(bed: &mut B) -> usize {
    let (sender, receiver) = bed.ports();
    let longest = sender
        .capabilities()
        .max_frame_bytes
        .min(receiver.capabilities().max_frame_bytes);
    assert!(
        longest >= 1514,
        "a port that cannot send Ethernet's 1514 bytes (says {longest}) is of no use"
    );
    longest
}

/// Sends `count` frames of a length each in bursts, and demands that all arrive.
fn all_arrive<B: TestBed>(bed: &mut B, lengths: impl Iterator<Item = usize>) {
    let mut traffic = Traffic::new(bed);
    for (index, length) in lengths.enumerate() {
        let frame = traffic
            .frame(length)
            .expect("a buffer is free, since at most a burst is in use");
        traffic.transmit_patiently(frame);
        if index % BURST_FRAMES == BURST_FRAMES - 1 {
            traffic.account();
        }
    }
    traffic.account();
    assert_eq!(
        traffic.arrived, traffic.sent,
        "frames were lost although nothing was overloaded"
    );
}

pub fn every_size_arrives_byte_exact<B: TestBed>(bed: &mut B) {
    let longest = longest_frame_bytes(bed);
    let sender = bed.ports().0;
    let beyond = sender.capabilities().max_frame_bytes + 1;
    assert!(
        sender.allocate(beyond).is_none(),
        "allocated {beyond} bytes, beyond the longest frame"
    );
    all_arrive(bed, SHORTEST_FRAME_BYTES..=longest);
}

pub fn frames_keep_their_order<B: TestBed>(bed: &mut B) {
    let longest = longest_frame_bytes(bed);
    // Long and short by turns: a device that sorts by size or copies in parallel would show.
    let lengths = (0..4096).map(|index| {
        if index % 3 == 0 {
            longest
        } else {
            SHORTEST_FRAME_BYTES
        }
    });
    all_arrive(bed, lengths);
}

pub fn full_ring_gives_the_frame_back<B: TestBed>(bed: &mut B) {
    let slots = bed.ports().0.capabilities().transmit_slots;
    assert!(slots > 0, "a port has at least one transmit slot");
    let refused_before = bed.ports().0.counters().transmit_refused;
    let mut traffic = Traffic::new(bed);
    let mut refused = 0;
    // A device that transmits by itself may never refuse; then there is nothing to check.
    for _ in 0..slots + BURST_FRAMES {
        let Some(frame) = traffic.frame(SHORTEST_FRAME_BYTES) else {
            break;
        };
        if traffic.transmit(frame).is_some() {
            refused += 1;
        }
    }
    if refused > 0 {
        assert!(
            traffic.sent >= slots as u64,
            "refused after {} frames, but the ring has {slots} slots",
            traffic.sent
        );
    }
    let counted = traffic.bed.ports().0.counters().transmit_refused - refused_before;
    assert_eq!(
        counted, refused,
        "`transmit_refused` counts every frame given back"
    );
    traffic.account();
}

pub fn unread_receiver<B: TestBed>(bed: &mut B) {
    let slots = bed.ports().0.capabilities().transmit_slots;
    let mut traffic = Traffic::new(bed);
    for index in 0..4 * slots {
        match traffic.frame(SHORTEST_FRAME_BYTES) {
            Some(frame) => drop(traffic.transmit(frame)),
            None => traffic.wake(),
        }
        if index % BURST_FRAMES == BURST_FRAMES - 1 {
            traffic.wake();
        }
    }
    traffic.account();
    all_arrive(
        traffic.bed,
        std::iter::repeat_n(SHORTEST_FRAME_BYTES, BURST_FRAMES),
    );
}

pub fn buffers_run_out<B: TestBed>(bed: &mut B) {
    let slots = bed.ports().0.capabilities().transmit_slots;
    let mut traffic = Traffic::new(bed);
    let to_send: Vec<_> = (0..2 * slots)
        .map_while(|_| traffic.frame(SHORTEST_FRAME_BYTES))
        .collect();
    assert!(
        to_send.len() >= BURST_FRAMES,
        "the pool has a burst of buffers"
    );
    let mut held = Vec::new();
    hold_all(&mut traffic, &mut held);
    assert_eq!(
        traffic.bed.free_buffers(),
        0,
        "`allocate` gives `None` only without a free buffer"
    );
    for frame in to_send {
        traffic.transmit_patiently(frame);
        traffic.wake();
        // What has left and what arrives is held as well, so that the receiver hardly gets new buffers.
        hold_all(&mut traffic, &mut held);
        held.extend(traffic.receive());
    }
    held.clear();
    traffic.account();
    all_arrive(
        traffic.bed,
        std::iter::repeat_n(SHORTEST_FRAME_BYTES, 4 * BURST_FRAMES),
    );
}

/// Takes every free buffer.
fn hold_all<B: TestBed>(traffic: &mut Traffic<'_, B>, held: &mut Vec<<B::Port as Port>::Frame>) {
    while let Some(frame) = traffic.bed.ports().0.allocate(SHORTEST_FRAME_BYTES) {
        held.push(frame);
    }
}

pub fn forwarding_needs_no_buffer<B: TestBed>(bed: &mut B) {
    const ROUNDS: usize = 64;
    let mut traffic = Traffic::new(bed);
    for round in 0..ROUNDS {
        let frame = traffic.frame(1000).expect("a buffer is free");
        traffic.transmit_patiently(frame);
        let mut first = receive_one(&mut traffic);
        let mut held = Vec::new();
        hold_all(&mut traffic, &mut held);
        held.truncate(held.len() - traffic.bed.needed_to_receive());
        // Numbered anew, in place: the same buffer goes out again while no other is free.
        traffic.renumber(first.bytes_mut());
        traffic.transmit_patiently(first);
        let second = receive_one(&mut traffic);
        assert_eq!(
            second.bytes().len(),
            1000,
            "round {round}: the forwarded frame changed its length"
        );
    }
    traffic.account();
    assert_eq!(
        traffic.arrived,
        2 * ROUNDS as u64,
        "every frame and every forwarded one arrived"
    );
}

/// The next of our frames.
pub(super) fn receive_one<B: TestBed>(traffic: &mut Traffic<'_, B>) -> <B::Port as Port>::Frame {
    let before = traffic.arrived;
    let start = std::time::Instant::now();
    loop {
        traffic.wake();
        let frame = traffic.receive();
        if let Some(frame) = frame.filter(|_| traffic.arrived > before) {
            return frame;
        }
        assert!(
            start.elapsed() < B::PATIENCE,
            "a transmitted frame does not arrive"
        );
        std::thread::yield_now();
    }
}

pub fn dropping_frees<B: TestBed>(bed: &mut B) {
    let before = bed.free_buffers();
    let frames: Vec<_> = (0..BURST_FRAMES)
        .map_while(|_| bed.ports().0.allocate(SHORTEST_FRAME_BYTES))
        .collect();
    assert_eq!(
        frames.len(),
        BURST_FRAMES,
        "the pool has a burst of buffers"
    );
    assert_eq!(
        bed.free_buffers(),
        before - BURST_FRAMES,
        "each frame takes one buffer"
    );
    drop(frames);
    assert_eq!(
        bed.free_buffers(),
        before,
        "each dropped frame frees its buffer"
    );
}

pub fn levels_tell_what_waits<B: TestBed>(bed: &mut B) {
    let slots = bed.ports().0.capabilities().transmit_slots;
    let mut traffic = Traffic::new(bed);
    for _ in 0..BURST_FRAMES {
        let frame = traffic.frame(SHORTEST_FRAME_BYTES);
        traffic.transmit_patiently(frame.expect("a buffer is free"));
    }
    let queued = traffic.bed.ports().0.levels();
    assert_eq!(
        queued.transmit_slots as usize, slots,
        "slots of the transmit ring"
    );
    assert!(
        queued.transmit_used <= BURST_FRAMES as u32,
        "{queued:?} after a burst of {BURST_FRAMES}"
    );
    assert!(
        queued.free_buffers < queued.buffers,
        "a burst holds buffers: {queued:?}"
    );
    let start = std::time::Instant::now();
    loop {
        traffic.wake();
        let (sender, receiver) = traffic.bed.ports();
        let (sent, arrived) = (sender.levels(), receiver.levels());
        if sent.transmit_used == 0 && arrived.receive_waiting == BURST_FRAMES as u32 {
            assert!(
                arrived.receive_slots >= arrived.receive_waiting,
                "{arrived:?}"
            );
            break;
        }
        assert!(
            start.elapsed() < B::PATIENCE,
            "a burst of {BURST_FRAMES} was sent; the levels are {sent:?} and {arrived:?}"
        );
        std::thread::yield_now();
    }
    traffic.account();
    let emptied = traffic.bed.ports().1.levels();
    assert_eq!(emptied.receive_waiting, 0, "all frames have been taken");
}

pub fn random_use_conserves_frames<B: TestBed>(bed: &mut B) {
    const STEPS: usize = 5_000;
    let longest = longest_frame_bytes(bed);
    let mut rng = Rng::new(0x7473_6e64);
    let mut traffic = Traffic::new(bed);
    let mut held = Vec::new();
    for _ in 0..STEPS {
        match rng.below(8) {
            // Queue a burst; what is refused is dropped.
            0..=2 => {
                for _ in 0..=rng.below(BURST_FRAMES) {
                    let length = SHORTEST_FRAME_BYTES + rng.below(longest - SHORTEST_FRAME_BYTES);
                    let Some(frame) = traffic.frame(length) else {
                        break;
                    };
                    drop(traffic.transmit(frame));
                }
            }
            3 => traffic.wake(),
            // Receive a burst and hold it.
            4 | 5 => held.extend((0..=rng.below(BURST_FRAMES)).map_while(|_| traffic.receive())),
            // Forward what is held, under new numbers.
            6 => {
                for mut frame in held.drain(held.len() - rng.below(held.len() + 1)..) {
                    traffic.renumber(frame.bytes_mut());
                    drop(traffic.transmit(frame));
                }
            }
            _ => held.truncate(rng.below(held.len() + 1)),
        }
    }
    drop(held);
    traffic.account();
    assert!(
        traffic.arrived > STEPS as u64,
        "hardly anything arrived ({}), so nothing was shown",
        traffic.arrived
    );
}
