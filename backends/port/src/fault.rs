//! A port around another port that loses, duplicates, delays and refuses frames, repeatably.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use crate::rng::Rng;
use crate::{Capabilities, MacAddress, Port, PortCounters, PortLevels};

/// Frames that can be held back at the same time; beyond it no more are delayed.
const HELD_FRAMES: usize = 64;

/// What goes wrong, and how often: probabilities in parts of a thousand, 0 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Start of the generator; the same seed over the same calls does the same.
    pub seed: u64,
    /// A received frame is dropped.
    pub lose_per_mille: u16,
    /// A received frame is handed over twice.
    pub duplicate_per_mille: u16,
    /// A received frame is held back while later ones overtake it.
    pub delay_per_mille: u16,
    /// For how many calls of `receive` a delayed frame is held back.
    pub delay_receives: u64,
    /// `transmit` gives the frame back, as if the ring were full.
    pub refuse_per_mille: u16,
    /// The device takes a frame for transmission and drops it.
    pub drop_per_mille: u16,
    /// `wake` does nothing, as if the device took no frames just now.
    pub idle_per_mille: u16,
    /// `wake` takes at least so many nanoseconds.
    pub wake_ns: u64,
}

/// What a [`FaultPort`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultCounters {
    /// Received frames that were dropped.
    pub lost: u64,
    /// Copies handed over in addition.
    pub duplicated: u64,
    /// Received frames that were held back (they are handed over later).
    pub delayed: u64,
    /// Frames given back by `transmit` though there was room.
    pub refused: u64,
    /// Frames that `transmit` took and the device dropped.
    pub dropped: u64,
}

/// A port with [`Faults`]. Received frames are conserved: what the inner port received and was not `lost`, plus what
/// was `duplicated`, is handed over or still [`held`](Self::held).
pub struct FaultPort<P: Port, C> {
    inner: P,
    copy: C,
    faults: Faults,
    rng: Rng,
    held: VecDeque<Held<P::Frame>>,
    receives: u64,
    received: u64,
    done: FaultCounters,
}

/// A frame that is handed over at the `due`th call of `receive` or later.
struct Held<F> {
    due: u64,
    frame: F,
}

impl<P, C> FaultPort<P, C>
where
    P: Port,
    C: FnMut(&P::Frame) -> Option<P::Frame> + Send,
{
    /// Wraps `inner`. `copy` makes a second frame of a received one, from the pool that the test has; a frame that it
    /// cannot copy is not duplicated.
    pub fn new(inner: P, faults: Faults, copy: C) -> Self {
        Self {
            inner,
            copy,
            faults,
            rng: Rng::new(faults.seed),
            held: VecDeque::with_capacity(HELD_FRAMES),
            receives: 0,
            received: 0,
            done: FaultCounters::default(),
        }
    }

    /// Changes what goes wrong from now on; the generator goes on where it is.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// What went wrong so far.
    pub fn fault_counters(&self) -> FaultCounters {
        self.done
    }

    /// Received frames (copies included) that wait to be handed over.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The wrapped port.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    fn hold(&mut self, frame: P::Frame, receives: u64) {
        self.held.push_back(Held {
            due: self.receives + receives,
            frame,
        });
    }

    /// A frame that is to be transmitted, unless it is refused, or dropped as if the device did it.
    fn pass(&mut self, frame: P::Frame) -> Result<Option<P::Frame>, P::Frame> {
        if self.rng.happens(self.faults.refuse_per_mille) {
            self.done.refused += 1;
            return Err(frame);
        }
        if self.rng.happens(self.faults.drop_per_mille) {
            self.done.dropped += 1;
            return Ok(None);
        }
        Ok(Some(frame))
    }

    fn room_to_hold(&self) -> bool {
        self.held.len() < HELD_FRAMES
    }
}

impl<P, C> Port for FaultPort<P, C>
where
    P: Port,
    C: FnMut(&P::Frame) -> Option<P::Frame> + Send,
{
    type Frame = P::Frame;
    type Error = P::Error;

    fn receive(&mut self) -> Option<P::Frame> {
        self.receives += 1;
        let due = self.held.iter().position(|held| held.due <= self.receives);
        if let Some(held) = due.and_then(|index| self.held.remove(index)) {
            self.received += 1;
            return Some(held.frame);
        }
        loop {
            let frame = self.inner.receive()?;
            if self.rng.happens(self.faults.lose_per_mille) {
                self.done.lost += 1;
                continue;
            }
            if self.rng.happens(self.faults.delay_per_mille) && self.room_to_hold() {
                self.hold(frame, self.faults.delay_receives);
                self.done.delayed += 1;
                continue;
            }
            if self.rng.happens(self.faults.duplicate_per_mille)
                && self.room_to_hold()
                && let Some(copy) = (self.copy)(&frame)
            {
                self.hold(copy, 0);
                self.done.duplicated += 1;
            }
            self.received += 1;
            return Some(frame);
        }
    }

    fn transmit(&mut self, frame: P::Frame) -> Result<(), P::Frame> {
        match self.pass(frame)? {
            Some(frame) => self.inner.transmit(frame),
            None => Ok(()),
        }
    }

    fn transmit_at(&mut self, frame: P::Frame, launch_time_ns: u64) -> Result<(), P::Frame> {
        match self.pass(frame)? {
            Some(frame) => self.inner.transmit_at(frame, launch_time_ns),
            None => Ok(()),
        }
    }

    fn wake(&mut self) -> Result<(), P::Error> {
        if self.rng.happens(self.faults.idle_per_mille) {
            return Ok(());
        }
        let until = Instant::now() + Duration::from_nanos(self.faults.wake_ns);
        let result = self.inner.wake();
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        result
    }

    fn allocate(&mut self, length_bytes: usize) -> Option<P::Frame> {
        self.inner.allocate(length_bytes)
    }

    fn readable(&self) -> Option<RawFd> {
        self.inner.readable()
    }

    /// The inner port's, with what the caller saw in `received` and `transmit_refused`, and what the device dropped.
    fn counters(&self) -> PortCounters {
        let inner = self.inner.counters();
        PortCounters {
            received: self.received,
            transmit_refused: inner.transmit_refused + self.done.refused,
            transmit_queued: inner.transmit_queued + self.done.dropped,
            transmitted: inner.transmitted + self.done.dropped,
            transmit_dropped: inner.transmit_dropped + self.done.dropped,
            ..inner
        }
    }

    /// The inner port's; frames that are held back count as waiting.
    fn levels(&mut self) -> PortLevels {
        let inner = self.inner.levels();
        PortLevels {
            receive_waiting: inner.receive_waiting + self.held.len() as u32,
            ..inner
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn station(&self) -> Option<MacAddress> {
        self.inner.station()
    }
}
