//! Transmission selection (IEEE 802.1Q 8.6.8): strict priority among the classes that have a frame
//! whose time has come, whose gate is open and which fits before the gate closes.

use super::{Class, Scheduler};
use crate::class::TrafficClass;
use crate::frame::{Departure, Dropped, Launch};
use crate::gates::Close;
use crate::queue::{QueueKind, Terms};
use crate::schedule::Window;
use crate::time::{Nanoseconds, TaiTime};

/// The most frames that one call of [`Scheduler::dequeue`] drops, so that a call that follows a
/// long stall does not take so long that its `now` becomes untrue.
const MAX_DROPS_PER_CALL: usize = 64;

/// The call has dropped as many frames as one call may.
struct TooManyDrops;

impl<F> Scheduler<F> {
    /// The frame that starts on the wire at `now`, if one does. The link is occupied by it from
    /// then on, and nothing else starts before it has ended.
    ///
    /// Within a class a frame whose launch time has come goes first, then the earliest deadline,
    /// then the others in order of arrival. The head of each of these queues holds back those
    /// behind it, but no other queue. Frames that it comes upon and that can no longer be sent are
    /// dropped and counted, at most 64 in one call: after `None`, [`Scheduler::next_event`] tells
    /// whether to call again at once.
    pub fn dequeue(&mut self, now: TaiTime) -> Option<Departure<F>> {
        self.dequeue_or_drop(now, drop)
    }

    /// As [`Scheduler::dequeue`], and hands out what it drops.
    pub fn dequeue_or_drop(
        &mut self,
        now: TaiTime,
        mut dropped: impl FnMut(Dropped<F>),
    ) -> Option<Departure<F>> {
        let gate_now = self.advance_gates(now);
        if now < self.busy_until || now < self.quiet_until {
            return None;
        }
        let open = self.gates.states(gate_now);
        let mut drops_left = MAX_DROPS_PER_CALL;
        for class in self.occupied {
            let window = self.usable_window(class, gate_now);
            if window == Window::Never {
                self.discard_all(class, now, &mut drops_left, &mut dropped)
                    .ok()?;
            } else if open.is_open(class) {
                let gate_close = self.gates.close_time(class, gate_now);
                if let Some(kind) = self
                    .select(
                        class,
                        now,
                        window,
                        gate_close,
                        &mut drops_left,
                        &mut dropped,
                    )
                    .ok()?
                {
                    return self.depart(class, kind, now, gate_close);
                }
            }
        }
        None
    }

    fn select(
        &mut self,
        class: TrafficClass,
        now: TaiTime,
        window: Window,
        gate_close: Close,
        drops_left: &mut usize,
        dropped: &mut impl FnMut(Dropped<F>),
    ) -> Result<Option<QueueKind>, TooManyDrops> {
        for &kind in &QueueKind::ALL {
            while let Some(head) = self.classes[class.index()].queue.head(kind) {
                if head.eligible_from() > now {
                    break;
                }
                if let Some(cause) = head.drop_cause(now, window) {
                    *drops_left = drops_left.checked_sub(1).ok_or(TooManyDrops)?;
                    self.discard(class, kind, cause, dropped);
                } else if self.fits(now, head.wire_time, gate_close) {
                    return Ok(Some(kind));
                } else {
                    self.classes[class.index()].hold_back(now, gate_close);
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Drops the frames of a class whose gate never opens any more.
    fn discard_all(
        &mut self,
        class: TrafficClass,
        now: TaiTime,
        drops_left: &mut usize,
        dropped: &mut impl FnMut(Dropped<F>),
    ) -> Result<(), TooManyDrops> {
        for kind in QueueKind::ALL {
            while let Some(head) = self.classes[class.index()].queue.head(kind) {
                let Some(cause) = head.drop_cause(now, Window::Never) else {
                    break;
                };
                *drops_left = drops_left.checked_sub(1).ok_or(TooManyDrops)?;
                self.discard(class, kind, cause, dropped);
            }
        }
        Ok(())
    }

    fn depart(
        &mut self,
        class: TrafficClass,
        kind: QueueKind,
        now: TaiTime,
        gate_close: Close,
    ) -> Option<Departure<F>> {
        let Class {
            queue, counters, ..
        } = &mut self.classes[class.index()];
        let queued = queue.pop(kind)?;
        let Terms {
            wire_time,
            launch,
            late,
        } = queued.terms;
        let late_by = launch.time().map_or(Nanoseconds::ZERO, |time| now - time);
        let end = now + wire_time;
        self.busy_until = end;

        counters.queued -= 1;
        counters.sent += 1;
        counters.sent_bytes += u64::from(queued.length_bytes);
        if launch != Launch::None && late_by > late.tolerance {
            counters.sent_late += 1;
        }
        self.left(class);
        Some(Departure {
            frame: queued.frame,
            class,
            stream: queued.stream,
            length_bytes: queued.length_bytes,
            launch,
            start: now,
            end,
            gate_close,
            late_by,
        })
    }
}
