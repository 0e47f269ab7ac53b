//! Numbered frames sent and received, with every one accounted for.

use std::time::Instant;

use super::{TestBed, payload};
use crate::{Frame, Port, PortCounters};

type FrameOf<B> = <<B as TestBed>::Port as Port>::Frame;

/// Sends numbered frames over a bed and checks what arrives: in order, byte-exact, never twice.
pub struct Traffic<'a, B: TestBed> {
    pub bed: &'a mut B,
    /// Frames that `transmit` took, in this check.
    pub sent: u64,
    /// Of those, the ones that arrived.
    pub arrived: u64,
    /// Frames of others that arrived (a kernel's own, on a real device).
    strangers: u64,
    next_number: u64,
    last_arrived: Option<u64>,
    sender_before: PortCounters,
    receiver_before: PortCounters,
    lost_before: u64,
}

impl<'a, B: TestBed> Traffic<'a, B> {
    pub fn new(bed: &'a mut B) -> Self {
        let lost_before = bed.lost_on_the_way();
        let (sender, receiver) = bed.ports();
        let (sender_before, receiver_before) = (sender.counters(), receiver.counters());
        Self {
            bed,
            sent: 0,
            arrived: 0,
            strangers: 0,
            next_number: 0,
            last_arrived: None,
            sender_before,
            receiver_before,
            lost_before,
        }
    }

    /// A new frame with the next number; `None` without a free buffer.
    pub fn frame(&mut self, length_bytes: usize) -> Option<FrameOf<B>> {
        let mut frame = self.bed.ports().0.allocate(length_bytes)?;
        assert_eq!(
            frame.bytes().len(),
            length_bytes,
            "a new frame has the length asked for"
        );
        self.renumber(frame.bytes_mut());
        Some(frame)
    }

    /// Fills a frame anew with the next number.
    pub fn renumber(&mut self, bytes: &mut [u8]) {
        payload::write(bytes, self.next_number);
        self.next_number += 1;
    }

    /// Gives a frame to the sender; a refused one comes back unharmed.
    pub fn transmit(&mut self, frame: FrameOf<B>) -> Option<FrameOf<B>> {
        let number = payload::check(frame.bytes());
        match self.bed.ports().0.transmit(frame) {
            Ok(()) => {
                self.sent += 1;
                None
            }
            Err(refused) => {
                assert_eq!(
                    payload::check(refused.bytes()),
                    number,
                    "a refused frame comes back unharmed"
                );
                Some(refused)
            }
        }
    }

    /// Gives a frame to the sender, waking it until it has room.
    pub fn transmit_patiently(&mut self, mut frame: FrameOf<B>) {
        let start = Instant::now();
        while let Some(refused) = self.transmit(frame) {
            assert!(
                start.elapsed() < B::PATIENCE,
                "the transmit ring stays full although it is woken"
            );
            frame = refused;
            self.wake();
        }
    }

    pub fn wake(&mut self) {
        if let Err(error) = self.bed.ports().0.wake() {
            panic!("waking the sender failed: {error}");
        }
    }

    /// Takes one frame, ours or not, and checks it.
    pub fn receive(&mut self) -> Option<FrameOf<B>> {
        let frame = self.bed.ports().1.receive()?;
        let Some(number) = payload::check(frame.bytes()) else {
            self.strangers += 1;
            return Some(frame);
        };
        assert!(
            number < self.next_number,
            "frame {number} arrived but was never made"
        );
        if let Some(last) = self.last_arrived {
            assert!(number != last, "frame {number} arrived twice");
            assert!(
                number > last,
                "frame {number} arrived after frame {last}, against the order of transmission"
            );
        }
        self.last_arrived = Some(number);
        self.arrived += 1;
        Some(frame)
    }

    /// Wakes and receives until every frame that was taken has arrived or is counted as lost, then checks the counters.
    pub fn account(&mut self) {
        let start = Instant::now();
        loop {
            self.wake();
            while self.receive().is_some() {}
            let Some(why) = self.unaccounted() else { break };
            assert!(
                start.elapsed() < B::PATIENCE,
                "frames are not conserved: {why}"
            );
            std::thread::yield_now();
        }
    }

    /// What is missing, or `None` when all is accounted for.
    fn unaccounted(&mut self) -> Option<String> {
        let lost_on_the_way = self.bed.lost_on_the_way() - self.lost_before;
        let (sender, receiver) = self.bed.ports();
        let (sender, receiver) = (sender.counters(), receiver.counters());
        let queued = sender.transmit_queued - self.sender_before.transmit_queued;
        let transmitted = sender.transmitted - self.sender_before.transmitted;
        let received = receiver.received - self.receiver_before.received;
        assert_eq!(
            queued, self.sent,
            "`transmit_queued` counts every frame that was taken"
        );
        assert_eq!(
            received,
            self.arrived + self.strangers,
            "`received` counts every frame handed over"
        );
        assert_eq!(sender.copied_bytes, 0, "the sender copied payload");
        assert_eq!(receiver.copied_bytes, 0, "the receiver copied payload");
        let dropped = receiver.receive_no_buffer + receiver.receive_ring_full
            - self.receiver_before.receive_no_buffer
            - self.receiver_before.receive_ring_full;
        assert!(
            transmitted <= queued,
            "more was transmitted ({transmitted}) than taken ({queued})"
        );
        // A stranger's frame may be among the dropped ones, so "at least".
        let known = self.arrived + dropped + lost_on_the_way;
        (transmitted < queued || known < self.sent).then(|| {
            format!(
                "{queued} taken, {transmitted} transmitted, {} arrived, {dropped} dropped by the receiver, \
                 {lost_on_the_way} lost on the way",
                self.arrived
            )
        })
    }
}

/// Empties both ports and gives the number of free buffers once it no longer grows.
pub fn settle<B: TestBed>(bed: &mut B, check: &str) -> usize {
    let mut traffic = Traffic::new(bed);
    traffic.account();
    let start = Instant::now();
    let (mut free, mut unchanged) = (0, 0);
    while unchanged < 1000 {
        assert!(
            start.elapsed() < B::PATIENCE,
            "{check}: the ports do not come to rest"
        );
        traffic.wake();
        while traffic.bed.ports().1.receive().is_some() {}
        let now = traffic.bed.free_buffers();
        unchanged = if now == free { unchanged + 1 } else { 0 };
        free = now;
        std::thread::yield_now();
    }
    free
}

/// As [`settle`], but waits until at least `expected` buffers are free; gives what there are in the end.
pub fn settle_to<B: TestBed>(bed: &mut B, check: &str, expected: usize) -> usize {
    let start = Instant::now();
    loop {
        let free = settle(bed, check);
        if free >= expected || start.elapsed() >= B::PATIENCE {
            return free;
        }
    }
}
