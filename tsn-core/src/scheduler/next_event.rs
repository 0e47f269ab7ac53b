//! When to look again.

use super::{Scheduler, UNKNOWN};
use crate::class::TrafficClass;
use crate::gates::Close;
use crate::queue::{QueueKind, Terms};
use crate::schedule::Window;
use crate::time::{Nanoseconds, TaiTime};

/// How many windows that are too short for a frame are skipped before the caller is asked to look
/// again.
const WINDOWS_AHEAD: usize = 4;

/// What the frames of a class wait for.
#[derive(Default)]
struct Wait {
    event: Option<TaiTime>,
    /// The close of the gate, where a frame is held back because it does not end before it.
    held_until: Option<Close>,
}

impl<F> Scheduler<F> {
    /// The next instant at which [`Scheduler::dequeue`] may have something to do, if nothing else
    /// arrives and nothing is configured before; `None` when nothing is queued that can ever be
    /// sent.
    ///
    /// It is never later than the true instant, and usually exact. It is `now` only if a call of
    /// `dequeue` at `now` sends or drops a frame, so that calling the two in turn always makes
    /// progress.
    pub fn next_event(&mut self, now: TaiTime) -> Option<TaiTime> {
        if now < self.quiet_until {
            return Some(self.quiet_until);
        }
        self.advance_gates(now);
        let ready = now.max(self.busy_until);
        let mut earliest: Option<TaiTime> = None;
        for class in self.occupied {
            let Wait {
                mut event,
                held_until,
            } = self.class_wait(class, ready);
            match held_until {
                // No call of `dequeue` may come before the gate closes.
                Some(close) if ready == now => self.classes[class.index()].hold_back(now, close),
                // The guard band begins then, unless something is changed before.
                Some(_) => event = Some(ready),
                None => {}
            }
            earliest = earlier(earliest, event);
            if earliest == Some(ready) {
                break;
            }
        }
        self.quiet_until = earliest.unwrap_or(UNKNOWN);
        earliest
    }

    /// The earliest launch time of all queued frames; `None` if no frame has one. So long a caller
    /// may occupy itself with frames that have none, and keep no frame from its launch time.
    pub fn next_launch(&self) -> Option<TaiTime> {
        let heads = self.classes.iter().map(|class| class.queue.next_launch());
        heads.flatten().min()
    }

    /// What `class` waits for at `ready`, when the link is idle.
    fn class_wait(&self, class: TrafficClass, ready: TaiTime) -> Wait {
        let window = self.usable_window(class, ready - self.margins.after_open);
        if window == Window::Never {
            return Wait::until(Some(ready));
        }
        let mut wait = Wait::default();
        for &kind in &QueueKind::ALL {
            if let Some(head) = self.classes[class.index()].queue.head(kind) {
                let of_head = self.head_wait(class, head, window, ready);
                wait.event = earlier(wait.event, of_head.event);
                wait.held_until = wait.held_until.or(of_head.held_until);
                if wait.event == Some(ready) {
                    break;
                }
            }
        }
        wait
    }

    fn head_wait(&self, class: TrafficClass, head: &Terms, window: Window, ready: TaiTime) -> Wait {
        let after_open = self.margins.after_open;
        let gate_ready = ready - after_open;
        let next_phase = self
            .gates
            .next_phase(gate_ready)
            .map(|phase| phase + after_open);
        let eligible = ready.max(head.eligible_from());
        let Some(open) = self.gates.next_open(class, eligible - after_open) else {
            // Closed for good once the schedule changes: the frame is dropped then.
            return Wait::until(next_phase);
        };
        let open = (open + after_open).max(eligible);
        if open > ready || head.drop_cause(ready, window).is_some() {
            return Wait::until(Some(open));
        }
        let close = self.gates.close_time(class, gate_ready);
        if self.fits(ready, head.wire_time, close) {
            return Wait::until(Some(ready));
        }
        // Open, but the frame does not fit: wait for a window that holds it, or for its being
        // dropped, which lets those behind it go.
        let dropped_late = head
            .latest_start()
            .map(|latest| latest + Nanoseconds::from_nanos(1));
        Wait {
            event: earlier(
                self.next_window(class, close, head.wire_time),
                earlier(dropped_late, next_phase),
            ),
            held_until: Some(close),
        }
    }

    /// The next opening of `class` from its `close` on that holds `wire_time`, or an earlier one.
    fn next_window(
        &self,
        class: TrafficClass,
        mut close: Close,
        wire_time: Nanoseconds,
    ) -> Option<TaiTime> {
        let mut opening = None;
        for _ in 0..WINDOWS_AHEAD {
            let Close::At(closed) = close else {
                break;
            };
            let open = self.gates.next_open(class, closed)?;
            close = self.gates.close_time(class, open);
            let start = open + self.margins.after_open;
            opening = Some(start);
            if self.fits(start, wire_time, close) {
                break;
            }
        }
        opening
    }
}

impl Wait {
    fn until(event: Option<TaiTime>) -> Self {
        Wait {
            event,
            held_until: None,
        }
    }
}

fn earlier(one: Option<TaiTime>, other: Option<TaiTime>) -> Option<TaiTime> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
