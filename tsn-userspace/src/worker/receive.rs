//! From the ports: a burst of frames, to be delivered or to be scheduled.

use tsn_core::TaiTime;
use tsn_port::Port;

use super::pod::{Received, untag};
use super::{CLOCK_RELATION_AGE, RECEIVE_BURST, RECEIVE_BURST_PER_POD, Worker};
use crate::clock::tai_minus_monotonic_ns;

impl<P: Port> Worker<P> {
    /// Takes frames from the uplink and from the pods in turn; delivers or queues them. How many came.
    pub(super) fn receive(&mut self, now: TaiTime) -> usize {
        if now - self.clocks_read_at >= CLOCK_RELATION_AGE {
            self.clocks.tai_minus_monotonic_ns = tai_minus_monotonic_ns();
            self.clocks_read_at = now;
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
            frames += self.receive_burst(index, now);
            if frames >= RECEIVE_BURST {
                break;
            }
        }
        self.wake_pods();
        frames
    }

    /// Takes frames of a pod. How many there were, with those that were made of them.
    fn receive_burst(&mut self, index: usize, now: TaiTime) -> usize {
        let mut frames = 0;
        while frames < RECEIVE_BURST_PER_POD && !self.delivery.is_flooding() {
            match self.receive_from(index, now) {
                0 => break,
                more => frames += more,
            }
        }
        frames
    }

    /// Takes all frames of a pod that goes.
    pub(super) fn receive_rest(&mut self, index: usize, now: TaiTime) {
        loop {
            while self.delivery.is_flooding() {
                self.flood_on();
            }
            if self.receive_from(index, now) == 0 {
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
        if !self.delivery.stations.is_empty() {
            match self.deliver_from_pod(index, frame) {
                (made, Some(kept)) => (copies, frame) = (made, kept),
                (_, None) => return 1,
            }
        }
        let received = self.places[index].admit(frame, index, self.clocks, now);
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
