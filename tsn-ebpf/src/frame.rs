//! The frame that an XDP program looks at.

use aya_ebpf::programs::XdpContext;
use tsn_common::Load;

/// The frame, read directly.
pub struct Frame<'a>(pub &'a XdpContext);

impl Frame<'_> {
    /// Its length.
    #[inline(always)]
    pub fn bytes(&self) -> usize {
        let (data, data_end) = self.bounds();
        data_end - data
    }

    /// Where it begins and ends.
    ///
    /// Read anew each time: a pointer that is kept is one more thing in which the ways through a program differ, and the
    /// verifier checks what follows again for each.
    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        let context = self.0.ctx;
        // SAFETY: the context is valid while the program runs.
        unsafe {
            (
                (&raw const (*context).data).read_volatile() as usize,
                (&raw const (*context).data_end).read_volatile() as usize,
            )
        }
    }
}

impl Load for Frame<'_> {
    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let (data, data_end) = self.bounds();
        let start = data + offset;
        if start + N > data_end {
            return None;
        }
        // SAFETY: the bytes lie before the end of the frame, as just checked; any alignment will do for bytes.
        Some(unsafe { *(start as *const [u8; N]) })
    }
}
