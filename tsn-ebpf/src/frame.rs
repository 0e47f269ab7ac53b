//! The frame that an XDP program looks at.

use aya_ebpf::programs::XdpContext;
use tsn_common::Load;

/// The frame, read directly.
pub struct Frame<'a>(pub &'a XdpContext);

impl Frame<'_> {
    /// Its length.
    #[inline(always)]
    pub fn bytes(&self) -> usize {
        self.0.data_end() - self.0.data()
    }
}

impl Load for Frame<'_> {
    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.0.data() + offset;
        if start + N > self.0.data_end() {
            return None;
        }
        // SAFETY: the bytes lie before the end of the frame, as just checked; any alignment will do for bytes.
        Some(unsafe { *(start as *const [u8; N]) })
    }
}
