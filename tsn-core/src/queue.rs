//! The three queues of one traffic class over one preallocated slab.

use std::collections::VecDeque;

use crate::counters::DropCause;
use crate::frame::{LateAction, LatePolicy, Launch};
use crate::heap::TimeHeap;
use crate::schedule::Window;
use crate::time::{Nanoseconds, TaiTime};

/// A frame that waits.
#[derive(Debug)]
pub(crate) struct Queued<F> {
    pub frame: F,
    pub stream: u32,
    pub length_bytes: u32,
    pub terms: Terms,
}

/// What decides when a frame may be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How long the frame occupies the link.
    pub wire_time: Nanoseconds,
    pub launch: Launch,
    pub late: LatePolicy,
}

/// The queues of a class, in the order in which they are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum QueueKind {
    /// By launch time; the head is eligible once its time has come.
    Launch,
    /// By deadline; the head is eligible at once.
    Deadline,
    /// By arrival.
    Fifo,
}

#[derive(Debug)]
pub(crate) struct ClassQueue<F> {
    slots: Vec<Option<Queued<F>>>,
    free: Vec<u32>,
    launch: TimeHeap,
    deadline: TimeHeap,
    fifo: VecDeque<u32>,
    arrivals: u64,
}

impl QueueKind {
    pub const ALL: [QueueKind; 3] = [QueueKind::Launch, QueueKind::Deadline, QueueKind::Fifo];
}

impl Terms {
    /// The first instant at which the frame may be looked at.
    pub fn eligible_from(&self) -> TaiTime {
        match self.launch {
            Launch::At(time) => time,
            Launch::By(_) | Launch::None => TaiTime::from_nanos(0),
        }
    }

    /// The last instant at which the frame may still start; `None` where it is sent however late.
    pub fn latest_start(&self) -> Option<TaiTime> {
        match self.late.action {
            LateAction::Drop => self.launch.time().map(|time| time + self.late.tolerance),
            LateAction::Send => None,
        }
    }

    /// Why the frame cannot be sent at `now` or later, if so. `window` is the longest of its class.
    pub fn drop_cause(&self, now: TaiTime, window: Window) -> Option<DropCause> {
        if self.latest_start().is_some_and(|latest| latest < now) {
            return Some(match self.launch {
                Launch::By(_) => DropCause::DeadlineMissed,
                Launch::At(_) | Launch::None => DropCause::Late,
            });
        }
        match window {
            Window::Never => Some(DropCause::GateNeverOpens),
            Window::Longest(longest) if self.wire_time > longest => Some(DropCause::NeverFits),
            Window::Longest(_) | Window::Always => None,
        }
    }
}

impl<F> ClassQueue<F> {
    /// Queues for `capacity` frames in all. The only place that allocates.
    pub fn new(capacity: u32) -> Self {
        let frames = capacity as usize;
        ClassQueue {
            slots: std::iter::repeat_with(|| None).take(frames).collect(),
            free: (0..capacity).rev().collect(),
            launch: TimeHeap::with_capacity(frames),
            deadline: TimeHeap::with_capacity(frames),
            fifo: VecDeque::with_capacity(frames),
            arrivals: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Puts a frame in its queue, which must not be full.
    #[inline]
    pub fn push(&mut self, queued: Queued<F>) {
        debug_assert!(!self.is_full());
        let Some(slot) = self.free.pop() else {
            return;
        };
        self.arrivals += 1;
        match queued.terms.launch {
            Launch::At(time) => self.launch.push(time, self.arrivals, slot),
            Launch::By(time) => self.deadline.push(time, self.arrivals, slot),
            Launch::None => self.fifo.push_back(slot),
        }
        self.slots[slot as usize] = Some(queued);
    }

    #[inline]
    pub fn head(&self, kind: QueueKind) -> Option<&Terms> {
        let slot = match kind {
            QueueKind::Launch => self.launch.first()?.1,
            QueueKind::Deadline => self.deadline.first()?.1,
            QueueKind::Fifo => *self.fifo.front()?,
        };
        self.slots[slot as usize]
            .as_ref()
            .map(|queued| &queued.terms)
    }

    /// The earliest launch time.
    pub fn next_launch(&self) -> Option<TaiTime> {
        self.launch.first().map(|(time, _)| time)
    }

    #[inline]
    pub fn pop(&mut self, kind: QueueKind) -> Option<Queued<F>> {
        let slot = match kind {
            QueueKind::Launch => self.launch.pop()?,
            QueueKind::Deadline => self.deadline.pop()?,
            QueueKind::Fifo => self.fifo.pop_front()?,
        };
        self.free.push(slot);
        self.slots[slot as usize].take()
    }

    /// Every frame in the queues, in no order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Queued<F>> {
        self.slots.iter_mut().flatten()
    }
}
