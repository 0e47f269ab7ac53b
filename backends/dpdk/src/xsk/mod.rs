//! A device of the kernel's as a port: an AF_XDP socket over the daemon's mempool.
//!
//! At a pod's veth the kernel programs are the same as with `--backend afxdp`: the redirect program hands the pod's time-sensitive
//! frames to this socket and leaves their launch time before the data, and everything else takes the kernel's path.
//! What the kernel receives into are mbufs, so a frame goes on to a poll-mode driver without a copy. DPDK's own
//! `net_af_xdp` would load a program of its own, which takes all frames and does not outlive the daemon.

mod area;
mod error;
mod held;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use tsn_common::{METADATA_BYTES, Metadata};
use tsn_port::{Capabilities, Frame, MacAddress, Port, PortCounters, PortLevels};
use tsn_programs::{AttachedPod, Device, XskMode, XskSocket};

use crate::frame::Finisher;
use crate::{DpdkFrame, Mempool};
use area::Area;
use held::HeldMbufs;

pub use error::{XskError, XskWakeError};

/// Slots of each ring, and so the mbufs that are kept ready to receive into.
pub(crate) const RING_SLOTS: u32 = 512;
/// The fill ring is topped up once so many of its slots are free.
const REFILL: u32 = 32;
/// Bytes of Ethernet header and two VLAN tags, which a buffer must hold beside the MTU.
const RECEIVED_HEADER_BYTES: usize = 14 + 2 * 4;
/// Bytes that the kernel lets a frame have beyond the MTU: Ethernet header and one VLAN tag.
const SENT_HEADER_BYTES: usize = 14 + 4;
/// In unaligned mode an address is the buffer's offset, and above it that of the data in the buffer.
const DATA_SHIFT: u32 = libc::XSK_UNALIGNED_BUF_OFFSET_SHIFT as u32;
const BUFFER_MASK: u64 = libc::XSK_UNALIGNED_BUF_ADDR_MASK;
/// An Ethernet header.
const SHORTEST_FRAME_BYTES: usize = 14;

/// The device that a port is opened on.
struct End<'a> {
    device: &'a str,
    ifindex: u32,
    mtu_bytes: u32,
}

/// An AF_XDP socket on the host end of a pod's veth, or on an uplink of the kernel's to send only; in copy mode.
///
/// Closing (dropping) it takes the kernel some milliseconds; do that outside of the worker's loop.
pub(crate) struct XskPort {
    // Dropped in this order: when the socket is closed, the kernel is done with the mbufs that `held` then frees.
    socket: XskSocket,
    held: HeldMbufs,
    pool: Mempool,
    device: Arc<str>,
    max_frame_bytes: usize,
    station: Option<MacAddress>,
    finisher: Finisher,
    /// How many buffers the kernel is to have for receiving; 0 for a port that only sends.
    receive_slots: u32,
    /// Buffers that the kernel has to receive into or has received into.
    receiving: u32,
    counters: PortCounters,
}

impl XskPort {
    /// Opens it on queue 0 of a pod's host end.
    pub fn open(pool: Mempool, pod: &AttachedPod, finisher: Finisher) -> Result<Self, XskError> {
        let end = End {
            device: &pod.host_interface,
            ifindex: pod.host_ifindex,
            mtu_bytes: pod.mtu,
        };
        let mut port = Self::bind(pool, &end, finisher)?;
        port.station = Some(pod.address);
        port.receive_slots = RING_SLOTS;
        port.refill();
        Ok(port)
    }

    /// Opens it on queue 0 of an uplink, where the kernel goes on receiving.
    pub fn open_to_send(pool: Mempool, uplink: &Device) -> Result<Self, XskError> {
        let end = End {
            device: &uplink.name,
            ifindex: uplink.index,
            mtu_bytes: uplink.mtu,
        };
        Self::bind(pool, &end, Finisher::Software)
    }

    /// A port that does not receive yet.
    fn bind(pool: Mempool, end: &End<'_>, finisher: Finisher) -> Result<Self, XskError> {
        let area = Area::of(&pool);
        let capacity_bytes = area.capacity_bytes();
        let mtu_bytes = end.mtu_bytes;
        if mtu_bytes as usize + RECEIVED_HEADER_BYTES > capacity_bytes {
            return Err(XskError::MtuTooLarge {
                device: end.device.to_owned(),
                mtu_bytes,
                limit_bytes: capacity_bytes.saturating_sub(RECEIVED_HEADER_BYTES),
            });
        }
        // SAFETY: a pool's memory is never unmapped. The kernel gets only buffers of mbufs that this port owns, and `held`
        // has them until they are back or the socket is closed.
        let socket = unsafe {
            let memory = area.memory();
            XskSocket::open(end.ifindex, XskMode::Copy, memory, RING_SLOTS, &[])
        };
        let socket = socket.map_err(|source| XskError::Open {
            device: end.device.to_owned(),
            source,
        })?;
        Ok(Self {
            socket,
            held: HeldMbufs::new(pool, area),
            pool,
            device: end.device.into(),
            max_frame_bytes: capacity_bytes.min(mtu_bytes as usize + SENT_HEADER_BYTES),
            station: None,
            finisher,
            receive_slots: 0,
            receiving: 0,
            counters: PortCounters::default(),
        })
    }

    /// Gives the kernel free mbufs to receive into, as far as there are any. It never has more than the receive ring has
    /// slots, so that no received frame is lost for want of a slot. The fill ring can be full all the same: the kernel
    /// hands a frame over before it gives the slot back that the frame's buffer came by (`xsk_flush`).
    fn refill(&mut self) {
        while self.receiving < self.receive_slots && self.socket.fill.has_room() {
            let Some(mbuf) = self.pool.take() else { return };
            self.socket.fill.push(self.held.insert(mbuf));
            self.receiving += 1;
        }
    }

    /// Frees the mbufs of frames that have left.
    fn reclaim(&mut self) {
        while let Some(address) = self.socket.completion.pop() {
            drop(self.take_back(address, 0));
            self.counters.transmitted += 1;
        }
    }

    /// The frame in a buffer that the kernel gives back, with what the kernel program has left in front of it.
    fn take_back(&mut self, address: u64, length_bytes: u16) -> Option<DpdkFrame> {
        let Some(mbuf) = self.held.take(address & BUFFER_MASK) else {
            debug_assert!(
                false,
                "the kernel gives back what it was not given: {address:#x}"
            );
            return None;
        };
        let data_offset = (address >> DATA_SHIFT) as u16;
        let mut metadata = None;
        if length_bytes > 0 && usize::from(data_offset) >= METADATA_BYTES {
            // SAFETY: so many bytes of the buffer lie before the data (checked above), and the mbuf is ours again.
            metadata = Metadata::take(unsafe {
                let data = self.pool.buffer_of(mbuf).add(usize::from(data_offset));
                data.sub(METADATA_BYTES).cast().as_mut()
            });
        }
        // SAFETY: the mbuf is of this pool and ours; the kernel's offset and length are within the buffer that it had.
        let mut frame = unsafe { DpdkFrame::place(mbuf, &self.pool, data_offset, length_bytes) };
        if let Some(metadata) = metadata {
            frame.set_metadata(&metadata);
        }
        Some(frame)
    }
}

impl Port for XskPort {
    type Frame = DpdkFrame;
    type Error = XskWakeError;

    fn receive(&mut self) -> Option<DpdkFrame> {
        let received = self.socket.rx.pop();
        if received.is_none() || self.receiving + REFILL <= self.receive_slots {
            self.refill();
        }
        let descriptor = received?;
        self.receiving -= 1;
        let mut frame = self.take_back(descriptor.addr, descriptor.len as u16)?;
        frame.finish(self.finisher);
        self.counters.received += 1;
        Some(frame)
    }

    /// Also refuses a frame of another pool.
    fn transmit(&mut self, mut frame: DpdkFrame) -> Result<(), DpdkFrame> {
        if !frame.is_of(&self.pool) || !self.socket.tx.has_room() {
            self.counters.transmit_refused += 1;
            return Err(frame);
        }
        tsn_port::Frame::complete(&mut frame);
        let (length, data) = (frame.bytes().len(), frame.bytes().as_ptr() as usize);
        let mbuf = frame.into_mbuf();
        let data_offset = data - self.pool.buffer_of(mbuf).as_ptr() as usize;
        let pushed = self.socket.tx.push(libc::xdp_desc {
            addr: self.held.insert(mbuf) | (data_offset as u64) << DATA_SHIFT,
            len: length as u32,
            options: 0,
        });
        debug_assert!(pushed, "there was room");
        self.counters.transmit_queued += 1;
        Ok(())
    }

    /// Without frames to transmit this makes no system call, and only frees what has left.
    fn wake(&mut self) -> Result<(), XskWakeError> {
        let mut waiting = self.socket.tx.waiting();
        while waiting > 0 {
            let result = self.socket.kick();
            self.counters.wakes += 1;
            self.reclaim();
            if let Err(error) = result {
                match error.raw_os_error() {
                    // The device dropped one: the kernel stops there and says so (__xsk_generic_xmit).
                    Some(libc::EBUSY) => self.counters.transmit_dropped += 1,
                    // Some were sent and more wait, or memory is short: see what is left.
                    Some(libc::EAGAIN | libc::ENOBUFS | libc::EINTR) => {}
                    _ => return Err(XskWakeError::new(&self.device, error)),
                }
            }
            let left = self.socket.tx.waiting();
            if left >= waiting {
                return Ok(()); // The device takes no more just now; the next call goes on.
            }
            waiting = left;
        }
        self.reclaim();
        Ok(())
    }

    /// Makes one system call, for the drops that the kernel counts.
    fn counters(&self) -> PortCounters {
        let kernel = self.socket.statistics();
        // The kernel cannot fail to count for an open socket; if it did, its counts would be missing.
        let (no_buffer, ring_full) =
            kernel.map_or((0, 0), |kernel| (kernel.rx_dropped, kernel.rx_ring_full));
        PortCounters {
            receive_no_buffer: no_buffer,
            receive_ring_full: ring_full,
            ..self.counters
        }
    }

    /// Also `None` for less than an Ethernet header, which the kernel would not send.
    fn allocate(&mut self, length_bytes: usize) -> Option<DpdkFrame> {
        let lengths = SHORTEST_FRAME_BYTES..=self.max_frame_bytes;
        lengths
            .contains(&length_bytes)
            .then(|| self.pool.allocate(length_bytes))?
    }

    fn levels(&mut self) -> PortLevels {
        PortLevels {
            transmit_used: self.socket.tx.waiting(),
            transmit_slots: RING_SLOTS,
            receive_waiting: self.socket.rx.waiting(),
            receive_slots: self.receive_slots,
            free_buffers: self.pool.free_frames(),
            buffers: self.pool.frames(),
        }
    }

    fn readable(&self) -> Option<RawFd> {
        Some(self.socket.as_fd().as_raw_fd())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_frame_bytes: self.max_frame_bytes,
            transmit_slots: RING_SLOTS as usize,
            zero_copy: false,
            hardware_launch: None,
            // In copy mode only the system call sends.
            waits_for_wake: true,
        }
    }

    fn station(&self) -> Option<MacAddress> {
        self.station
    }
}

impl AsFd for XskPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
