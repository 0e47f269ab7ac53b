//! What is measured of the DPDK backend, beside other programs over DPDK and beside AF_XDP.

mod circle;
pub mod cost;
pub mod forwarding;

use tsn_tests::hugepages::Hugepages;

/// Hugepages of 2 MB for the three programs that may run at once.
const PAGES: u64 = 3 * 64 + 16;

/// Hugepages for the time of the run, and what to say of them. Without them all programs use ordinary pages.
pub fn hugepages() -> (Option<Hugepages>, String) {
    match Hugepages::allocate(PAGES) {
        Ok(pages) => (Some(pages), format!("{PAGES} of 2 MB")),
        Err(error) => (None, format!("none: {error:#}")),
    }
}
