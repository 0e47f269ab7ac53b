//! Two nodes whose clocks follow each other.

use crate::Test;

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    Vec::new()
}
