//! The frames that share a wake-up.
//!
//! A wake-up of the device is a system call, and for small frames as dear as sending one. Frames without a launch time
//! need no wake-up of their own: several leave by one, as long as none of them keeps anything else from its time.

use tsn_core::{Close, Departure, Launch, Nanoseconds, TaiTime, TrafficClass};

use super::capture::CaptureRecord;
use super::pod::Held;
use super::quantile::{Quantile, RunningQuantile};

/// Frames of one wake-up at most.
pub const MAX_FRAMES: usize = 16;
/// How long the frames of one wake-up take at most, and so what they may cost a frame that comes in the meantime. A
/// maximum frame takes longer on a link of 1 Gb/s.
pub const LONGEST: Nanoseconds = Nanoseconds::from_nanos(8_000);

/// Frames that were decided on and have not been handed to the uplink.
#[derive(Debug)]
pub struct Burst<F> {
    frames: Vec<F>,
    decisions: Vec<Decision>,
    /// What each frame after the first adds to a wake-up.
    pub(super) each_further: RunningQuantile,
}

/// What is known of a frame whose moment it is.
#[derive(Debug)]
pub struct Decision {
    /// Its class.
    pub class: TrafficClass,
    /// Its pod's place and its stream.
    pub stream: u32,
    /// When it was to leave.
    pub launch: Launch,
    /// When the scheduler has it start on the wire.
    pub start: TaiTime,
    /// How long it occupies the link.
    pub wire_time: Nanoseconds,
    /// When its gate closes.
    pub gate_close: Close,
    /// How much later than its launch time or deadline it starts.
    pub late_by: Nanoseconds,
    /// Whether the uplink took it.
    pub taken: bool,
    /// Its copy, if somebody watches.
    pub copy: Option<Box<CaptureRecord>>,
}

impl<F> Burst<F> {
    /// An empty one. Until it is known better, a frame adds to a wake-up what a whole one takes: `wake_up`.
    pub fn new(wake_up: Nanoseconds) -> Self {
        Self {
            frames: Vec::with_capacity(MAX_FRAMES),
            decisions: Vec::with_capacity(MAX_FRAMES),
            each_further: RunningQuantile::from_durations_ns(
                Quantile::Median,
                &mut [wake_up.as_nanos()],
            ),
        }
    }

    /// Whether nothing has been decided on.
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    /// How many frames have been decided on.
    pub fn len(&self) -> usize {
        self.decisions.len()
    }

    /// One frame more.
    pub fn push(&mut self, departure: Departure<Held<F>>, copy: Option<Box<CaptureRecord>>) {
        self.decisions.push(Decision {
            class: departure.class,
            stream: departure.stream,
            launch: departure.launch,
            start: departure.start,
            wire_time: departure.end - departure.start,
            gate_close: departure.gate_close,
            late_by: departure.late_by,
            taken: false,
            copy,
        });
        self.frames.push(departure.frame.release());
    }

    /// When the next frame would start on the wire if it joined those that are there, and be sent before `limit`; `None`
    /// if it must have a wake-up of its own. That is so beside frames with a launch time, and where the link and not the
    /// wake-up is the limit: then joining gains nothing, and on a virtual link, which has no speed, a frame would be
    /// early.
    pub fn next_start(&self, limit: TaiTime) -> Option<TaiTime> {
        let last = self.decisions.last()?;
        let each = Nanoseconds::from_nanos(self.each_further.ns());
        let start = last.start + each;
        let may_join = last.launch == Launch::None
            && last.wire_time <= each
            && self.decisions.len() < MAX_FRAMES
            && start + each <= limit;
        may_join.then_some(start)
    }

    /// Gives every frame with its start to `transmit`, and notes what it says.
    pub fn transmit(&mut self, mut transmit: impl FnMut(F, TaiTime) -> bool) {
        for (frame, decision) in self.frames.drain(..).zip(&mut self.decisions) {
            decision.taken = transmit(frame, decision.start);
        }
    }

    /// Class and launch of the first frame.
    pub fn first(&self) -> Option<(TrafficClass, Launch)> {
        let first = self.decisions.first()?;
        Some((first.class, first.launch))
    }

    /// Takes the decisions out, to be gone through; [`give_back`](Self::give_back) their memory.
    pub fn take_decisions(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.decisions)
    }

    /// Gives back the memory of decisions that were gone through.
    pub fn give_back(&mut self, mut emptied: Vec<Decision>) {
        emptied.clear();
        self.decisions = emptied;
    }

    /// What the frames after the first are thought to add to the wake-up.
    pub fn further(&self) -> Nanoseconds {
        Nanoseconds::from_nanos(self.each_further.ns() * (self.len() as u64).saturating_sub(1))
    }

    /// The wake-up took this long where one for a single frame takes `single`.
    pub fn observe(&mut self, wake_up: Nanoseconds, single: Nanoseconds) {
        if let Some(further @ 1..) = (self.len() as u64).checked_sub(1) {
            self.each_further
                .observe((wake_up - single).as_nanos() / further);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAKE_UP: Nanoseconds = Nanoseconds::from_nanos(1_000);

    fn at(ns: u64) -> TaiTime {
        TaiTime::from_nanos(ns)
    }

    fn departure(start_ns: u64, wire_ns: u64, launch: Launch) -> Departure<Held<u32>> {
        Departure {
            frame: Held::alone(7),
            class: TrafficClass::ALL[0],
            stream: 0,
            length_bytes: 60,
            launch,
            start: at(start_ns),
            end: at(start_ns + wire_ns),
            gate_close: Close::Never,
            late_by: Nanoseconds::ZERO,
        }
    }

    #[test]
    fn frames_join_until_the_limit() {
        let mut burst = Burst::new(WAKE_UP);
        assert_eq!(burst.next_start(at(9_000)), None);
        burst.push(departure(5_000, 100, Launch::None), None);
        assert_eq!(burst.next_start(at(7_000)), Some(at(6_000)));
        assert_eq!(burst.next_start(at(6_999)), None);
        for start_ns in 1..MAX_FRAMES as u64 {
            burst.push(departure(5_000 + start_ns, 100, Launch::None), None);
        }
        assert_eq!(burst.next_start(TaiTime::MAX), None);
    }

    #[test]
    fn a_launch_time_or_a_slow_link_asks_for_a_wake_up_of_its_own() {
        for alone in [
            departure(5_000, 100, Launch::At(at(5_000))),
            departure(5_000, 100, Launch::By(at(9_000))),
            departure(5_000, 1_001, Launch::None),
        ] {
            let mut burst = Burst::new(WAKE_UP);
            burst.push(alone, None);
            assert_eq!(burst.next_start(TaiTime::MAX), None);
        }
    }

    #[test]
    fn it_learns_what_a_further_frame_costs() {
        let mut burst = Burst::new(WAKE_UP);
        for start_ns in [0, 1_000, 2_000] {
            burst.push(departure(start_ns, 100, Launch::None), None);
        }
        assert_eq!(burst.further().as_nanos(), 2_000);
        for _ in 0..500 {
            burst.observe(Nanoseconds::from_nanos(2_200), WAKE_UP);
        }
        assert_eq!(burst.further().as_nanos(), 1_200);
    }

    #[test]
    fn every_frame_is_handed_over_and_what_was_refused_is_known() {
        let mut burst = Burst::new(WAKE_UP);
        for start_ns in [0, 1_000] {
            burst.push(departure(start_ns, 100, Launch::None), None);
        }
        let mut room = 1;
        burst.transmit(|frame, _| {
            assert_eq!(frame, 7);
            room -= 1;
            room >= 0
        });
        let decisions = burst.take_decisions();
        let taken: Vec<bool> = decisions.iter().map(|decision| decision.taken).collect();
        assert_eq!(taken, [true, false]);
        burst.give_back(decisions);
        assert!(burst.is_empty());
    }
}
