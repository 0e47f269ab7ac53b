//! Devices that DPDK drives.

use crate::Test;

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    Vec::new()
}
