//! From the scheduler to the uplink.

use tsn_core::{Departure, Launch, Nanoseconds, TaiTime};
use tsn_port::{Frame, Port};

use super::burst::{self, Decision};
use super::pod::{Held, untag};
use super::{Worker, margins};
use crate::clock::tai_now;

/// How often a link that is down is tried again.
const LINK_RETRY: Nanoseconds = Nanoseconds::from_nanos(1_000_000);

impl<P: Port> Worker<P> {
    /// Sends the frames whose moment it is, if there are any.
    pub(super) fn transmit(&mut self, now: TaiTime) -> bool {
        if self.device_holds {
            return self.transmit_ahead(now);
        }
        let decided = self.decide(self.on_wire(now), now);
        self.hand_over();
        self.wake(now, false);
        decided
    }

    /// Sends the frames whose moment is `moment`, which is near: does all that can be done before, so that the wake-up
    /// alone is left when it has come.
    pub(super) fn transmit_at(&mut self, moment: TaiTime) {
        self.decide(self.on_wire(moment), self.seen_at);
        if self.waits_for_wake {
            self.hand_over();
        }
        let (now, stalled) = self.spin_until(moment);
        if !self.waits_for_wake {
            self.hand_over();
        }
        let stalled = stalled && now > moment + self.stalls.threshold();
        // What the worker lost on the way counts as part of the wake-up, but not twice.
        self.wake(if stalled { now } else { moment.min(now) }, stalled);
    }

    /// Decides on the frames that leave at `on_wire` by one wake-up. Whether a frame was taken from the queues to be
    /// sent, though it may have been dropped for the clock or the link.
    fn decide(&mut self, on_wire: TaiTime, now: TaiTime) -> bool {
        if !self.dequeue(on_wire, now) {
            return false;
        }
        let mut limit = on_wire + burst::LONGEST;
        if let Some(launch_time) = self.scheduler.next_launch() {
            // Its own wake-up is not to wait for the end of this one.
            limit = limit.min(launch_time - self.lead.get());
        }
        // The gates as the scheduler looks at them, a lead before a frame is on the wire. A burst does not outlast them:
        // its later frames may be sooner than they are thought to be.
        let lead = self.lead.get();
        let gates = self.scheduler.gates().states(on_wire - lead);
        while let Some(start) = self.burst.next_start(limit) {
            if self.scheduler.gates().states(start - lead) != gates {
                break;
            }
            self.scheduler.occupy(start);
            self.decided_up_to = start;
            if !self.dequeue(start, now) {
                break;
            }
        }
        true
    }

    /// Takes the next frame that starts at `on_wire` from the queues, if there is one.
    pub(super) fn dequeue(&mut self, on_wire: TaiTime, now: TaiTime) -> bool {
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
            self.count_unsent(departure.stream);
        } else if !self.carrier || !self.uplink_is_up(now) {
            self.uplink_state.dropped_link_down += 1;
            self.count_unsent(departure.stream);
        } else {
            self.join_burst(departure);
        }
        true
    }

    fn join_burst(&mut self, departure: Departure<Held<P::Frame>>) {
        let copy = self.capture.as_mut().and_then(|tap| {
            let (place, stream) = untag(departure.stream);
            let pod = self.places.get(place).and_then(|place| place.pod.as_ref());
            let source = pod.map(|pod| (pod.names(), stream));
            let bytes = departure.frame.frame.bytes();
            tap.copy(bytes, departure.class, departure.launch, source)
        });
        self.burst.push(departure, copy);
    }

    /// Gives the frames that were decided on to the uplink.
    pub(super) fn hand_over(&mut self) {
        let uplink = &mut self.uplink;
        self.burst
            .transmit(|frame, start| uplink.transmit_at(frame, start.as_nanos()).is_ok());
    }

    /// Lets the uplink send what it was given at `now`, and measures how that went. A stall may have kept the worker
    /// until then.
    fn wake(&mut self, now: TaiTime, stalled_before: bool) {
        if self.burst.is_empty() {
            return;
        }
        self.wake_uplink();
        self.link_tried_at = now;
        let left = tai_now();
        // Never back: a clock that was set back is seen in the next turn.
        self.seen_at = left.max(now);
        let stalled = self.judge(now, left, stalled_before);
        let mut decisions = self.burst.take_decisions();
        let frames = decisions.len() as u64;
        for (number, decision) in (1..).zip(decisions.drain(..)) {
            // As far as anybody knows, they left at even distances.
            let part = (left - now).as_nanos() * number / frames;
            self.account(decision, now + Nanoseconds::from_nanos(part), stalled);
        }
        self.burst.give_back(decisions);
    }

    /// The wake-up for the frames that were decided on lasted from `now` to `left`. Whether a stall touched it.
    fn judge(&mut self, now: TaiTime, left: TaiTime, stalled_before: bool) -> bool {
        let Some((class, launch)) = self.burst.first().filter(|_| self.uplink_state.up) else {
            return false;
        };
        let (frames, further) = (self.burst.len() as u32, self.burst.further());
        let due = launch_time(launch);
        let mut stalled = self.stalls.touches(class, due, now, left, frames, further);
        if stalled_before && !stalled {
            self.stalls.delayed(frames, left);
            stalled = true;
        }
        if !stalled && frames == 1 {
            self.lead.observe(left - now);
            self.scheduler
                .set_gate_margins(margins(self.lead, self.stalls.threshold()));
        } else if !stalled {
            self.burst.observe(left - now, self.lead.get());
        }
        stalled
    }

    /// A frame has left, or has not.
    pub(super) fn account(&mut self, decision: Decision, left: TaiTime, stalled: bool) {
        if !decision.taken || !self.uplink_state.up {
            if decision.taken {
                // It stays in the ring and leaves when the link is back, out of its time: for its stream it is lost.
                self.uplink_state.dropped_link_down += 1;
            } else {
                // The ring is full of frames that the device cannot send.
                self.uplink_state.dropped_ring_full += 1;
            }
            self.count_unsent(decision.stream);
            if let (Some(tap), Some(copy)) = (&mut self.capture, decision.copy) {
                tap.discard(copy);
            }
            return;
        }
        let end = left + decision.wire_time;
        if stalled {
            // Nobody knows when in the wake-up it started.
            self.scheduler.occupy(end);
        }
        self.scheduler
            .departed(decision.class, end, decision.gate_close);
        if let (Some(tap), Some(copy)) = (&mut self.capture, decision.copy) {
            tap.departed(copy, left, stalled);
        }
        let (place, stream) = untag(decision.stream);
        if let Some(pod) = self
            .places
            .get_mut(place)
            .and_then(|place| place.pod.as_mut())
        {
            let error_ns = |time: TaiTime| left.as_nanos() as i64 - time.as_nanos() as i64;
            let departure = launch_time(decision.launch).map(|time| (left, error_ns(time)));
            pod.count_sent(stream, decision.late_by, stalled, departure);
        }
    }

    /// A frame that the scheduler had chosen was not sent after all.
    fn count_unsent(&mut self, stream: u32) {
        let (place, stream) = untag(stream);
        let place = self.places.get_mut(place);
        if let Some(pod) = place.and_then(|place| place.pod.as_mut()) {
            pod.count_dropped(stream, false);
        }
    }

    /// Has the uplink send, and notes whether it can.
    pub(super) fn wake_uplink(&mut self) {
        self.uplink_failure = self.uplink.wake().err();
        self.uplink_state.up = self.uplink_failure.is_none();
    }

    fn uplink_is_up(&mut self, now: TaiTime) -> bool {
        if !self.uplink_state.up && now - self.link_tried_at >= LINK_RETRY {
            self.link_tried_at = now;
            self.wake_uplink();
        }
        self.uplink_state.up
    }
}

/// The instant at which a frame was to leave; a deadline is none.
pub(super) fn launch_time(launch: Launch) -> Option<TaiTime> {
    match launch {
        Launch::At(time) => Some(time),
        Launch::By(_) | Launch::None => None,
    }
}
