//! A [`Port`] over an AF_XDP socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use tsn_port::{Capabilities, Frame, MacAddress, Port, PortCounters, PortLevels, checksum};

use crate::port_socket::PortSocket;
use crate::umem::AfxdpFrame;

/// Bytes that the kernel lets a frame have beyond the MTU: Ethernet header and one VLAN tag.
const HEADER_BYTES: usize = 14 + 4;

const SHORTEST_FRAME_BYTES: usize = 14;

/// Why [`AfxdpPort::wake`](Port::wake) failed. The frames stay in the ring.
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    /// The device is down.
    #[error("{device} is down; its frames wait until it is up again")]
    DeviceDown {
        /// The device.
        device: Arc<str>,
    },
    /// The device no longer exists.
    #[error("{device} is gone; close the port and open it anew when the device is back")]
    DeviceGone {
        /// The device.
        device: Arc<str>,
    },
    /// The kernel refused for another reason.
    #[error("the kernel does not transmit on {device}")]
    Transmit {
        /// The device.
        device: Arc<str>,
        /// The kernel's reason.
        source: io::Error,
    },
}

/// An AF_XDP socket on queue 0 of a device; in zero-copy mode if an uplink is to and can, otherwise in copy mode.
///
/// Closing (dropping) it takes the kernel some milliseconds; do that outside of the worker's loop. Drain it
/// before: what waits in its rings is lost, and a frame that a device is just reading may go out with another content.
pub struct AfxdpPort {
    socket: PortSocket,
    device: Arc<str>,
    complete_checksums: bool,
    max_frame_bytes: usize,
    counters: PortCounters,
}

impl AfxdpPort {
    /// A port over an open socket. `complete_checksums` makes good the checksum offload of the pod at the other end.
    ///
    /// That is done at receipt: the frame's headers are read now anyway, most frames wait for their time afterwards,
    /// and nothing but the ring is left to do when that time has come.
    pub(crate) fn new(
        socket: PortSocket,
        device: &str,
        mtu_bytes: u32,
        complete_checksums: bool,
    ) -> Self {
        let max_frame_bytes = socket
            .umem()
            .capacity_bytes()
            .min(mtu_bytes as usize + HEADER_BYTES);
        Self {
            socket,
            device: device.into(),
            complete_checksums,
            max_frame_bytes,
            counters: PortCounters::default(),
        }
    }

    fn reclaim(&mut self) {
        self.counters.transmitted += self.socket.reclaim() as u64;
    }

    fn wake_error(&self, source: io::Error) -> WakeError {
        let device = Arc::clone(&self.device);
        match source.raw_os_error() {
            Some(libc::ENETDOWN) => WakeError::DeviceDown { device },
            Some(libc::ENXIO | libc::ENODEV) => WakeError::DeviceGone { device },
            _ => WakeError::Transmit { device, source },
        }
    }
}

impl AsFd for AfxdpPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Port for AfxdpPort {
    type Frame = AfxdpFrame;
    type Error = WakeError;

    fn receive(&mut self) -> Option<AfxdpFrame> {
        let mut frame = self.socket.receive()?;
        if self.complete_checksums {
            checksum::complete(frame.bytes_mut());
        }
        self.counters.received += 1;
        Some(frame)
    }

    /// Also refuses a frame of another backend's memory.
    fn transmit(&mut self, frame: AfxdpFrame) -> Result<(), AfxdpFrame> {
        let result = self.socket.transmit(frame);
        match &result {
            Ok(()) => self.counters.transmit_queued += 1,
            Err(_) => self.counters.transmit_refused += 1,
        }
        result
    }

    /// Without frames to transmit this makes no system call, and only frees what has left.
    fn wake(&mut self) -> Result<(), WakeError> {
        let mut waiting = self.socket.waiting();
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
                    _ => return Err(self.wake_error(error)),
                }
            }
            let left = self.socket.waiting();
            if left >= waiting {
                return Ok(()); // The device takes no more just now; the next call goes on.
            }
            waiting = left;
        }
        self.reclaim();
        Ok(())
    }

    /// Also `None` for less than an Ethernet header, which the kernel would not send.
    fn allocate(&mut self, length_bytes: usize) -> Option<AfxdpFrame> {
        let lengths = SHORTEST_FRAME_BYTES..=self.max_frame_bytes;
        lengths
            .contains(&length_bytes)
            .then(|| AfxdpFrame::new(self.socket.umem(), length_bytes))?
    }

    fn readable(&self) -> Option<RawFd> {
        Some(self.socket.as_fd().as_raw_fd())
    }

    /// Makes one system call, for the drops that the kernel counts. A received frame that is longer than a chunk
    /// counts among `receive_no_buffer`.
    fn counters(&self) -> PortCounters {
        // The kernel cannot fail to count for an open socket; if it did, its counts would be missing.
        let (no_buffer, ring_full) = self.socket.receive_drops().unwrap_or_default();
        PortCounters {
            receive_no_buffer: no_buffer,
            receive_ring_full: ring_full,
            ..self.counters
        }
    }

    /// Reads the rings, which costs no system call.
    fn levels(&mut self) -> PortLevels {
        PortLevels {
            transmit_used: self.socket.waiting(),
            transmit_slots: self.socket.slots() as u32,
            receive_waiting: self.socket.arrived(),
            receive_slots: self.socket.receive_slots() as u32,
            free_buffers: self.socket.umem().free_chunks() as u32,
            buffers: self.socket.umem().chunks() as u32,
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_frame_bytes: self.max_frame_bytes,
            transmit_slots: self.socket.slots(),
            zero_copy: self.socket.is_zero_copy(),
            hardware_launch: None,
            // In copy mode only the system call sends; a device looks at the ring whenever it has something else to do.
            waits_for_wake: !self.socket.is_zero_copy(),
        }
    }

    /// The kernel programs deliver.
    fn station(&self) -> Option<MacAddress> {
        None
    }
}
