//! What a device counts.

use std::ffi::CStr;

use dpdk_sys as sys;

use super::EthDevice;

/// Drivers that count as failed what they did not take: it is offered again, so nothing is lost.
const COUNT_REFUSALS: [&str; 2] = ["net_vhost", "net_ring"];

/// Drivers that drop a frame when no free buffer is there; with others it waits where it is.
const DROP_WITHOUT_BUFFER: [&str; 1] = ["net_tap"];

/// Drops that a device counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drops {
    /// Frames that came when its receive queue was full.
    pub receive_ring_full: u64,
    /// Frames that came when no buffer was free.
    pub receive_no_buffer: u64,
    /// Frames that it took for transmission and did not send.
    pub transmit: u64,
}

impl EthDevice {
    pub(super) fn drops(&self) -> Drops {
        let mut statistics = sys::rte_eth_stats::default();
        // SAFETY: a place for the result; on failure it stays zero.
        unsafe { sys::rte_eth_stats_get(self.port, &raw mut statistics) };
        let counts_refusals = COUNT_REFUSALS.contains(&self.driver());
        let drops = DROP_WITHOUT_BUFFER.contains(&self.driver());
        Drops {
            receive_ring_full: statistics.imissed,
            receive_no_buffer: if drops { statistics.rx_nombuf } else { 0 },
            transmit: if counts_refusals {
                0
            } else {
                statistics.oerrors
            },
        }
    }

    /// Everything that the device counts, by DPDK's names: the basic statistics, and what its driver has beside them.
    pub fn statistics(&self) -> Vec<(String, u64)> {
        // SAFETY: with no place for results it only tells how many there are.
        let count = unsafe { sys::rte_eth_xstats_get_names(self.port, std::ptr::null_mut(), 0) };
        let count = usize::try_from(count).unwrap_or(0);
        let mut names = vec![sys::rte_eth_xstat_name::default(); count];
        let mut values = vec![sys::rte_eth_xstat::default(); count];
        // SAFETY: there is room for as many results as it is told.
        let (named, valued) = unsafe {
            (
                sys::rte_eth_xstats_get_names(self.port, names.as_mut_ptr(), count as u32),
                sys::rte_eth_xstats_get(self.port, values.as_mut_ptr(), count as u32),
            )
        };
        // More than there is room for, or none: nothing was written.
        if usize::try_from(named) != Ok(count) {
            return Vec::new();
        }
        let valued = usize::try_from(valued).unwrap_or(0);
        values
            .iter()
            .take(valued.min(count))
            .filter_map(|value| {
                let name = names.get(usize::try_from(value.id).ok()?)?;
                // SAFETY: DPDK ends every name with a zero.
                let name = unsafe { CStr::from_ptr(name.name.as_ptr()) };
                Some((name.to_string_lossy().into_owned(), value.value))
            })
            .collect()
    }
}
