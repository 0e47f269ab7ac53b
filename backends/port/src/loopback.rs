//! Two connected ports without a device: what one transmits, the other receives.
//!
//! All memory is taken when the pair is made. Like a device, a port sends at [`Port::wake`], and drops (and counts)
//! what finds the other's receive ring full.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use tsn_common::Stamp;

use crate::{Capabilities, Frame, MacAddress, NextHopId, PREPEND_BYTES, Port};
use crate::{PortCounters, PortLevels};

/// The longest frame, in bytes; beside it every buffer has room for [`PREPEND_BYTES`].
pub const BUFFER_BYTES: usize = 2048;

/// Buffers of a pair for each slot of its rings: two transmit rings, two receive rings, and as many to hold.
const BUFFERS_PER_SLOT: usize = 6;

/// Two connected ports with `slots` slots (at least 1) in each of their rings, over one pool of buffers.
pub fn pair(slots: usize) -> (LoopbackPort, LoopbackPort) {
    let slots = slots.max(1);
    let pool = Arc::new(Pool {
        free: ArrayQueue::new(slots * BUFFERS_PER_SLOT),
    });
    while pool
        .free
        .push(vec![0; PREPEND_BYTES + BUFFER_BYTES].into_boxed_slice())
        .is_ok()
    {}
    let to_first = Arc::new(Ring::new(slots));
    let to_second = Arc::new(Ring::new(slots));
    let port = |receive: &Arc<Ring>, peer: &Arc<Ring>| LoopbackPort {
        pool: Arc::clone(&pool),
        receive: Arc::clone(receive),
        peer: Arc::clone(peer),
        queued: VecDeque::with_capacity(slots),
        slots,
        counters: PortCounters::default(),
        station: None,
    };
    (port(&to_first, &to_second), port(&to_second, &to_first))
}

#[derive(Debug)]
struct Pool {
    free: ArrayQueue<Box<[u8]>>,
}

fn allocate(pool: &Arc<Pool>, length: usize, stamp: Stamp) -> Option<LoopbackFrame> {
    if length > BUFFER_BYTES {
        return None;
    }
    let buffer = pool.free.pop()?;
    Some(LoopbackFrame {
        buffer,
        bytes: PREPEND_BYTES..PREPEND_BYTES + length,
        stamp,
        next_hop: None,
        pool: Arc::clone(pool),
    })
}

/// Frames on their way to one port.
#[derive(Debug)]
struct Ring {
    frames: ArrayQueue<LoopbackFrame>,
    full: AtomicU64,
}

impl Ring {
    fn new(slots: usize) -> Self {
        Self {
            frames: ArrayQueue::new(slots),
            full: AtomicU64::new(0),
        }
    }
}

/// A frame in a buffer of a pair's pool.
#[derive(Debug)]
pub struct LoopbackFrame {
    buffer: Box<[u8]>,
    /// Where in the buffer the frame lies.
    bytes: Range<usize>,
    stamp: Stamp,
    next_hop: Option<NextHopId>,
    pool: Arc<Pool>,
}

impl LoopbackFrame {
    /// The same bytes, stamp and next hop in another buffer of the pool; `None` without a free one, or if the frame is
    /// longer than [`BUFFER_BYTES`].
    pub fn duplicate(&self) -> Option<Self> {
        let mut copy = allocate(&self.pool, self.bytes.len(), self.stamp)?;
        copy.bytes_mut().copy_from_slice(self.bytes());
        copy.next_hop = self.next_hop;
        Some(copy)
    }

    /// The same frame, with this next hop found for it.
    pub fn with_next_hop(mut self, next_hop: NextHopId) -> Self {
        self.next_hop = Some(next_hop);
        self
    }
}

impl Frame for LoopbackFrame {
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.bytes.clone()]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.bytes.clone()]
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn next_hop(&self) -> Option<NextHopId> {
        self.next_hop
    }

    fn prepend(&mut self, bytes: usize) -> bool {
        let start = self.bytes.start.checked_sub(bytes);
        self.bytes.start = start.unwrap_or(self.bytes.start);
        start.is_some()
    }
}

impl Drop for LoopbackFrame {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let returned = self.pool.free.push(buffer);
        debug_assert!(
            returned.is_ok(),
            "more buffers came back than the pool gave out"
        );
    }
}

/// An Ethernet header. Shorter frames are dropped at receipt.
const SHORTEST_FRAME_BYTES: usize = 14;

/// One end of a [`pair`].
#[derive(Debug)]
pub struct LoopbackPort {
    pool: Arc<Pool>,
    receive: Arc<Ring>,
    peer: Arc<Ring>,
    queued: VecDeque<LoopbackFrame>,
    slots: usize,
    counters: PortCounters,
    station: Option<MacAddress>,
}

impl LoopbackPort {
    /// The same port, with this station at its other end.
    pub fn with_station(self, station: MacAddress) -> Self {
        Self {
            station: Some(station),
            ..self
        }
    }

    /// A frame of the pair's pool with a copy of `bytes`, to be transmitted on either port; the other receives it
    /// with its stamp and next hop. `None` without a free buffer, or if `bytes` is longer than [`BUFFER_BYTES`].
    pub fn frame(&self, bytes: &[u8], stamp: Stamp) -> Option<LoopbackFrame> {
        let mut frame = allocate(&self.pool, bytes.len(), stamp)?;
        frame.bytes_mut().copy_from_slice(bytes);
        Some(frame)
    }

    /// Buffers of the pair that nobody holds; all of them once every frame has been dropped.
    pub fn free_buffers(&self) -> usize {
        self.pool.free.len()
    }
}

impl Port for LoopbackPort {
    type Frame = LoopbackFrame;
    type Error = Infallible;

    fn receive(&mut self) -> Option<LoopbackFrame> {
        while let Some(frame) = self.receive.frames.pop() {
            if frame.bytes.len() >= SHORTEST_FRAME_BYTES {
                self.counters.received += 1;
                return Some(frame);
            }
            self.counters.receive_length_errors += 1;
        }
        None
    }

    fn transmit(&mut self, frame: LoopbackFrame) -> Result<(), LoopbackFrame> {
        if self.queued.len() == self.slots {
            self.counters.transmit_refused += 1;
            return Err(frame);
        }
        self.queued.push_back(frame);
        self.counters.transmit_queued += 1;
        Ok(())
    }

    fn wake(&mut self) -> Result<(), Infallible> {
        for frame in self.queued.drain(..) {
            self.counters.transmitted += 1;
            if self.peer.frames.push(frame).is_err() {
                self.peer.full.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn allocate(&mut self, length_bytes: usize) -> Option<LoopbackFrame> {
        allocate(&self.pool, length_bytes, Stamp::NONE)
    }

    fn readable(&self) -> Option<RawFd> {
        None
    }

    fn counters(&self) -> PortCounters {
        PortCounters {
            receive_ring_full: self.receive.full.load(Ordering::Relaxed),
            ..self.counters
        }
    }

    fn levels(&mut self) -> PortLevels {
        PortLevels {
            transmit_used: self.queued.len() as u32,
            transmit_slots: self.slots as u32,
            receive_waiting: self.receive.frames.len() as u32,
            receive_slots: self.receive.frames.capacity() as u32,
            free_buffers: self.pool.free.len() as u32,
            buffers: self.pool.free.capacity() as u32,
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_frame_bytes: BUFFER_BYTES,
            transmit_slots: self.slots,
            zero_copy: true,
            hardware_launch: None,
            waits_for_wake: true,
        }
    }

    fn station(&self) -> Option<MacAddress> {
        self.station
    }
}
