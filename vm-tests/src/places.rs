//! Where things are, on the host.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package has a folder of its own")
        .to_owned()
}

/// What this crate makes and keeps.
pub fn kept() -> PathBuf {
    repository().join("target/vm")
}

/// What the runs left: one directory for each kernel, in it one for each test.
pub fn runs() -> PathBuf {
    kept().join("runs")
}
