//! `tsnd` beside the kernel's own schedulers.

use crate::Test;

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    Vec::new()
}
