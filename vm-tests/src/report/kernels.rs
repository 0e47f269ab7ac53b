//! What each kernel has: what the test leaves, and the page made of it.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{Kernel, guest::FIGURES_FILE};

/// The test that asks the kernels.
pub const TEST: &str = "features";

/// What a kernel answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Features {
    /// The kernel's release.
    pub release: String,
    /// Each feature by its key, and whether it is there.
    pub has: BTreeMap<String, bool>,
}

/// A feature of kernels.
#[derive(Debug)]
pub struct Feature {
    /// How the test calls it.
    pub key: &'static str,
    /// How the page calls it.
    pub name: &'static str,
    /// What there is without it.
    pub without: Without,
}

/// What `tsnd` does on a kernel that lacks a feature.
#[derive(Debug)]
pub enum Without {
    /// It cannot do without.
    Refuses,
    /// This, instead.
    Instead(&'static str),
    /// It uses it nowhere; with why.
    NotUsed(&'static str),
}

/// All features that the test asks for, in the order of the page.
pub const FEATURES: [Feature; 10] = [
    Feature {
        key: "tai-in-programs",
        name: "`CLOCK_TAI` in kernel programs (`bpf_ktime_get_tai_ns`)",
        without: Without::Refuses,
    },
    Feature {
        key: "native-xdp-link-on-veth",
        name: "Native XDP on a veth, by a link",
        without: Without::Refuses,
    },
    Feature {
        key: "devmap-to-veth",
        name: "XDP redirect to a veth (DEVMAP)",
        without: Without::Refuses,
    },
    Feature {
        key: "shared-umem",
        name: "AF_XDP sockets of several devices on one UMEM",
        without: Without::Refuses,
    },
    Feature {
        key: "tcx-link",
        name: "Links to tcx",
        without: Without::Instead(
            "the stamp program is in a `clsact` filter of the pod's network namespace, set by rtnetlink. Like a link it \
             outlives the daemon, SIGKILL included; but a pod with `CAP_NET_ADMIN` can remove it. `tsnd` then attaches the pod \
             anew with its next housekeeping, and until then the pod's frames carry neither launch time nor priority.",
        ),
    },
    Feature {
        key: "launch-time-clock-named",
        name: "A frame tells the clock of its launch time",
        without: Without::Instead(
            "it is taken for that of `CLOCK_TAI` and `CLOCK_MONOTONIC` whose time now is nearer to the launch time.",
        ),
    },
    Feature {
        key: "second-mapping-of-bound-ring",
        name: "The rings of a bound AF_XDP socket can be mapped again",
        without: Without::Instead(
            "nothing else: on every kernel `tsnd` uses the transmit ring where xsk-rs has mapped it, and finds that in \
             `/proc/self/maps`.",
        ),
    },
    Feature {
        key: "transmit-budget",
        name: "More than 32 frames in one AF_XDP `sendto` (`XDP_MAX_TX_SKB_BUDGET`)",
        without: Without::Instead("the wake-up is repeated until the ring is empty."),
    },
    Feature {
        key: "transmit-metadata",
        name: "AF_XDP transmit metadata",
        without: Without::NotUsed(
            "xsk-rs does not offer it; checksums are completed by the worker.",
        ),
    },
    Feature {
        key: "transmit-launch-time",
        name: "Launch time for the card in AF_XDP transmit metadata",
        without: Without::NotUsed("the worker sends at the launch time itself."),
    },
];

const HEAD: &str = "\
# What kernels have, and what tsnd does without it

`tsnd` needs Linux 6.1 or newer, and says so on an older one. This page is made by `cargo xtask vm-test --write-docs` of what
`cargo xtask vm-test --test features` found: a test that runs in a virtual machine on each of these kernels of Debian, and
tries each feature there instead of asking for the release (only the last it looks up in the kernel's type information). What
`tsnd` itself takes the kernel to have of tcx and clocks is asserted to be the same.

";

/// What the test left on each kernel.
fn read(runs: &Path) -> Result<Vec<(Kernel, Features)>> {
    let mut found = Vec::new();
    for kernel in Kernel::ALL {
        let file = runs.join(kernel.name()).join(TEST).join(FIGURES_FILE);
        if let Ok(text) = fs::read(&file) {
            let features = serde_json::from_slice(&text)
                .with_context(|| format!("read {}", file.display()))?;
            found.push((kernel, features));
        }
    }
    ensure!(
        !found.is_empty(),
        "no {FIGURES_FILE} in {}: run `cargo xtask vm-test --test {TEST}` first",
        runs.display()
    );
    Ok(found)
}

/// Writes the page of what the runs left.
///
/// # Errors
///
/// When the test has not been run, or a file cannot be read or written.
pub fn write(runs: &Path, docs: &Path) -> Result<Vec<PathBuf>> {
    let path = docs.join("kernels.md");
    fs::write(&path, page(&read(runs)?)).with_context(|| format!("write {}", path.display()))?;
    Ok(vec![path])
}

/// The page: a table of feature and kernel, and what is done without each feature.
pub fn page(kernels: &[(Kernel, Features)]) -> String {
    let mut page = HEAD.to_owned();
    let names: String = kernels
        .iter()
        .map(|(kernel, features)| format!(" {kernel}<br>{} |", features.release))
        .collect();
    let rules = "---|".repeat(kernels.len());
    let _ = writeln!(page, "| |{names}\n|---|{rules}");
    for feature in &FEATURES {
        let cells: String = kernels
            .iter()
            .map(|(_, features)| match features.has.get(feature.key) {
                Some(true) => " yes |",
                Some(false) => " **no** |",
                None => " ? |",
            })
            .collect();
        let _ = writeln!(page, "| {} |{cells}", feature.name);
    }
    page.push_str("\n## Without it\n\n");
    for feature in &FEATURES {
        let text = match feature.without {
            Without::Refuses => {
                "`tsnd` cannot do without it. No kernel of the table lacks it, so what it then says was never seen."
            }
            Without::Instead(text) => text,
            Without::NotUsed(why) => &format!("`tsnd` uses it nowhere: {why}"),
        };
        let _ = writeln!(page, "- {}: {text}", feature.name);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_each_feature_of_each_kernel() {
        let features = |release: &str, has| Features {
            release: release.into(),
            has: FEATURES
                .iter()
                .map(|feature| (feature.key.into(), has))
                .collect(),
        };
        let mut old = features("6.1.0-50-amd64", true);
        old.has.insert("tcx-link".into(), false);
        old.has.remove("transmit-budget");
        let kernels = [
            (Kernel::V6_1, old),
            (Kernel::Newest, features("7.3.4", true)),
        ];
        let page = page(&kernels);
        for part in [
            "| | 6.1<br>6.1.0-50-amd64 | newest<br>7.3.4 |",
            "| Links to tcx | **no** | yes |",
            "(`XDP_MAX_TX_SKB_BUDGET`) | ? | yes |",
            "- Links to tcx: the stamp program",
            "`tsnd` uses it nowhere: ",
        ] {
            assert!(page.contains(part), "{part} is not in:\n{page}");
        }
    }
}
