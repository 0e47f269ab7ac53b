//! A [`Port`] over a device.

use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dpdk_sys as sys;
use sys::rte_mbuf;
use tsn_port::{Capabilities, Frame, HardwareLaunch, MacAddress, Port, PortCounters, PortLevels};

use super::EthDevice;
use crate::frame::Finisher;
use crate::launch::{self, DeviceClock};
use crate::pods::vhost::PodFront;
use crate::{DpdkFrame, Mempool, WakeError};

/// Frames that wait for the next wake-up.
const STAGE_SLOTS: usize = 64;
/// Frames taken from the device by one look.
const BURST: usize = 32;
/// A device whose link is up and that takes nothing for so long is stuck. Receivers of a virtual device may be robbed of
/// their processor for nearly as long.
const STUCK_AFTER: Duration = Duration::from_millis(500);

/// An Ethernet header.
const SHORTEST_FRAME_BYTES: usize = 14;
/// What a frame has at least on a wire, without FCS. Some devices stop their queue at a shorter one.
const SHORTEST_ON_WIRE_BYTES: u16 = 60;

/// Drivers that copy each frame, or have the kernel do it.
const COPYING: [&str; 4] = ["net_af_packet", "net_pcap", "net_tap", "net_vhost"];

/// What a port does beside moving frames.
#[derive(Debug, Default)]
pub(crate) struct EthPortRole {
    /// Whether arriving frames are taken at all.
    pub receives: bool,
    /// Who makes good a pod's checksum offload; `None` for a port that no pod sends by.
    pub finisher: Option<Finisher>,
    /// The one station at the other end.
    pub station: Option<MacAddress>,
    /// The clock by which the device holds frames until their launch times, if it does.
    pub launch: Option<DeviceClock>,
    /// Takes stamps off the frames.
    pub front: Option<Arc<PodFront>>,
    /// What is at the other end.
    pub far_end: FarEnd,
}

/// What is at the other end of a port, and so what becomes of frames that the device does not take at once.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FarEnd {
    /// Who cares for each frame: they wait.
    #[default]
    Any,
    /// A pod: they wait while it is there. One that comes back is a new one.
    Pod,
    /// A network that the frames reach in their time or never.
    Network,
}

/// Queue 0 of a device, each way.
///
/// Frames wait in the port until [`wake`](Port::wake), which gives them to the device by bursts. What the device took
/// counts as `transmitted`, though some drivers give the buffers back only later.
///
/// Frames that were received and not taken, and those that wait, are freed with the port. What the device does not take
/// waits for the next wake-up, unless the port is an uplink's or a pod's.
#[derive(Debug)]
pub struct EthPort {
    device: Arc<EthDevice>,
    name: Arc<str>,
    pool: Mempool,
    role: EthPortRole,
    staged: [*mut rte_mbuf; STAGE_SLOTS],
    staged_end: usize,
    arrived: [*mut rte_mbuf; BURST],
    arrived_next: usize,
    arrived_end: usize,
    receive_slots: u32,
    max_frame_bytes: usize,
    stuck_since: Option<Instant>,
    counters: PortCounters,
}

// SAFETY: the pointers are to mbufs that the port owns; the device's queue is used by whoever has the port alone.
unsafe impl Send for EthPort {}

impl EthPort {
    /// A port over a started device that receives from `pool`, without any role but to move frames.
    pub fn new(device: EthDevice, pool: Mempool) -> Self {
        let role = EthPortRole {
            receives: true,
            ..EthPortRole::default()
        };
        Self::with_role(Arc::new(device), pool, role)
    }

    pub(crate) fn with_role(device: Arc<EthDevice>, pool: Mempool, role: EthPortRole) -> Self {
        Self {
            name: device.name().name().into(),
            max_frame_bytes: device.frame_bytes().min(pool.frame_bytes()) as usize,
            receive_slots: if role.receives {
                u32::from(device.receive_slots)
            } else {
                0
            },
            device,
            pool,
            role,
            staged: [ptr::null_mut(); STAGE_SLOTS],
            staged_end: 0,
            arrived: [ptr::null_mut(); BURST],
            arrived_next: 0,
            arrived_end: 0,
            stuck_since: None,
            counters: PortCounters::default(),
        }
    }

    /// The device.
    pub fn device(&self) -> &EthDevice {
        &self.device
    }

    /// Takes what has arrived at the device, as far as there is room.
    fn fill(&mut self) {
        if self.arrived_next > 0 {
            self.arrived
                .copy_within(self.arrived_next..self.arrived_end, 0);
            self.arrived_end -= self.arrived_next;
            self.arrived_next = 0;
        }
        let room = &mut self.arrived[self.arrived_end..];
        // SAFETY: the device is started, its queue is ours, and there is room for as many as it is told.
        let count =
            unsafe { sys::shim_rx_burst(self.device.port, room.as_mut_ptr(), room.len() as u16) };
        self.arrived_end += usize::from(count);
    }

    /// The frame in an mbuf that has just been received; `None` if it is not to be handed over.
    fn frame(&mut self, mut mbuf: *mut rte_mbuf) -> Option<DpdkFrame> {
        let mut look = sys::shim_frame::default();
        // SAFETY: the mbuf is ours.
        unsafe { sys::shim_mbuf_look(mbuf, &raw mut look) };
        if look.vlan_stripped {
            // SAFETY: as above. It fails without room in front of the frame, and then the tag is lost, and so the frame.
            let restored = unsafe { sys::shim_mbuf_unstrip(&raw mut mbuf) } == 0;
            // SAFETY: as above.
            unsafe { sys::shim_mbuf_look(mbuf, &raw mut look) };
            look.segments = if restored { look.segments } else { 0 };
        }
        let (Some(owned), Some(data)) = (NonNull::new(mbuf), NonNull::new(look.data)) else {
            return None;
        };
        // SAFETY: the mbuf is ours; what it says of its data is true for one of one segment, and others are dropped.
        let mut frame = unsafe { DpdkFrame::from_mbuf(owned, data, look.length) };
        if look.segments != 1 {
            self.counters.receive_length_errors += 1; // it did not fit one
            return None;
        }
        if let Some(front) = &self.role.front
            && !front.take(&mut frame)
        {
            return None;
        }
        if frame.bytes().len() < SHORTEST_FRAME_BYTES {
            self.counters.receive_length_errors += 1;
            return None;
        }
        if let Some(finisher) = self.role.finisher {
            frame.finish(finisher);
        }
        Some(frame)
    }

    /// Gives the device what waits, until it takes no more. Whether it took any.
    fn burst(&mut self) -> bool {
        let mut sent = 0;
        while sent < self.staged_end {
            let waiting = &mut self.staged[sent..self.staged_end];
            // SAFETY: the device is started and its queue is ours; the mbufs are ours, and those that it takes no longer.
            let count = unsafe {
                sys::shim_tx_burst(self.device.port, waiting.as_mut_ptr(), waiting.len() as u16)
            };
            self.counters.wakes += 1;
            if count == 0 {
                break;
            }
            sent += usize::from(count);
        }
        self.staged.copy_within(sent..self.staged_end, 0);
        self.staged_end -= sent;
        self.counters.transmitted += sent as u64;
        sent > 0
    }

    /// Frees what waits but for the first `kept` frames. How many that were.
    fn discard(&mut self, kept: usize) -> u64 {
        let dropped = &self.staged[kept.min(self.staged_end)..self.staged_end];
        for &mbuf in dropped {
            // SAFETY: the mbuf is ours.
            unsafe { sys::shim_mbuf_free(mbuf) };
        }
        let count = dropped.len();
        self.staged_end -= count;
        count as u64
    }

    /// What waited was dropped, and nobody else counts it.
    fn count_dropped(&mut self, frames: u64) {
        self.counters.transmitted += frames;
        self.counters.transmit_dropped += frames;
    }

    /// What becomes of the frames that wait when the link is down.
    fn forget(&mut self) {
        match self.role.far_end {
            FarEnd::Any => {}
            FarEnd::Pod => {
                let dropped = self.discard(0);
                self.count_dropped(dropped);
            }
            // Who is told of the link counts them.
            FarEnd::Network => {
                self.discard(0);
            }
        }
    }

    fn link_is_down(&self) -> bool {
        self.device.link().is_some_and(|link| !link.up)
    }

    fn link_down(&self) -> WakeError {
        WakeError::LinkDown {
            device: Arc::clone(&self.name),
        }
    }
}

impl Port for EthPort {
    type Frame = DpdkFrame;
    type Error = WakeError;

    /// Also `None` when all frames of a burst had to be dropped, so that nobody can keep the caller by sending such.
    fn receive(&mut self) -> Option<DpdkFrame> {
        if !self.role.receives {
            return None;
        }
        if self.arrived_next == self.arrived_end {
            self.fill();
        }
        while self.arrived_next < self.arrived_end {
            let mbuf = self.arrived[self.arrived_next];
            self.arrived_next += 1;
            if let Some(frame) = self.frame(mbuf) {
                self.counters.received += 1;
                return Some(frame);
            }
        }
        None
    }

    fn transmit(&mut self, mut frame: DpdkFrame) -> Result<(), DpdkFrame> {
        let Some(slot) = self.staged.get_mut(self.staged_end) else {
            self.counters.transmit_refused += 1;
            return Err(frame);
        };
        if !self.device.finishes_checksums {
            frame.complete();
        }
        let mbuf = frame.into_mbuf().as_ptr();
        if self.role.far_end == FarEnd::Network {
            // SAFETY: the mbuf is ours.
            unsafe { sys::shim_mbuf_pad(mbuf, SHORTEST_ON_WIRE_BYTES) };
        }
        *slot = mbuf;
        self.staged_end += 1;
        self.counters.transmit_queued += 1;
        Ok(())
    }

    fn transmit_at(&mut self, frame: DpdkFrame, launch_time_ns: u64) -> Result<(), DpdkFrame> {
        self.transmit(frame)?;
        if let Some(clock) = &self.role.launch {
            // SAFETY: the mbuf was staged just now, and is the port's until the next wake-up.
            unsafe { clock.set_launch_time(self.staged[self.staged_end - 1], launch_time_ns) };
        }
        Ok(())
    }

    fn wake(&mut self) -> Result<(), WakeError> {
        if let Some(clock) = &mut self.role.launch
            && self.staged_end == 0
        {
            clock.follow();
        }
        if self.device.link_events && self.link_is_down() {
            self.stuck_since = None;
            self.forget();
            return Err(self.link_down());
        }
        if self.staged_end == 0 {
            return Ok(());
        }
        if self.burst() {
            self.stuck_since = None;
        }
        if self.staged_end == 0 {
            return Ok(());
        }
        let stuck_for = self.stuck_since.get_or_insert_with(Instant::now).elapsed();
        if stuck_for < STUCK_AFTER {
            if self.role.far_end == FarEnd::Network {
                let dropped = self.discard(0);
                self.count_dropped(dropped);
            }
            return Ok(());
        }
        if self.role.far_end == FarEnd::Network {
            // One stays, to find out by when the device takes frames again. Who is told of the failure counts them.
            self.discard(1);
        }
        if self.link_is_down() {
            return Err(self.link_down());
        }
        Err(WakeError::Stuck {
            device: Arc::clone(&self.name),
            stuck_ms: stuck_for.as_millis() as u64,
            complaints: Arc::clone(&self.device.complaints),
        })
    }

    /// Also `None` for less than an Ethernet header.
    fn allocate(&mut self, length_bytes: usize) -> Option<DpdkFrame> {
        let lengths = SHORTEST_FRAME_BYTES..=self.max_frame_bytes;
        lengths
            .contains(&length_bytes)
            .then(|| self.pool.allocate(length_bytes))?
    }

    /// Drivers are polled.
    fn readable(&self) -> Option<RawFd> {
        None
    }

    fn counters(&self) -> PortCounters {
        let drops = self.device.drops();
        PortCounters {
            receive_ring_full: drops.receive_ring_full,
            receive_no_buffer: self.counters.receive_no_buffer + drops.receive_no_buffer,
            transmit_dropped: self.counters.transmit_dropped + drops.transmit,
            ..self.counters
        }
    }

    /// Takes arrived frames out of the device, since not all drivers can count them: where one cannot, at most 32 are
    /// told of.
    fn levels(&mut self) -> PortLevels {
        if self.role.receives {
            self.fill();
        }
        // SAFETY: the device is started.
        let in_device = unsafe { sys::shim_rx_waiting(self.device.port) };
        PortLevels {
            transmit_used: self.staged_end as u32,
            transmit_slots: STAGE_SLOTS as u32,
            receive_waiting: if self.role.receives {
                (self.arrived_end - self.arrived_next) as u32
                    + u32::try_from(in_device).unwrap_or(0)
            } else {
                0
            },
            receive_slots: self.receive_slots,
            free_buffers: self.pool.free_frames(),
            buffers: self.pool.frames(),
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_frame_bytes: self.max_frame_bytes,
            transmit_slots: STAGE_SLOTS,
            zero_copy: !COPYING.contains(&self.device.driver()),
            hardware_launch: self.role.launch.as_ref().map(|_| HardwareLaunch {
                lead_ns: launch::LEAD_NS,
            }),
            waits_for_wake: true,
        }
    }

    fn station(&self) -> Option<MacAddress> {
        self.role.station
    }
}

impl Drop for EthPort {
    fn drop(&mut self) {
        self.discard(0);
        for &mbuf in &self.arrived[self.arrived_next..self.arrived_end] {
            // SAFETY: the mbuf is ours.
            unsafe { sys::shim_mbuf_free(mbuf) };
        }
    }
}
