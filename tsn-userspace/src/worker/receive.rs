//! From the ports: a burst of frames, to be delivered or to be scheduled.

use tsn_core::TaiTime;
use tsn_port::Port;

use super::pod::{Received, untag};
use super::{CLOCK_RELATION_AGE, Worker};
use crate::clock::tai_minus_monotonic_ns;

/// Frames taken from the ports in one pass, between two looks at the clock; copies for a group included.
#[derive(Debug, Clone, Copy)]
pub(super) struct PassLimits {
    /// When there have been so many, no port is begun with; the last one may still give what it may give at least.
    pub frames: usize,
    /// From one port, so that a flood does not keep the others waiting.
    pub per_port: usize,
}

impl PassLimits {
    /// Something is due soon. About 2 µs of work.
    pub const NEAR: Self = Self {
        frames: 8,
        per_port: 4,
    };
    /// Nothing is due for long, so that passes and wake-ups are shared by more. Still less work than what counts as a
    /// stall, and a frame that comes in such a pass with less notice is late by no more.
    pub const QUIET: Self = Self {
        frames: 24,
        per_port: 16,
    };
}

/// Copies made in one go of the last frames of a pod. About 50 µs of work.
const LAST_COPIES: usize = 256;

impl<P: Port> Worker<P> {
    /// Takes frames from the uplink and from the pods in turn; delivers or queues them. How many came; 0 if there was
    /// nothing to do. None are taken before the pods have been woken for the last ones.
    pub(super) fn receive(&mut self, now: TaiTime) -> usize {
        if now - self.clocks_read_at >= CLOCK_RELATION_AGE {
            self.clocks.tai_minus_monotonic_ns = tai_minus_monotonic_ns();
            self.clocks_read_at = now;
        }
        if self.delivery.has_pods_to_wake() {
            self.wake_pods();
            return 1;
        }
        let mut frames = self.deliver();
        for _ in 0..self.places.len() {
            if self.delivery.is_flooding() {
                break;
            }
            let index = self.next_place;
            self.next_place = if index + 1 == self.places.len() {
                0
            } else {
                index + 1
            };
            let rest = self.pass.frames.saturating_sub(frames);
            let limit = rest.clamp(PassLimits::NEAR.per_port, self.pass.per_port);
            frames += self.receive_burst(index, limit, now);
            if frames >= self.pass.frames {
                break;
            }
        }
        if self.delivery.has_pods_to_wake() {
            self.wake_pods();
        }
        frames
    }

    /// Takes up to so many frames of a pod. How many there were, with those that were made of them.
    fn receive_burst(&mut self, index: usize, limit: usize, now: TaiTime) -> usize {
        let mut frames = 0;
        while self.has_last_frames(index) && frames < limit && !self.delivery.is_flooding() {
            match self.receive_from(index, now) {
                0 => break,
                more => frames += more,
            }
        }
        frames
    }

    /// Whether a pod's frames are still wanted. Once a drain has begun, only a port with a descriptor has last ones: the
    /// kernel sends it no more. What can only be polled stays live, and its frames wait at the other end.
    fn has_last_frames(&self, index: usize) -> bool {
        let pod = || self.places[index].pod.as_ref();
        self.draining.is_none() || pod().is_some_and(|pod| pod.port().readable().is_some())
    }

    /// Takes the frames of a pod that goes which have arrived by now: from a socket that stays open more may come for
    /// ever. Those that many others would get copies of are taken only as far as the worker has the time.
    pub(super) fn receive_rest(&mut self, index: usize, now: TaiTime) {
        let waiting = self.places[index].pod.as_mut();
        let waiting = waiting.map_or(0, |pod| pod.levels().receive_waiting);
        let mut copies = 0;
        for _ in 0..waiting {
            while self.delivery.is_flooding() {
                copies += self.flood_on();
            }
            if copies > LAST_COPIES || self.receive_from(index, now) == 0 {
                break;
            }
        }
        self.wake_pods();
    }

    /// Takes one frame of a pod, and delivers or queues it. How many frames that made; 0 if there was none.
    fn receive_from(&mut self, index: usize, now: TaiTime) -> usize {
        let Some(mut frame) = self.places[index].take() else {
            return 0;
        };
        let mut copies = 0;
        if !self.delivery.stations.is_empty() && !self.places[index].is_overlay() {
            match self.deliver_from_pod(index, frame) {
                (made, Some(kept)) => (copies, frame) = (made, kept),
                (_, None) => return 1,
            }
        }
        let clocks = self.clocks;
        let received = self.places[index].admit(frame, index, clocks, &mut self.forwarder, now);
        if let Received::Arrival(arrival) = received {
            let (_, stream) = untag(arrival.stream);
            let refused = self.scheduler.enqueue(self.on_wire(now), arrival).is_err();
            if let (true, Some(pod)) = (refused, &mut self.places[index].pod) {
                pod.count_refused(stream);
            }
        }
        1 + copies
    }
}
