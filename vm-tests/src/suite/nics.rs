//! Network cards over AF_XDP.

use crate::Test;

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    Vec::new()
}
