//! Nobody's frames keep the worker from what else it has to do.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::sys::eventfd::EventFd;
use tokio::sync::oneshot;
use tsn_core::Nanoseconds;
use tsn_port::fault::{FaultPort, Faults};
use tsn_port::loopback::{self, LoopbackFrame, LoopbackPort};
use tsn_port::{Capabilities, MacAddress, Port, PortCounters, PortLevels, Stamp};

use super::bed::Bed;
use super::command::Command;
use crate::clock::tai_now;
use crate::config::PollMode;

const BROADCAST: MacAddress = MacAddress([0xff; 6]);
const STRANGER: MacAddress = MacAddress([2, 0, 0, 0, 9, 9]);
/// Frames that nobody who stops in time takes.
const TOO_MANY: u32 = 10_000_000;
/// What such a port says that it has waiting.
const WAITING: u32 = 100;

fn station(number: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, number])
}

fn bytes(to: MacAddress) -> [u8; 60] {
    let mut bytes = [0; 60];
    bytes[..6].copy_from_slice(&to.0);
    bytes[6..12].copy_from_slice(&[2, 0, 0, 0, 8, 8]);
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes
}

fn send(from: &mut LoopbackPort, to: MacAddress) {
    let frame = from.frame(&bytes(to), Stamp::NONE).expect("a buffer");
    from.transmit(frame).expect("a slot");
    from.wake().unwrap();
}

/// A port at whose other end somebody sends faster than anybody takes, if to somebody.
struct EndlessPort {
    inner: LoopbackPort,
    sends_to: Option<MacAddress>,
    readable: Option<RawFd>,
    taken: u32,
    /// It has so many, if there is an end after all.
    last: Option<u32>,
}

impl EndlessPort {
    fn silent() -> Self {
        Self {
            inner: loopback::pair(64).0,
            sends_to: None,
            readable: None,
            taken: 0,
            last: None,
        }
    }

    fn sending_to(to: MacAddress, readable: Option<RawFd>) -> Self {
        Self {
            sends_to: Some(to),
            readable,
            ..Self::silent()
        }
    }

    fn with_station(self, address: MacAddress) -> Self {
        Self {
            inner: self.inner.with_station(address),
            ..self
        }
    }
}

impl Port for EndlessPort {
    type Frame = LoopbackFrame;
    type Error = std::convert::Infallible;

    fn receive(&mut self) -> Option<LoopbackFrame> {
        if self.last == Some(self.taken) {
            return None;
        }
        let frame = self.inner.frame(&bytes(self.sends_to?), Stamp::NONE)?;
        self.taken += 1;
        assert!(self.taken < TOO_MANY, "the worker takes frames for ever");
        Some(frame)
    }

    fn transmit(&mut self, frame: LoopbackFrame) -> Result<(), LoopbackFrame> {
        self.inner.transmit(frame)
    }

    fn wake(&mut self) -> Result<(), Self::Error> {
        self.inner.wake()
    }

    fn allocate(&mut self, length_bytes: usize) -> Option<LoopbackFrame> {
        self.inner.allocate(length_bytes)
    }

    fn readable(&self) -> Option<RawFd> {
        self.readable
    }

    fn counters(&self) -> PortCounters {
        self.inner.counters()
    }

    fn levels(&mut self) -> PortLevels {
        PortLevels {
            receive_waiting: self.sends_to.map_or(0, |_| WAITING),
            ..self.inner.levels()
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn station(&self) -> Option<MacAddress> {
        self.inner.station()
    }
}

#[test]
fn a_flood_from_the_wire_does_not_keep_the_pods_waiting() {
    const STATIONS: u8 = 5;
    let (uplink, mut wire) = loopback::pair(256);
    let mut bed = Bed::new(uplink, "");
    let mut stations: Vec<LoopbackPort> = (0..STATIONS)
        .map(|number| bed.add_station(station(number), 256).1)
        .collect();
    for _ in 0..200 {
        send(&mut wire, BROADCAST);
    }
    for (sender, pod) in stations.iter_mut().enumerate() {
        send(pod, STRANGER);
        let mut passes = 0;
        while bed.worker.places[sender].waiting() == 0 {
            bed.worker.receive(tai_now());
            passes += 1;
            assert!(passes < 20, "the pods are not received from");
        }
        // The worker is not the only one with a share: the wire's flood goes on.
        assert!(bed.worker.uplink.levels().receive_waiting > 0);
    }
}

#[test]
fn floods_of_pods_do_not_keep_the_wire_waiting() {
    let mut bed = Bed::new(EndlessPort::sending_to(station(1), None), "");
    for number in 0..6 {
        let port = EndlessPort::sending_to(BROADCAST, None);
        bed.add(port.with_station(station(number))).unwrap();
    }
    for _ in 0..200 {
        bed.worker.receive(tai_now());
    }
    assert!(bed.worker.delivery.counters().to_pod > 20);
    for place in &bed.worker.places {
        assert!(place.pod.as_ref().unwrap().port().taken > 2);
    }
}

#[test]
fn a_pod_that_goes_on_sending_can_be_taken_out() {
    for to in [STRANGER, station(0), BROADCAST] {
        let mut bed = Bed::new(EndlessPort::silent(), "");
        bed.add(EndlessPort::silent().with_station(station(0)))
            .unwrap();
        let sender = bed.add(EndlessPort::sending_to(to, None)).unwrap();
        bed.remove(sender);
        assert!(bed.worker.places[sender].pod.is_none());
    }
}

#[test]
fn a_drain_ends_in_its_time_though_frames_arrive() {
    // One whose other end is cut off, and still gives frames, and those which nothing cuts off.
    for (pod, uplink) in [
        (
            EndlessPort::sending_to(station(1), Some(0)),
            EndlessPort::silent(),
        ),
        (
            EndlessPort::sending_to(STRANGER, None),
            EndlessPort::silent(),
        ),
        (
            EndlessPort::silent(),
            EndlessPort::sending_to(station(1), None),
        ),
    ] {
        let mut bed = Bed::new(uplink, "");
        bed.add(pod.with_station(station(0))).unwrap();
        bed.add(EndlessPort::silent().with_station(station(1)))
            .unwrap();
        let (answer, drained) = oneshot::channel();
        let limit = Duration::from_millis(5);
        bed.worker.obey(Command::Drain(limit, answer), tai_now());
        bed.worker.run();
        assert_eq!(drained.blocking_recv(), Ok(0));
    }
}

#[test]
fn a_drain_ends_in_its_time_though_nothing_wakes_the_worker() {
    let never = EventFd::new().unwrap();
    let silent = || EndlessPort {
        readable: Some(never.as_fd().as_raw_fd()),
        ..EndlessPort::silent()
    };
    let opens_in_an_hour = format!(
        "    gate-parameters:
      admin-gate-states: [7]
      admin-base-time: {}
      admin-control-list: [ {{ gate-states-value: [0], time-interval-value: 1ms }} ]
",
        tai_now().as_nanos() + 3_600_000_000_000
    );
    let mut bed = Bed::new(silent(), &opens_in_an_hour);
    bed.add(EndlessPort {
        sends_to: Some(STRANGER),
        last: Some(1),
        ..silent()
    })
    .unwrap();
    bed.worker.poll_mode = PollMode::Adaptive;
    bed.worker.heartbeat_interval = Nanoseconds::from_nanos(60_000_000_000);
    let (answer, drained) = oneshot::channel();
    let limit = Duration::from_millis(5);
    bed.worker.obey(Command::Drain(limit, answer), tai_now());
    let start = Instant::now();
    bed.worker.run();
    assert_eq!(drained.blocking_recv(), Ok(1));
    assert!(start.elapsed() < Duration::from_secs(30), "it slept on");
}

#[test]
fn a_pass_wakes_no_more_pods_than_the_time_allows() {
    const STATIONS: u8 = 8;
    let copy = LoopbackFrame::duplicate;
    let port = |inner, wake_ns| {
        let faults = Faults {
            wake_ns,
            ..Faults::default()
        };
        FaultPort::new(inner, faults, copy)
    };
    let (uplink, mut wire) = loopback::pair(64);
    let mut bed = Bed::new(port(uplink, 0), "");
    let mut stations = Vec::new();
    for number in 0..STATIONS {
        let (near, far) = loopback::pair(64);
        // As a veth's.
        bed.add(port(near.with_station(station(number)), 3_000))
            .unwrap();
        stations.push(far);
        send(&mut wire, station(number));
    }
    let mut arrived = 0;
    while bed.worker.receive(tai_now()) > 0 {
        let frames: u32 = stations
            .iter_mut()
            .map(|far| far.levels().receive_waiting)
            .sum();
        // The last of those before, and one of this pass.
        assert!(frames - arrived <= 2, "{} pods woken", frames - arrived);
        arrived = frames;
    }
    assert_eq!(arrived, u32::from(STATIONS));
}
