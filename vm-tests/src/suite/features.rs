//! What a kernel has, and what `tsnd` does without it.

use crate::Test;

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    Vec::new()
}
