//! To the pods: what arrives at the uplink for them, and what they send each other.
//!
//! Only pods with a station ([`Port::station`]) are delivered to; to the others the kernel delivers. It is not scheduled:
//! gates are those of the uplink. A frame for one station moves into its port; one for a group is copied for each but the
//! last, a few copies in each pass of the worker, and nothing is received until it has been. So a flood costs a pass no
//! more than a burst does.

use std::collections::VecDeque;

use tsn_core::Nanoseconds;
use tsn_port::{Frame, MacAddress, Port};

use super::Worker;
use super::pod::{PodPlace, PodPort};
use super::stations::{Key, Stations};
use crate::clock::tai_now;

/// How long pods' ports are woken before another look at what else is due. The wake-up of a veth takes longer alone; those
/// of many sockets in shared memory take less together.
const WAKE_UPS: Nanoseconds = Nanoseconds::from_nanos(2_000);

/// What has to be delivered, and what was.
#[derive(Debug)]
pub struct Delivery<F> {
    /// Where to.
    pub stations: Stations,
    /// Whether frames come from the uplink at all.
    pub from_uplink: bool,
    flood: Option<Flood<F>>,
    /// Places whose ports were given frames since their last wake-up.
    to_wake: VecDeque<usize>,
    /// The station whose port is woken when there is nothing to do.
    next_idle: Key,
    counters: DeliveryCounters,
}

/// A frame for a group on its way to all stations but the sender.
#[derive(Debug)]
struct Flood<F> {
    frame: F,
    sender: Option<usize>,
    next: Key,
}

impl<F> Flood<F> {
    /// Who gets it next, from where to go on then, and whether that is the last.
    fn next_of(&self, stations: &Stations) -> Option<(Key, usize, bool)> {
        let stations = stations.from(self.next);
        let mut rest = stations.filter(|(_, place)| Some(*place) != self.sender);
        let (next, place) = rest.next()?;
        Some((next, place, rest.next().is_none()))
    }
}

/// What became of the frames that arrived at the uplink: what it received is the sum of the first four.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryCounters {
    /// Frames for one pod, which counts whether it took them.
    pub to_pod: u64,
    /// Frames for a group; each pod counts its copy.
    pub to_group: u64,
    /// Frames for nobody here, which were dropped.
    pub no_station: u64,
    /// Frames of pods of this node which the network sent back, and which were dropped: a bridge floods no frame to where
    /// it came from.
    pub own: u64,
    /// Bytes of copies, also of pods' frames for a group.
    pub copied_bytes: u64,
}

impl<F> Delivery<F> {
    /// To nobody yet, with room for so many pods.
    pub fn new(from_uplink: bool, capacity: usize) -> Self {
        Self {
            stations: Stations::with_capacity(capacity),
            from_uplink,
            flood: None,
            to_wake: VecDeque::with_capacity(capacity),
            next_idle: Key::FIRST,
            counters: DeliveryCounters::default(),
        }
    }

    /// What became of the frames so far.
    pub fn counters(&self) -> DeliveryCounters {
        self.counters
    }

    /// Whether ports were given frames that they have not been woken for.
    pub fn has_pods_to_wake(&self) -> bool {
        !self.to_wake.is_empty()
    }

    /// Whether a frame for a group has not reached all of it.
    pub fn is_flooding(&self) -> bool {
        self.flood.is_some()
    }
}

/// The destination of a frame.
fn destination<F: Frame>(frame: &F) -> Option<MacAddress> {
    frame.bytes().first_chunk().copied().map(MacAddress)
}

/// The source of a frame.
fn source<F: Frame>(frame: &F) -> Option<MacAddress> {
    let behind_destination = frame.bytes().get(6..)?;
    behind_destination.first_chunk().copied().map(MacAddress)
}

impl<P: Port> Worker<P> {
    /// Goes on with a frame for a group, and takes some from the uplink, unless that frame came from there: then it is
    /// the pods' turn, or a flood from the wire would keep them waiting. How many frames that were, copies included.
    pub(super) fn deliver(&mut self) -> usize {
        let flood = self.delivery.flood.as_ref();
        let is_uplinks_turn = flood.is_none_or(|flood| flood.sender.is_some());
        let mut frames = self.flood_on();
        while self.delivery.from_uplink
            && is_uplinks_turn
            && self.delivery.flood.is_none()
            && frames < self.pass.per_port
        {
            let Some(frame) = self.uplink.receive() else {
                break;
            };
            frames += 1 + self.deliver_from_uplink(frame);
        }
        frames
    }

    /// How many copies were made.
    fn deliver_from_uplink(&mut self, frame: P::Frame) -> usize {
        let stations = &self.delivery.stations;
        if source(&frame).is_some_and(|from| stations.find(from).is_some()) {
            self.delivery.counters.own += 1;
            return 0;
        }
        let to = destination(&frame);
        if to.is_some_and(MacAddress::is_group) && !self.delivery.stations.is_empty() {
            self.delivery.counters.to_group += 1;
            return self.flood(frame, None);
        }
        match to.and_then(|to| self.delivery.stations.find(to)) {
            Some(place) => {
                self.delivery.counters.to_pod += 1;
                self.deliver_to(place, |pod| pod.deliver(frame));
            }
            None => self.delivery.counters.no_station += 1,
        }
        0
    }

    /// Takes a pod's frame if it is for another pod; else it is to be scheduled, and if it is for a group, the other pods
    /// get copies. No rule is asked, as none is on the kernel's path between two pods of a node. How many frames were
    /// delivered, and what is to be scheduled.
    pub(super) fn deliver_from_pod(
        &mut self,
        sender: usize,
        mut frame: P::Frame,
    ) -> (usize, Option<P::Frame>) {
        let Some(to) = destination(&frame) else {
            return (0, Some(frame));
        };
        if to.is_group() {
            return (self.flood_copy(sender, &mut frame), Some(frame));
        }
        match self.delivery.stations.find(to) {
            Some(place) if place != sender => {
                if let Some(pod) = &mut self.places[sender].pod {
                    pod.count_to_pod();
                }
                self.deliver_to(place, |pod| pod.deliver(frame));
                (1, None)
            }
            _ => (0, Some(frame)),
        }
    }

    /// Begins with a pod's frame for a group, of which a copy goes to the others, if there are any.
    fn flood_copy(&mut self, sender: usize, frame: &mut P::Frame) -> usize {
        let is_station = |pod: &PodPort<P>| pod.port().station().is_some();
        let sends_as_station = self.places[sender].pod.as_ref().is_some_and(is_station);
        let others = self.delivery.stations.len() - usize::from(sends_as_station);
        if others == 0 {
            return 0;
        }
        frame.complete();
        let bytes = frame.bytes();
        let Some(mut copy) = self.uplink.allocate(bytes.len()) else {
            if let Some(pod) = &mut self.places[sender].pod {
                pod.count_no_buffer(others as u64);
            }
            return 0;
        };
        copy.bytes_mut().copy_from_slice(bytes);
        self.delivery.counters.copied_bytes += bytes.len() as u64;
        1 + self.flood(copy, Some(sender))
    }

    /// Begins with a frame for a group.
    fn flood(&mut self, frame: P::Frame, sender: Option<usize>) -> usize {
        self.delivery.flood = Some(Flood {
            frame,
            sender,
            next: Key::FIRST,
        });
        self.flood_on()
    }

    /// Copies the frame for a group to some of those who have not got it, and gives it to the last. How many got it.
    pub(super) fn flood_on(&mut self) -> usize {
        let Some(mut flood) = self.delivery.flood.take() else {
            return 0;
        };
        for served in 0..self.pass.per_port {
            let Some((next, place, is_last)) = flood.next_of(&self.delivery.stations) else {
                return served;
            };
            if is_last {
                self.deliver_to(place, |pod| pod.deliver(flood.frame));
                return served + 1;
            }
            flood.next = next;
            let copied_bytes = self.deliver_to(place, |pod| pod.deliver_copy(&flood.frame));
            self.delivery.counters.copied_bytes += copied_bytes.unwrap_or(0);
        }
        self.delivery.flood = Some(flood);
        self.pass.per_port
    }

    fn deliver_to<T>(
        &mut self,
        place: usize,
        give: impl FnOnce(&mut PodPort<P>) -> T,
    ) -> Option<T> {
        let pod = self.places.get_mut(place)?.pod.as_mut()?;
        if !self.delivery.to_wake.contains(&place) {
            self.delivery.to_wake.push_back(place);
        }
        Some(give(pod))
    }

    /// Lets the ports send what they were given, as many of them as the time allows; at least one.
    pub(super) fn wake_pods(&mut self) {
        let begin = tai_now();
        while let Some(place) = self.delivery.to_wake.pop_front() {
            wake(&mut self.places, place);
            // Also when the clock was set back.
            if !(begin..begin + WAKE_UPS).contains(&tai_now()) {
                break;
            }
        }
    }

    /// Lets one of the ports, each time the next, try again what it could not send.
    pub(super) fn wake_idle_pod(&mut self) {
        let stations = &self.delivery.stations;
        let next = stations.from(self.delivery.next_idle).next();
        let Some((next, place)) = next.or_else(|| stations.from(Key::FIRST).next()) else {
            return;
        };
        self.delivery.next_idle = next;
        wake(&mut self.places, place);
    }
}

fn wake<P: Port>(places: &mut [PodPlace<P>], place: usize) {
    if let Some(pod) = places.get_mut(place).and_then(|place| place.pod.as_mut()) {
        // A peer that is away takes nothing: the frames stay in the ring until it is back, and those that find the ring
        // full are counted.
        let _ = pod.wake();
    }
}
