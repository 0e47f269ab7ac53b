//! A pod's port in the worker: from a received frame to an arrival at the scheduler.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tsn_common::{Rule, Stamp, TimeBase, first_match, parse};
use tsn_core::{Arrival, Color, FlowMeter, Launch, Nanoseconds, TaiTime};
use tsn_port::{Frame, PodMode, Port, PortCounters, PortLevels};

use super::forward::Forwarder;
use super::histogram::LaunchErrors;
use super::worst::WorstLastMinute;
use crate::config::{CompiledPod, LaunchTimeUse, Treatment};

/// Launch times further ahead than this are refused: nothing that lasts so long belongs into a queue.
const HORIZON_NS: u64 = 10_000_000_000;
/// How near to exactly TAI − UTC a launch time must be off to be recognised as taken from the wrong clock.
const WRONG_CLOCK_WINDOW_NS: u64 = 1_000_000_000;

/// The frame check sequence, which a flow meter counts and no port has.
const FCS_BYTES: u32 = 4;

/// A frame in the scheduler's queues. Dropping it gives its buffer back and its place in the pod's quota.
#[derive(Debug)]
pub struct Held<F> {
    /// The frame.
    pub frame: F,
    place: Place,
}

#[derive(Debug)]
struct Place(Rc<Cell<u32>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// What the worker counts for each pod before the scheduler sees a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PodDrops {
    /// Frames that no rule matched (the rules changed while they were on their way).
    pub unmatched: u64,
    /// Frames beyond the pod's quota of waiting frames.
    pub quota_exceeded: u64,
    /// Frames with a launch time more than 10 s ahead.
    pub launch_time_too_far: u64,
    /// Frames whose launch time is off by TAI − UTC: the application used CLOCK_REALTIME.
    pub launch_time_wrong_clock: u64,
    /// Frames beyond what the flow meter of their stream lets pass.
    pub flow_meter_red: u64,
    /// Frames of a pod in overlay mode that no known next hop could be given ([`Forwarder::forward`]).
    pub no_next_hop: u64,
}

impl PodDrops {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.unmatched
            + self.quota_exceeded
            + self.launch_time_too_far
            + self.launch_time_wrong_clock
            + self.flow_meter_red
            + self.no_next_hop
    }
}

/// What the worker counts of the frames that it brings to a pod, or from it to another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PodDelivery {
    /// Frames for the pod that its port took.
    pub delivered: u64,
    /// Frames for the pod that were dropped since the transmit ring of its port was full: its end takes too little.
    pub ring_full: u64,
    /// Copies of frames for a group that were not made for want of a buffer: the pod's, or all of a frame that it sent.
    pub no_buffer: u64,
    /// Frames of the pod for another pod of the node, which were delivered there or dropped, and not scheduled.
    pub to_pod: u64,
}

/// What the worker counts for each stream of a pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Frames that were classified as this stream.
    pub received: u64,
    /// Frames that the stream's flow meter found to be red.
    pub red: u64,
    /// Frames that the scheduler refused, whatever the cause (the class counts the causes).
    pub refused: u64,
    /// Frames that were dropped after the scheduler had accepted them: from its queues (the class counts the causes), or
    /// when they were to be sent (the uplink does).
    pub dropped: u64,
    /// Frames that were handed to the uplink.
    pub sent: u64,
    /// Of `sent`: frames that left later than launch time plus tolerance.
    pub sent_late: u64,
    /// Of `sent` and `dropped`: frames that a stall of the worker touched.
    pub stalled: u64,
    /// Departure − launch time of frames with one that no stall touched.
    pub launch_errors: LaunchErrors,
}

/// Relation of the clocks at the moment of classification.
#[derive(Debug, Clone, Copy)]
pub struct ClockRelation {
    /// What must be added to CLOCK_MONOTONIC to make it CLOCK_TAI (wrapping).
    pub tai_minus_monotonic_ns: u64,
    /// TAI − UTC, known or assumed.
    pub tai_minus_utc_ns: u64,
}

/// What people call a pod and its streams.
#[derive(Debug, PartialEq, Eq)]
pub struct PodNames {
    /// The pod.
    pub pod: String,
    /// Its streams in the order of the configuration.
    pub streams: Vec<String>,
}

/// A pod's port and what the worker must know of the pod.
#[derive(Debug)]
pub struct PodPort<P> {
    port: P,
    names: Arc<PodNames>,
    mode: PodMode,
    rules: Vec<Rule>,
    treatments: Vec<Treatment>,
    flow_meters: Vec<Option<FlowMeter>>,
    frame_quota: u32,
    drops: PodDrops,
    delivery: PodDelivery,
    streams: Vec<StreamCounters>,
    worst: Vec<WorstLastMinute>,
}

/// What the rules and the stamp of a frame say of it.
#[derive(Debug)]
struct Classified {
    stream: usize,
    launch: Launch,
    /// What is in front of its service data unit.
    header_bytes: u32,
}

/// A pod's place in the worker: survives the port until the last frame of it has left the queues.
#[derive(Debug)]
pub struct PodPlace<P> {
    /// The pod, while it is attached.
    pub pod: Option<PodPort<P>>,
    waiting: Rc<Cell<u32>>,
}

impl<P> PodPlace<P> {
    /// A place for this pod.
    pub fn new(pod: PodPort<P>) -> Self {
        Self {
            pod: Some(pod),
            waiting: Rc::new(Cell::new(0)),
        }
    }

    /// Frames of this pod in the queues.
    pub fn waiting(&self) -> u32 {
        self.waiting.get()
    }

    /// Whether the frames of the pod are for routers, not for stations.
    pub fn is_overlay(&self) -> bool {
        let mode = self.pod.as_ref().map(|pod| pod.mode);
        mode == Some(PodMode::Overlay)
    }

    /// Whether another pod can have this place.
    pub fn is_free(&self) -> bool {
        self.pod.is_none() && self.waiting() == 0
    }
}

impl<P: Port> PodPort<P> {
    /// Joins a port with what the configuration says of its pod.
    pub fn new(port: P, pod: &CompiledPod, frame_quota: u32) -> Self {
        Self {
            port,
            names: Arc::new(PodNames {
                pod: pod.attachment.name.clone(),
                streams: pod.stream_names.clone(),
            }),
            mode: pod.attachment.mode,
            rules: pod.attachment.rules.clone(),
            treatments: pod.treatments.clone(),
            flow_meters: pod
                .treatments
                .iter()
                .map(|treatment| treatment.flow_meter.map(FlowMeter::new))
                .collect(),
            frame_quota,
            drops: PodDrops::default(),
            delivery: PodDelivery::default(),
            streams: vec![StreamCounters::default(); pod.treatments.len()],
            worst: vec![WorstLastMinute::default(); pod.treatments.len()],
        }
    }

    /// The port.
    pub fn port(&self) -> &P {
        &self.port
    }

    /// What people call it.
    pub fn names(&self) -> &Arc<PodNames> {
        &self.names
    }

    /// Of each stream, the error of largest magnitude in the last minute, in nanoseconds.
    pub fn worst_last_minute_ns(&self, now: TaiTime) -> impl Iterator<Item = Option<i64>> {
        self.worst.iter().map(move |worst| worst.get(now))
    }

    /// Counters of the port, the pod's drops, and its streams in the order of the configuration.
    pub fn counters(&self) -> (PortCounters, PodDrops, &[StreamCounters]) {
        (self.port.counters(), self.drops, &self.streams)
    }

    /// How full the port's rings are.
    pub fn levels(&mut self) -> PortLevels {
        self.port.levels()
    }

    /// A frame for this pod: into its port, to be sent by the next wake-up, or dropped and counted.
    pub fn deliver(&mut self, frame: P::Frame) {
        match self.port.transmit(frame) {
            Ok(()) => self.delivery.delivered += 1,
            Err(_) => self.delivery.ring_full += 1,
        }
    }

    /// The same with a copy of a frame that others get too. How many bytes were copied.
    pub fn deliver_copy(&mut self, frame: &P::Frame) -> u64 {
        let bytes = frame.bytes();
        let Some(mut copy) = self.port.allocate(bytes.len()) else {
            self.count_no_buffer(1);
            return 0;
        };
        copy.bytes_mut().copy_from_slice(bytes);
        self.deliver(copy);
        bytes.len() as u64
    }

    /// So many copies of a frame for a group were not made for want of a buffer: this pod's, or those of its own frame
    /// for all others.
    pub fn count_no_buffer(&mut self, copies: u64) {
        self.delivery.no_buffer += copies;
    }

    /// A frame of this pod was for another one of the node.
    pub fn count_to_pod(&mut self) {
        self.delivery.to_pod += 1;
    }

    /// Lets the pod's end take what was delivered.
    pub fn wake(&mut self) -> Result<(), P::Error> {
        self.port.wake()
    }

    /// What was delivered to this pod, and from it to others.
    pub fn delivery(&self) -> PodDelivery {
        self.delivery
    }

    /// The scheduler refused a frame of this stream.
    pub fn count_refused(&mut self, stream: usize) {
        if let Some(counters) = self.streams.get_mut(stream) {
            counters.refused += 1;
        }
    }

    /// A frame of this stream was dropped after the scheduler had accepted it.
    pub fn count_dropped(&mut self, stream: usize, stalled: bool) {
        if let Some(counters) = self.streams.get_mut(stream) {
            counters.dropped += 1;
            counters.stalled += u64::from(stalled);
        }
    }

    /// A frame of this stream was handed to the uplink, so late; `departure` comes with its
    /// distance from the launch time, in nanoseconds.
    pub fn count_sent(
        &mut self,
        stream: usize,
        late_by: Nanoseconds,
        stalled: bool,
        departure: Option<(TaiTime, i64)>,
    ) {
        // A stream that is no longer there: the pod was replaced while its frame waited.
        let Some(counters) = self.streams.get_mut(stream) else {
            return;
        };
        counters.sent += 1;
        counters.sent_late += u64::from(late_by > self.treatments[stream].late.tolerance);
        counters.stalled += u64::from(stalled);
        if let Some((at, error_ns)) = departure {
            self.worst[stream].record(at, error_ns);
            if !stalled {
                counters.launch_errors.record(error_ns);
            }
        }
    }

    /// Meters a frame of this stream, and counts it if it is to be dropped.
    fn is_red(&mut self, stream: usize, bytes: usize, now: TaiTime) -> bool {
        let Some(meter) = &mut self.flow_meters[stream] else {
            return false;
        };
        let is_red = meter.meter(now, bytes as u32 + FCS_BYTES) == Color::Red;
        self.drops.flow_meter_red += u64::from(is_red);
        self.streams[stream].red += u64::from(is_red);
        is_red
    }

    fn classify(
        &mut self,
        frame: &P::Frame,
        clocks: ClockRelation,
        now: TaiTime,
    ) -> Option<Classified> {
        let stamp = frame.stamp();
        let matched = parse(frame.bytes(), 0, stamp.priority).and_then(|key| {
            let stream = first_match(&self.rules, self.rules.len(), &key)?;
            Some((stream, key.header_bytes()))
        });
        let Some((stream, header_bytes)) = matched else {
            self.drops.unmatched += 1;
            return None;
        };
        let launch = match launch_time(stamp, clocks) {
            None => Launch::None,
            Some(time) => match self.treatments[stream].launch_time {
                LaunchTimeUse::Ignore => Launch::None,
                LaunchTimeUse::At => Launch::At(time),
                LaunchTimeUse::By => Launch::By(time),
            },
        };
        if let Some(time) = launch.time() {
            let distance_ns = time.as_nanos().abs_diff(now.as_nanos());
            if distance_ns.abs_diff(clocks.tai_minus_utc_ns) < WRONG_CLOCK_WINDOW_NS {
                self.drops.launch_time_wrong_clock += 1;
                return None;
            }
            if time > now && distance_ns > HORIZON_NS {
                self.drops.launch_time_too_far += 1;
                return None;
            }
        }
        Some(Classified {
            stream,
            launch,
            header_bytes: header_bytes as u32,
        })
    }
}

fn launch_time(stamp: Stamp, clocks: ClockRelation) -> Option<TaiTime> {
    match stamp.time_base {
        TimeBase::None => None,
        TimeBase::Tai => Some(TaiTime::from_nanos(stamp.launch_time_ns)),
        TimeBase::Monotonic => Some(TaiTime::from_nanos(
            stamp
                .launch_time_ns
                .wrapping_add(clocks.tai_minus_monotonic_ns),
        )),
    }
}

/// What became of a frame of a pod.
#[derive(Debug)]
pub enum Received<F> {
    /// It was dropped; its cause has been counted.
    Dropped,
    /// A frame for the scheduler; its tag has the stream's number in the pod in the low byte.
    Arrival(Arrival<Held<F>>),
}

impl<P: Port> PodPlace<P> {
    /// Takes the next frame from the pod's port.
    pub fn take(&mut self) -> Option<P::Frame> {
        self.pod.as_mut()?.port.receive()
    }

    /// Classifies a frame of the pod for the scheduler, and makes it wait within the pod's quota; `index` is this place's
    /// number in the worker. That of a pod in overlay mode is forwarded: what waits is the frame that will leave.
    pub fn admit(
        &mut self,
        mut frame: P::Frame,
        index: usize,
        clocks: ClockRelation,
        forwarder: &mut Forwarder,
        now: TaiTime,
    ) -> Received<P::Frame> {
        let Some(pod) = &mut self.pod else {
            return Received::Dropped;
        };
        let Some(classified) = pod.classify(&frame, clocks, now) else {
            return Received::Dropped;
        };
        let Classified {
            stream,
            launch,
            mut header_bytes,
        } = classified;
        pod.streams[stream].received += 1;
        if pod.is_red(stream, frame.bytes().len(), now) {
            return Received::Dropped;
        }
        if self.waiting.get() >= pod.frame_quota {
            pod.drops.quota_exceeded += 1;
            return Received::Dropped;
        }
        let treatment = pod.treatments[stream];
        if pod.mode == PodMode::Overlay {
            let Some(bytes) = forwarder.forward(&mut frame, treatment.class) else {
                pod.drops.no_next_hop += 1;
                return Received::Dropped;
            };
            header_bytes = bytes;
        }
        self.waiting.set(self.waiting.get() + 1);
        let length_bytes = frame.bytes().len() as u32;
        Received::Arrival(Arrival {
            length_bytes,
            sdu_bytes: length_bytes - header_bytes,
            frame: Held {
                frame,
                place: Place(Rc::clone(&self.waiting)),
            },
            class: treatment.class,
            launch,
            late: treatment.late,
            stream: tag(index, stream),
        })
    }
}

impl<F> Held<F> {
    /// A frame of a pod of which nothing else waits.
    #[cfg(test)]
    pub fn alone(frame: F) -> Self {
        let place = Place(Rc::new(Cell::new(1)));
        Self { frame, place }
    }

    /// The frame, which no longer counts as waiting.
    pub fn release(self) -> F {
        let Self { frame, place } = self;
        drop(place);
        frame
    }
}

/// The scheduler's tag of a frame: the pod's place and the stream in it.
pub fn tag(place: usize, stream: usize) -> u32 {
    (place as u32) << 8 | stream as u32
}

/// Place and stream of a tag.
pub fn untag(tag: u32) -> (usize, usize) {
    ((tag >> 8) as usize, (tag & 0xff) as usize)
}
