//! A socket by which the uplink's device sends straight from the shared memory.
//!
//! A device in zero-copy mode cannot share a registration of memory with the pods' sockets, which are in copy mode. So
//! the same memory is registered once more, for this socket; an address means the same chunk in both.
//!
//! A wake-up asks the device for an interrupt, in which it sends; in copy mode it is handed the frames in the wake-up
//! itself. An emulated igb sent 39 to 110 µs after the launch time so (medians of runs), and past the end of gates; in copy
//! mode 2 to 8 µs. Hence it must be asked for.
//!
//! In this mode the device also receives by the socket's fill ring, whatever then becomes of a frame: without chunks in
//! it nothing would arrive at the queue any more. What the kernel's path takes is copied out and what goes to a pod too,
//! and their chunks are filled again by the device, so the ring is filled once. The registration is in chunks of a page,
//! since a device may use less of a chunk than there is: igb rounds down to whole KiB, and would drop frames of more than
//! 1 KiB at chunks of 2048 bytes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tsn_programs::{XskMode, XskSocket};

use crate::held::HeldChunks;
use crate::umem::{AfxdpFrame, Umem};

/// How long the device may take for its last frames before the socket is closed.
const LAST_FRAMES_LIMIT: Duration = Duration::from_millis(100);
const LAST_FRAMES_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// A socket bound to queue 0 of a device in zero-copy mode, that only sends.
pub(crate) struct ZeroCopySocket {
    /// `None` only while it is dropped.
    socket: Option<XskSocket>,
    held: HeldChunks,
    umem: Arc<Umem>,
    ifindex: u32,
    slots: u32,
    /// Frames put into the transmit ring whose chunks have not come back.
    in_flight: usize,
}

impl ZeroCopySocket {
    /// Opens it with `ring_slots` slots in each ring, and leaves as many chunks to the device to receive into.
    ///
    /// # Errors
    ///
    /// When the driver or the kernel has no zero-copy mode, or not for this memory.
    pub fn open(umem: &Arc<Umem>, ifindex: u32, ring_slots: u32) -> io::Result<Self> {
        let mut held = HeldChunks::new(umem);
        let pages = umem.take_pages(ring_slots as usize / 2);
        for page in &pages {
            umem.chunks_of_page(*page)
                .for_each(|chunk| held.insert(chunk));
        }
        let receive: Vec<u64> = pages.iter().map(|page| *page as u64).collect();
        // SAFETY: `umem` outlives the socket, which is dropped with `self`. The chunks are from the free list, and
        // `held` keeps them until the device has let go of them; so it does with those of frames.
        let socket = unsafe {
            XskSocket::open(
                ifindex,
                XskMode::ZeroCopy,
                umem.pages(),
                ring_slots,
                &receive,
            )?
        };
        Ok(Self {
            socket: Some(socket),
            held,
            umem: Arc::clone(umem),
            ifindex,
            slots: ring_slots,
            in_flight: 0,
        })
    }

    fn socket(&self) -> &XskSocket {
        self.socket.as_ref().expect("only drop takes it")
    }

    /// Slots of each ring.
    pub fn slots(&self) -> usize {
        self.slots as usize
    }

    /// The shared memory.
    pub fn umem(&self) -> &Arc<Umem> {
        &self.umem
    }

    /// Puts a frame into the transmit ring; gives it back if that is full or the frame lies in other memory.
    pub fn transmit(&mut self, frame: AfxdpFrame) -> Result<(), AfxdpFrame> {
        let socket = self.socket.as_mut().expect("only drop takes it");
        if !frame.is_of(&self.umem) || !socket.tx.has_room() {
            return Err(frame);
        }
        self.held.insert(frame.chunk());
        let pushed = socket.tx.push(frame.descriptor());
        debug_assert!(pushed, "there was room");
        self.in_flight += 1;
        frame.hand_over();
        Ok(())
    }

    /// Frames in the transmit ring that the device has not taken.
    pub fn waiting(&self) -> u32 {
        self.socket().tx.waiting()
    }

    /// Has the device send from the transmit ring: one system call.
    pub fn kick(&self) -> io::Result<()> {
        self.socket().kick()
    }

    /// Frees the chunks of frames that have left; gives their number.
    pub fn reclaim(&mut self) -> usize {
        let socket = self.socket.as_mut().expect("only drop takes it");
        let mut total = 0;
        while let Some(address) = socket.completion.pop() {
            let chunk = self.umem.chunk_of(address as usize);
            self.held.remove(chunk);
            self.umem.give_back(chunk);
            total += 1;
        }
        self.in_flight -= total;
        total
    }

    /// Gives the device time to send what it has taken: closing stops it, whatever is still in its own ring.
    fn finish(&mut self) {
        let start = Instant::now();
        while self.in_flight > 0 && start.elapsed() < LAST_FRAMES_LIMIT {
            // A device that is gone or down sends nothing more, which the limit is for.
            let _ = self.kick();
            sleep(LAST_FRAMES_POLL_INTERVAL);
            self.reclaim();
        }
    }

    /// What the kernel counts for this socket (one system call).
    pub fn statistics(&self) -> io::Result<libc::xdp_statistics> {
        self.socket().statistics()
    }
}

impl AsFd for ZeroCopySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl Drop for ZeroCopySocket {
    fn drop(&mut self) {
        self.finish();
        self.socket = None;
        // Only then are the chunks nobody's.
        if !XskSocket::is_released(self.ifindex, self.umem.pages()) {
            tracing::error!(
                ifindex = self.ifindex,
                "the device does not let go of the memory; its chunks stay unused"
            );
            self.held.abandon();
        }
    }
}
