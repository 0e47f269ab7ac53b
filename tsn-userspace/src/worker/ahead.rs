//! To a device that holds each frame until its launch time ([`Port::transmit_at`]).
//!
//! The worker is ahead of the device: it decides on what starts up to a device's lead and a slack
//! from now, and gives every frame the instant at which the scheduler has it start. So frames leave at that instant,
//! whatever keeps the worker for less than the slack; and gates need no margins. When the worker is kept for longer, the
//! scheduler is asked for what starts a lead from now and later: the device is never given an instant that it cannot
//! keep, unless the worker is stopped between the decision and the end of the wake-up. Its clock tells that.

use tsn_core::{Nanoseconds, TaiTime};
use tsn_port::Port;

use super::Worker;
use super::burst::{Decision, MAX_FRAMES};
use super::transmit::launch_time;
use crate::clock::tai_now;

impl<P: Port> Worker<P> {
    /// How much sooner than the device needs it the worker decides: what is no stall then does no harm.
    pub(super) fn slack(&self) -> Nanoseconds {
        if self.device_holds {
            self.stalls.threshold()
        } else {
            Nanoseconds::ZERO
        }
    }

    /// Hands the frames that the device has to know of to it. Whether there was something to decide on.
    pub(super) fn transmit_ahead(&mut self, now: TaiTime) -> bool {
        let horizon = now + self.lead.get() + self.slack();
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
            self.stalls.delayed(1, given);
            return true;
        }
        let ahead = lead + self.slack();
        decision.late_by > Nanoseconds::ZERO
            && launch_time(decision.launch)
                .is_some_and(|due| self.stalls.blamed_for(due - ahead, now))
    }
}
