//! From the scheduler to the uplink.

use tsn_core::{Departure, Launch, Nanoseconds, TaiTime};
use tsn_port::{Frame, Port};

use super::capture::CaptureRecord;
use super::pod::{Held, untag};
use super::{Worker, margins};
use crate::clock::tai_now;

/// How often a link that is down is tried again.
const LINK_RETRY: Nanoseconds = Nanoseconds::from_nanos(1_000_000);

impl<P: Port> Worker<P> {
    /// Sends the frame whose moment it is, if there is one.
    pub(super) fn transmit(&mut self, now: TaiTime) -> bool {
        let on_wire = self.on_wire(now);
        let (places, stalls) = (&mut self.places, &mut self.stalls);
        let departure = self.scheduler.dequeue_or_drop(on_wire, |dropped| {
            let stalled = dropped
                .launch
                .time()
                .is_some_and(|due| stalls.blamed_for(due, now));
            let (place, stream) = untag(dropped.stream);
            if let Some(pod) = places.get_mut(place).and_then(|place| place.pod.as_mut()) {
                pod.count_dropped(stream, stalled);
            }
        });
        let Some(departure) = departure else {
            return false;
        };
        if self.clock_action.dropped_classes & 1 << departure.class.as_u8() != 0 {
            self.uplink_state.dropped_clock_lost += 1;
        } else if !self.carrier || !self.uplink_is_up(now) {
            self.uplink_state.dropped_link_down += 1;
        } else {
            self.hand_over(departure, now);
        }
        true
    }

    /// Gives a frame to the uplink, and measures how that went.
    fn hand_over(&mut self, departure: Departure<Held<P::Frame>>, now: TaiTime) {
        let Departure {
            frame,
            class,
            stream,
            launch,
            start,
            end,
            gate_close,
            late_by,
            ..
        } = departure;
        let (place, stream) = untag(stream);
        let frame = frame.release();
        let copy = self.capture.as_ref().and_then(|tap| {
            let pod = self.places.get(place).and_then(|place| place.pod.as_ref());
            let source = pod.map(|pod| (pod.names(), stream));
            tap.copy(frame.bytes(), class, launch, source)
        });
        let taken = self.uplink.transmit(frame).is_ok();
        self.uplink_state.up = self.uplink.wake().is_ok();
        self.link_tried_at = now;
        let left = tai_now();
        self.seen_at = left;
        if !taken {
            // The ring is full of frames that the device cannot send.
            self.uplink_state.dropped_ring_full += 1;
            self.discard_copy(copy);
            return;
        }
        if !self.uplink_state.up {
            // It stays in the ring and leaves when the link is back, out of its time: for its stream it is lost.
            self.uplink_state.dropped_link_down += 1;
            self.discard_copy(copy);
            return;
        }
        let launch_time = match launch {
            Launch::At(time) => Some(time),
            Launch::By(_) | Launch::None => None,
        };
        let stalled = self.stalls.touches(class, launch_time, now, left);
        let wire_time = end - start;
        if stalled {
            // Nobody knows when in the wake-up it started.
            self.scheduler.occupy(left + wire_time);
        } else {
            self.lead.observe(left - now);
            self.scheduler
                .set_gate_margins(margins(self.lead, self.stalls.threshold()));
        }
        self.scheduler.departed(class, left + wire_time, gate_close);
        if let (Some(tap), Some(copy)) = (&self.capture, copy) {
            tap.departed(copy, left, stalled);
        }
        if let Some(pod) = self
            .places
            .get_mut(place)
            .and_then(|place| place.pod.as_mut())
        {
            let error_ns = |time: TaiTime| left.as_nanos() as i64 - time.as_nanos() as i64;
            let departure = launch_time.map(|time| (left, error_ns(time)));
            pod.count_sent(stream, late_by, stalled, departure);
        }
    }

    fn discard_copy(&self, copy: Option<Box<CaptureRecord>>) {
        if let (Some(tap), Some(copy)) = (&self.capture, copy) {
            tap.discard(copy);
        }
    }

    fn uplink_is_up(&mut self, now: TaiTime) -> bool {
        if !self.uplink_state.up && now - self.link_tried_at >= LINK_RETRY {
            self.link_tried_at = now;
            self.uplink_state.up = self.uplink.wake().is_ok();
        }
        self.uplink_state.up
    }
}
