//! Ports whose frames come out of a queue, and where it is noted when they leave.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender};
use nix::sys::eventfd::{EfdFlags, EventFd};
use tsn_core::TaiTime;
use tsn_port::{Capabilities, Frame, MacAddress, Port, PortCounters, PortLevels, Stamp, TimeBase};
use tsn_userspace::clock::tai_now;

use crate::turn::Departure;

/// A minimum frame, without FCS.
pub const FRAME_BYTES: usize = 60;

/// A frame of the port below, with the stamp that it was to have.
pub struct StampedFrame<F> {
    frame: F,
    stamp: Stamp,
}

impl<F: Frame> Frame for StampedFrame<F> {
    fn bytes(&self) -> &[u8] {
        self.frame.bytes()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.frame.bytes_mut()
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn next_hop(&self) -> Option<tsn_port::NextHopId> {
        None
    }

    fn prepend(&mut self, _bytes: usize) -> bool {
        false
    }
}

/// Where a port is told of frames.
pub struct Feed {
    queue: Sender<Stamp>,
    arrived: Arc<EventFd>,
}

impl Feed {
    /// A frame arrives that is to leave at this time.
    pub fn give(&self, due: TaiTime) {
        let stamp = Stamp {
            launch_time_ns: due.as_nanos(),
            time_base: TimeBase::Tai,
            priority: 7,
        };
        self.queue.send(stamp).expect("the worker runs");
        self.arrived.write(1).expect("an event");
    }
}

/// What the uplink saw, frame by frame.
pub type Log = Arc<Mutex<Vec<Departure>>>;

/// A pod's port, or the uplink, over one that nothing arrives at.
pub struct QueuePort<P: Port> {
    below: P,
    queue: Receiver<Stamp>,
    arrived: Arc<EventFd>,
    due: Option<TaiTime>,
    log: Log,
}

impl<P: Port> QueuePort<P> {
    /// A port for as many frames as are to wait at once, and where it is told of them.
    pub fn new(below: P, slots: usize, log: &Log) -> (Self, Feed) {
        let (feed, queue) = crossbeam_channel::bounded(slots);
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let arrived = Arc::new(EventFd::from_flags(flags).expect("a descriptor"));
        let port = Self {
            below,
            queue,
            arrived: Arc::clone(&arrived),
            due: None,
            log: Arc::clone(log),
        };
        (
            port,
            Feed {
                queue: feed,
                arrived,
            },
        )
    }
}

impl<P: Port> Port for QueuePort<P> {
    type Frame = StampedFrame<P::Frame>;
    type Error = P::Error;

    fn receive(&mut self) -> Option<Self::Frame> {
        // Whatever looking at it costs belongs to the worker's pass.
        let arrived = self.below.receive();
        assert!(arrived.is_none(), "nothing arrives below");
        let stamp = self.queue.try_recv().ok()?;
        // Readable again with the next frame; it was already if that is there.
        let _ = self.arrived.read();
        let mut frame = self.below.allocate(FRAME_BYTES).expect("a free buffer");
        let bytes = frame.bytes_mut();
        bytes.fill(0);
        bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
        Some(StampedFrame { frame, stamp })
    }

    fn transmit(&mut self, frame: Self::Frame) -> Result<(), Self::Frame> {
        let StampedFrame { frame, stamp } = frame;
        match self.below.transmit(frame) {
            Ok(()) => {
                self.due = Some(TaiTime::from_nanos(stamp.launch_time_ns));
                Ok(())
            }
            Err(frame) => Err(StampedFrame { frame, stamp }),
        }
    }

    fn wake(&mut self) -> Result<(), Self::Error> {
        if let Some(due) = self.due.take() {
            let departure = Departure {
                due,
                woken: tai_now(),
            };
            self.log.lock().expect("the log").push(departure);
        }
        self.below.wake()
    }

    fn allocate(&mut self, _length_bytes: usize) -> Option<Self::Frame> {
        None
    }

    fn readable(&self) -> Option<RawFd> {
        Some(self.arrived.as_raw_fd())
    }

    fn counters(&self) -> PortCounters {
        PortCounters::default()
    }

    fn levels(&mut self) -> PortLevels {
        PortLevels::default()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            waits_for_wake: true,
            ..self.below.capabilities()
        }
    }

    fn station(&self) -> Option<MacAddress> {
        None
    }
}
