//! To a device that holds each frame until its launch time ([`Port::transmit_at`]).
//!
//! The worker is ahead of the device: it decides on what starts from a device's lead and a slack to a lead and two
//! slacks from now, and gives every frame the instant at which the scheduler has it start. One slack is for the way to the
//! device, from the decision to the end of the wake-up; the other for what keeps the worker from the decision. So frames
//! leave at that instant, whatever keeps the worker for less than a slack; and gates need no margins. When it is kept from
//! the decision for longer, a frame starts later, and the device is not given an instant that it cannot keep; when it is
//! kept on the way, its clock tells that.

use tsn_core::{Nanoseconds, TaiTime};
use tsn_port::Port;

use super::Worker;
use super::burst::{Decision, MAX_FRAMES};
use super::transmit::launch_time;
use crate::clock::tai_now;

impl<P: Port> Worker<P> {
    /// What is no stall does no harm: the worker may need so long for the way to a device that holds frames, and come so
    /// much later to the decision.
    pub(super) fn slack(&self) -> Nanoseconds {
        if self.device_holds {
            self.stalls.threshold()
        } else {
            Nanoseconds::ZERO
        }
    }

    /// Hands the frames that the device has to know of to it. Whether there was something to decide on.
    pub(super) fn transmit_ahead(&mut self, now: TaiTime) -> bool {
        let horizon = now + self.lead.get() + self.slack() + self.slack();
        let mut decided = false;
        for _ in 0..MAX_FRAMES {
            let next = self.scheduler.next_event(self.on_wire(now));
            let Some(start) = next.filter(|start| *start <= horizon) else {
                break;
            };
            self.decided_up_to = start;
            decided = true;
            self.dequeue(start, now);
        }
        self.hand_over();
        self.wake_ahead(now);
        decided
    }

    fn wake_ahead(&mut self, now: TaiTime) {
        if self.burst.is_empty() {
            return;
        }
        self.wake_uplink();
        self.link_tried_at = now;
        // Never back: a clock that was set back is seen in the next turn.
        let given = tai_now().max(now);
        self.seen_at = given;
        self.stalls.observe(now, given);
        let mut decisions = self.burst.take_decisions();
        for decision in decisions.drain(..) {
            let stalled = self.is_stalled(&decision, now, given);
            // What was given too late leaves nobody knows when, and not before it was given.
            let left = decision.start.max(given);
            self.account(decision, left, stalled);
        }
        self.burst.give_back(decisions);
    }

    /// Whether a stall touched a frame that was decided on at `now` and `given` to the device: the device got it too late
    /// to keep its start, or the start is late since the worker was away when it should have decided.
    fn is_stalled(&mut self, decision: &Decision, now: TaiTime, given: TaiTime) -> bool {
        if !decision.taken || !self.uplink_state.up {
            return false;
        }
        let lead = self.lead.get();
        if given + lead > decision.start {
            // The way took longer than the slack: that is a stall, the latest.
            self.stalls.delayed(1, given);
            return true;
        }
        let ahead = lead + self.slack();
        decision.late_by > Nanoseconds::ZERO
            && launch_time(decision.launch)
                .is_some_and(|due| self.stalls.blamed_for(due - ahead, now))
    }
}
