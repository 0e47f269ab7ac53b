//! Ports without a device: frames come out of a queue, and where they leave only the clock is read.

use std::convert::Infallible;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender};
use nix::sys::eventfd::{EfdFlags, EventFd};
use tsn_core::TaiTime;
use tsn_port::{Capabilities, Frame, MacAddress, Port, PortCounters, PortLevels, Stamp};
use tsn_userspace::clock::tai_now;

use crate::turn::Departure;

/// A minimum frame, without FCS.
pub const FRAME_BYTES: usize = 60;

/// A frame in the queue itself.
pub struct QueuedFrame {
    pub bytes: [u8; FRAME_BYTES],
    pub stamp: Stamp,
}

impl Frame for QueuedFrame {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }
}

/// Where frames for a port are put.
pub struct Feed {
    queue: Sender<QueuedFrame>,
    arrived: Arc<EventFd>,
}

impl Feed {
    pub fn give(&self, frame: QueuedFrame) {
        self.queue.send(frame).expect("the worker runs");
        self.arrived.write(1).expect("an event");
    }
}

/// What the uplink saw, frame by frame.
pub type Log = Arc<Mutex<Vec<Departure>>>;

/// A pod's port, or the uplink.
pub struct QueuePort {
    queue: Receiver<QueuedFrame>,
    arrived: Arc<EventFd>,
    due: Option<TaiTime>,
    log: Log,
}

impl QueuePort {
    /// A port for as many frames as are to wait at once, and where they are put.
    pub fn new(slots: usize, log: &Log) -> (Self, Feed) {
        let (feed, queue) = crossbeam_channel::bounded(slots);
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let arrived = Arc::new(EventFd::from_flags(flags).expect("a descriptor"));
        let port = Self {
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

impl Port for QueuePort {
    type Frame = QueuedFrame;
    type Error = Infallible;

    fn receive(&mut self) -> Option<QueuedFrame> {
        let frame = self.queue.try_recv().ok()?;
        // Readable again with the next frame; it was already if that is there.
        let _ = self.arrived.read();
        Some(frame)
    }

    fn transmit(&mut self, frame: QueuedFrame) -> Result<(), QueuedFrame> {
        self.due = Some(TaiTime::from_nanos(frame.stamp.launch_time_ns));
        Ok(())
    }

    fn wake(&mut self) -> Result<(), Infallible> {
        if let Some(due) = self.due.take() {
            let departure = Departure {
                due,
                woken: tai_now(),
            };
            self.log.lock().expect("the log").push(departure);
        }
        Ok(())
    }

    fn allocate(&mut self, _length_bytes: usize) -> Option<QueuedFrame> {
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
            max_frame_bytes: FRAME_BYTES,
            transmit_slots: 1,
            zero_copy: true,
            hardware_launch: None,
            waits_for_wake: true,
        }
    }

    fn station(&self) -> Option<MacAddress> {
        None
    }
}
