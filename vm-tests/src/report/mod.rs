//! Pages of `docs/` that are made from what the runs left.

pub mod kernels;
pub mod peers;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::places;

/// Makes a page, from the directory of all runs, and in that of the pages; gives back the files that it wrote.
type Writer = fn(&Path, &Path) -> Result<Vec<PathBuf>>;

/// Each page, by its name and what makes it.
const PAGES: [(&str, Writer); 2] = [("kernels.md", kernels::write), ("peers.md", peers::write)];

/// Makes them all.
///
/// # Errors
///
/// When one cannot be made, such as when what it is made from has not been run.
pub fn write_docs() -> Result<Vec<PathBuf>> {
    let docs = places::repository().join("docs");
    let mut written = Vec::new();
    for (name, writer) in PAGES {
        written.extend(writer(&places::runs(), &docs).with_context(|| format!("write {name}"))?);
    }
    Ok(written)
}
