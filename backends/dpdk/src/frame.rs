//! An owned mbuf as a frame.

use std::fmt;
use std::num::NonZeroU16;
use std::ptr::NonNull;

use dpdk_sys as sys;
use sys::rte_mbuf;
use tsn_common::{Front, Metadata, STAMP_HEADER_BYTES};
use tsn_port::{Frame, NextHopId, Stamp, checksum};

use crate::Mempool;

/// Who completes the checksums that pods leave to their device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finisher {
    /// Whoever receives the frame from the pod.
    Software,
    /// The uplink's device, which can.
    Uplink,
}

/// A frame in an mbuf of one segment. Owns the mbuf, and gives it back to its pool when dropped.
pub struct DpdkFrame {
    mbuf: NonNull<rte_mbuf>,
    /// Where the frame begins, and how long it is: what the mbuf says too, at hand without a call.
    data: NonNull<u8>,
    length_bytes: u32,
    stamp: Stamp,
    next_hop: Option<NextHopId>,
    /// Whether the device that sends it is to complete its checksum.
    unfinished: bool,
}

// SAFETY: the frame owns its mbuf, and pools take mbufs back from any thread.
unsafe impl Send for DpdkFrame {}

impl DpdkFrame {
    /// A frame over what the mbuf says.
    ///
    /// # Safety
    ///
    /// The mbuf has one segment and belongs to the caller, who gives it away.
    pub(crate) unsafe fn from_mbuf(
        mbuf: NonNull<rte_mbuf>,
        data: NonNull<u8>,
        length_bytes: u32,
    ) -> Self {
        Self {
            mbuf,
            data,
            length_bytes,
            stamp: Stamp::NONE,
            next_hop: None,
            unfinished: false,
        }
    }

    /// A frame of `length_bytes`, `offset_bytes` after the start of the mbuf's buffer.
    ///
    /// # Safety
    ///
    /// The mbuf is of that pool and belongs to the caller, who gives it away; offset and length are within its buffer.
    pub(crate) unsafe fn place(
        mbuf: NonNull<rte_mbuf>,
        pool: &Mempool,
        offset_bytes: u16,
        length_bytes: u16,
    ) -> Self {
        // SAFETY: the mbuf is ours, and the offset is within its buffer.
        unsafe {
            sys::shim_mbuf_place(mbuf.as_ptr(), offset_bytes, length_bytes);
            let data = pool.buffer_of(mbuf).add(usize::from(offset_bytes));
            Self::from_mbuf(mbuf, data, u32::from(length_bytes))
        }
    }

    /// Ends the frame without freeing its mbuf, which then belongs to the caller.
    pub(crate) fn into_mbuf(self) -> NonNull<rte_mbuf> {
        let mbuf = self.mbuf;
        std::mem::forget(self);
        mbuf
    }

    /// Takes bytes off the frame's front.
    ///
    /// # Panics
    ///
    /// If the frame is shorter.
    pub(crate) fn strip_front(&mut self, bytes: u16) {
        assert!(
            u32::from(bytes) <= self.length_bytes,
            "a frame of {} bytes has no {bytes} to strip",
            self.length_bytes
        );
        // SAFETY: the mbuf is ours, and its segment holds at least that many bytes (checked above).
        unsafe {
            sys::shim_mbuf_strip(self.mbuf.as_ptr(), bytes);
            self.data = self.data.add(usize::from(bytes));
        }
        self.length_bytes -= u32::from(bytes);
    }

    /// Notes what the kernel program has found out about the frame.
    pub(crate) fn set_metadata(&mut self, metadata: &Metadata) {
        self.stamp = metadata.stamp();
        self.next_hop = NonZeroU16::new(metadata.next_hop).map(NextHopId);
    }

    /// Takes the stamp off a frame of a pod that no kernel program has looked at. False if it is a forged one; such a
    /// frame is to be dropped.
    pub(crate) fn take_stamp(&mut self, secret: Option<u64>) -> bool {
        let Some(front) = self.bytes().first_chunk() else {
            return true;
        };
        match Front::of(front, secret) {
            Front::Ordinary => true,
            Front::Stamp(stamp) => {
                self.strip_front(STAMP_HEADER_BYTES as u16);
                self.stamp = stamp;
                true
            }
            Front::Forged => false,
        }
    }

    /// Completes the checksum that a pod left to its device, or leaves it to the device that sends the frame.
    pub(crate) fn finish(&mut self, finisher: Finisher) {
        match finisher {
            Finisher::Software => {
                checksum::complete(self.bytes_mut());
            }
            Finisher::Uplink => {
                if let Some(found) = checksum::unfinished(self.bytes()) {
                    // SAFETY: the mbuf is ours.
                    unsafe {
                        sys::shim_mbuf_checksum(
                            self.mbuf.as_ptr(),
                            found.link_header_bytes as u16,
                            found.network_header_bytes as u16,
                            found.is_ipv6,
                            found.is_tcp,
                        );
                    }
                    self.unfinished = true;
                }
            }
        }
    }

    /// Whether the frame's mbuf is of that pool.
    pub(crate) fn is_of(&self, pool: &Mempool) -> bool {
        // SAFETY: the mbuf is ours.
        unsafe { sys::shim_mbuf_pool(self.mbuf.as_ptr()) == pool.as_ptr() }
    }
}

impl Frame for DpdkFrame {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the bytes are within the mbuf's buffer, which belongs to this frame alone.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.length_bytes as usize) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` excludes every other reference to it.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.length_bytes as usize) }
    }

    fn complete(&mut self) {
        if std::mem::take(&mut self.unfinished) {
            // SAFETY: the mbuf is ours.
            unsafe { sys::shim_mbuf_no_checksum(self.mbuf.as_ptr()) };
            checksum::complete(self.bytes_mut());
        }
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn next_hop(&self) -> Option<NextHopId> {
        self.next_hop
    }

    fn prepend(&mut self, bytes: usize) -> bool {
        let Ok(bytes) = u16::try_from(bytes) else {
            return false;
        };
        // SAFETY: the mbuf is ours.
        if bytes > unsafe { sys::shim_mbuf_headroom(self.mbuf.as_ptr()) } {
            return false;
        }
        self.complete();
        // SAFETY: the mbuf is ours, and has so much room before its data (checked above).
        unsafe {
            sys::shim_mbuf_prepend(self.mbuf.as_ptr(), bytes);
            self.data = self.data.sub(usize::from(bytes));
        }
        self.length_bytes += u32::from(bytes);
        true
    }
}

impl Drop for DpdkFrame {
    fn drop(&mut self) {
        // SAFETY: the mbuf is ours, and nobody uses it after this.
        unsafe { sys::shim_mbuf_free(self.mbuf.as_ptr()) };
    }
}

impl fmt::Debug for DpdkFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpdkFrame")
            .field("mbuf", &self.mbuf)
            .field("length_bytes", &self.length_bytes)
            .field("stamp", &self.stamp)
            .finish_non_exhaustive()
    }
}
