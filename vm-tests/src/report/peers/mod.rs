//! `tsnd` beside the kernel's queueing disciplines: what the test leaves, and the page and the picture made of it.

mod page;
mod picture;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::Kernel;

pub use page::page;
pub use picture::picture;

/// The test that measures all cases, and the file that it leaves.
pub const TEST: &str = "peers";
/// The file with all that was measured. What may not differ from run to run is in `figures.json`.
pub const FILE: &str = "measured.json";

/// What was measured in one guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Measured {
    /// The kernel's release.
    pub release: String,
    /// From a look at the clock to the far end's kernel for one frame of a bare spin loop, median, in ns. Granted to
    /// every frame at the close of its gate.
    pub path_ns: u64,
    /// ETF's `delta`, in ns.
    pub etf_delta_ns: u64,
    /// One for each case and subject.
    pub rows: Vec<Row>,
}

/// One subject in one case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// The case's name.
    pub case: String,
    /// The subject's name.
    pub subject: String,
    /// Frames that the talkers sent, of those streams that must lose nothing.
    pub sent: u64,
    /// Those of them that arrived.
    pub arrived: u64,
    /// Arrival less launch time.
    pub launch: Option<Distribution>,
    /// The same without its sign.
    pub deviation: Option<Distribution>,
    /// Arrival less the opening of the gate, of frames that waited for it; not where a class has a backlog.
    pub opening: Option<Distribution>,
    /// Frames outside their gates.
    pub outside: Outside,
    /// What was said against the new schedule, where it was refused.
    pub refused: Option<String>,
}

/// Where values lie, in ns; exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Distribution {
    /// How many there are.
    pub frames: usize,
    /// The least.
    pub min_ns: i64,
    /// The median.
    pub p50_ns: i64,
    /// 99 of 100 are at most this.
    pub p99_ns: i64,
    /// The greatest.
    pub max_ns: i64,
}

impl Distribution {
    /// Of values; `None` where there are none.
    pub fn of(values: impl Iterator<Item = i64>) -> Option<Self> {
        let mut sorted: Vec<i64> = values.collect();
        sorted.sort_unstable();
        let at = |per_cent: usize| sorted[(sorted.len() * per_cent).div_ceil(100).max(1) - 1];
        Some(Self {
            frames: sorted.len(),
            min_ns: *sorted.first()?,
            p50_ns: at(50),
            p99_ns: at(99),
            max_ns: *sorted.last()?,
        })
    }
}

/// Frames outside their gates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outside {
    /// How many frames were looked at.
    pub of: usize,
    /// How many arrived before their gate opened, or were not through when it closed.
    pub frames: usize,
    /// How far the worst was from the nearest window of its class, in ns.
    pub worst_ns: u64,
}

/// What the test left on each kernel.
///
/// # Errors
///
/// When it has run on none.
pub fn read(runs: &Path) -> Result<Vec<(Kernel, Measured)>> {
    let mut found = Vec::new();
    for kernel in Kernel::ALL {
        let file = runs.join(kernel.name()).join(TEST).join(FILE);
        if let Ok(text) = fs::read(&file) {
            let measured = serde_json::from_slice(&text)
                .with_context(|| format!("read {}", file.display()))?;
            found.push((kernel, measured));
        }
    }
    ensure!(
        !found.is_empty(),
        "no {FILE} in {}: run `cargo xtask vm-test --test {TEST}` first",
        runs.display()
    );
    Ok(found)
}

/// Writes page and picture of what the runs left.
///
/// # Errors
///
/// When the test has not been run, or a file cannot be read or written.
pub fn write(runs: &Path, docs: &Path) -> Result<Vec<PathBuf>> {
    let measured = read(runs)?;
    [
        ("peers.md", page(&measured)),
        ("peers.svg", picture(&measured)),
    ]
    .into_iter()
    .map(|(file, text)| {
        let path = docs.join(file);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_exact() {
        let found = Distribution::of((1..=200).rev()).unwrap();
        assert_eq!(
            (found.min_ns, found.p50_ns, found.p99_ns, found.max_ns),
            (1, 100, 198, 200)
        );
        assert_eq!(Distribution::of([-7].into_iter()).unwrap().p99_ns, -7);
        assert_eq!(Distribution::of(std::iter::empty()), None);
    }

    /// Page and picture of two subjects, one of which has a frame outside.
    #[test]
    fn page_and_picture_show_every_row() {
        let row = |subject: &str, frames, launch_ns: i64| Row {
            case: "rest".into(),
            subject: subject.into(),
            sent: 2,
            arrived: 2,
            launch: Distribution::of([launch_ns].into_iter()),
            deviation: Distribution::of([launch_ns.abs()].into_iter()),
            opening: None,
            outside: Outside {
                of: 2,
                frames,
                worst_ns: 17_000,
            },
            refused: (frames > 0).then(|| "no & never".into()),
        };
        let measured = Measured {
            release: "6.1.0-50".into(),
            path_ns: 4_350,
            etf_delta_ns: 20_000,
            rows: vec![row("tsnd", 0, -2_331), row("etf", 1, -16_216)],
        };
        let all = [(Kernel::V6_1, measured)];
        let page = page(&all);
        for part in ["6.1.0-50", "| tsnd | −2.3 |", "**1** (17.0)", "no & never"] {
            assert!(page.contains(part), "{part} is not in:\n{page}");
        }
        let picture = picture(&all);
        for part in ["ETF", "16.2 µs", "1 outside"] {
            assert!(picture.contains(part), "{part} is not in:\n{picture}");
        }
    }
}
