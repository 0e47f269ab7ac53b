//! The socket behind a port, in either mode.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use crate::socket::Socket;
use crate::umem::{AfxdpFrame, Umem};
use crate::zero_copy::ZeroCopySocket;

/// A socket of a port.
#[expect(
    clippy::large_enum_variant,
    reason = "a port is made once, and most are of the large variant; a box would only stand between them and the ring"
)]
pub(crate) enum PortSocket {
    /// The kernel copies; frames are sent and, at a pod, received.
    Copy(Socket),
    /// The device sends straight from the memory; nothing is received.
    ZeroCopy(ZeroCopySocket),
}

impl PortSocket {
    /// Whether the device reads the memory itself.
    pub fn is_zero_copy(&self) -> bool {
        matches!(self, Self::ZeroCopy(_))
    }

    /// Slots of each ring.
    pub fn slots(&self) -> usize {
        match self {
            Self::Copy(socket) => socket.slots(),
            Self::ZeroCopy(socket) => socket.slots(),
        }
    }

    /// Chunks that are kept ready to receive into.
    pub fn receive_slots(&self) -> usize {
        match self {
            Self::Copy(socket) => socket.receive_slots(),
            Self::ZeroCopy(socket) => socket.slots(),
        }
    }

    /// The shared memory.
    pub fn umem(&self) -> &Arc<Umem> {
        match self {
            Self::Copy(socket) => socket.umem(),
            Self::ZeroCopy(socket) => socket.umem(),
        }
    }

    /// Takes the next received frame.
    pub fn receive(&mut self) -> Option<AfxdpFrame> {
        match self {
            Self::Copy(socket) => socket.receive(),
            Self::ZeroCopy(_) => None,
        }
    }

    /// Puts a frame into the transmit ring; gives it back if that is full or the frame lies in other memory.
    pub fn transmit(&mut self, frame: AfxdpFrame) -> Result<(), AfxdpFrame> {
        match self {
            Self::Copy(socket) => socket.transmit(frame),
            Self::ZeroCopy(socket) => socket.transmit(frame),
        }
    }

    /// Frames in the transmit ring that have not been taken.
    pub fn waiting(&self) -> u32 {
        match self {
            Self::Copy(socket) => socket.waiting(),
            Self::ZeroCopy(socket) => socket.waiting(),
        }
    }

    /// Received frames that `receive` has not taken.
    pub fn arrived(&mut self) -> u32 {
        match self {
            Self::Copy(socket) => socket.arrived(),
            Self::ZeroCopy(_) => 0,
        }
    }

    /// Has the transmit ring sent from: one system call.
    pub fn kick(&self) -> io::Result<()> {
        match self {
            Self::Copy(socket) => socket.kick(),
            Self::ZeroCopy(socket) => socket.kick(),
        }
    }

    /// Frees the chunks of frames that have left; gives their number.
    pub fn reclaim(&mut self) -> usize {
        match self {
            Self::Copy(socket) => socket.reclaim(),
            Self::ZeroCopy(socket) => socket.reclaim(),
        }
    }

    /// Frames that were dropped at receipt for want of a chunk, and for want of a slot in the receive ring (one system
    /// call).
    pub fn receive_drops(&self) -> io::Result<(u64, u64)> {
        match self {
            Self::Copy(socket) => socket
                .statistics()
                .map(|counted| (counted.rx_dropped(), counted.rx_ring_full())),
            Self::ZeroCopy(socket) => socket
                .statistics()
                .map(|counted| (counted.rx_dropped, counted.rx_ring_full)),
        }
    }
}

impl AsFd for PortSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Copy(socket) => socket.as_fd(),
            Self::ZeroCopy(socket) => socket.as_fd(),
        }
    }
}
