//! What the DPDK backend takes of the machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Faults, printable};

/// DPDK puts it into names of files beside others of its own (`NAME_MAX` of the kernel is 255).
const LONGEST_FILE_PREFIX: usize = 64;

/// The pages that frame buffers lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HugepageSize {
    /// Hugepages if enough of one size are free, otherwise ordinary pages.
    #[serde(rename = "auto")]
    Auto,
    /// Hugepages of 2 MB; the daemon does not start with too few of them.
    #[serde(rename = "2MB")]
    TwoMegabytes,
    /// Hugepages of 1 GB; the daemon does not start with too few of them.
    #[serde(rename = "1GB")]
    OneGigabyte,
    /// Ordinary pages, which no PCI device can reach.
    #[serde(rename = "none")]
    None,
}

/// What the DPDK backend takes of the machine; the others do not look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DpdkSettings {
    /// `auto` (default), `2MB`, `1GB` or `none`.
    pub hugepages: HugepageSize,
    /// DPDK's memory in MiB, 64 to 1048576. When absent, as much as the buffers of `worker` and their administration
    /// take.
    pub memory: Option<u32>,
    /// Tells this DPDK process from others of the node: 1 to 64 letters, digits, `-`, `_` and `.` (default `tsnd`).
    pub file_prefix: String,
}

impl Default for DpdkSettings {
    fn default() -> Self {
        Self {
            hugepages: HugepageSize::Auto,
            memory: None,
            file_prefix: "tsnd".to_owned(),
        }
    }
}

impl DpdkSettings {
    pub(super) fn find_faults(&self, faults: &mut Faults) {
        if let Some(mib) = self.memory
            && !(64..=1_048_576).contains(&mib)
        {
            faults.add(
                "dpdk.memory",
                format!(
                    "{mib} MiB is outside 64 to 1048576; leave it out for what the buffers take"
                ),
            );
        }
        let prefix = &self.file_prefix;
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if prefix.is_empty()
            || prefix.len() > LONGEST_FILE_PREFIX
            || !prefix.chars().all(is_part)
            || prefix.starts_with(['-', '.'])
        {
            faults.add(
                "dpdk.file-prefix",
                format!(
                    "`{}` is no prefix; 1 to {LONGEST_FILE_PREFIX} letters, digits, `-`, `_` and `.`, the first one a \
                     letter, digit or `_`",
                    printable(prefix)
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(settings: &DpdkSettings) -> Vec<String> {
        let mut faults = Faults::default();
        settings.find_faults(&mut faults);
        let all = faults.into_vec();
        all.into_iter().map(|fault| fault.place).collect()
    }

    #[test]
    fn values_are_read_by_their_names_and_bounded() {
        let read = |yaml: &str| serde_saphyr::from_str::<DpdkSettings>(yaml);
        let settings = read("{ hugepages: 2MB, memory: 128, file-prefix: tsnd-eth1 }").unwrap();
        assert_eq!(settings.hugepages, HugepageSize::TwoMegabytes);
        assert_eq!(faults(&settings), [""; 0]);
        assert_eq!(faults(&DpdkSettings::default()), [""; 0]);
        assert!(read("{ hugepages: 4MB }").is_err());
        assert!(read("{ lcores: 1 }").is_err());
        for (yaml, place) in [
            ("{ memory: 63 }", "dpdk.memory"),
            ("{ memory: 1048577 }", "dpdk.memory"),
            ("{ file-prefix: '' }", "dpdk.file-prefix"),
            ("{ file-prefix: ../x }", "dpdk.file-prefix"),
            ("{ file-prefix: --x }", "dpdk.file-prefix"),
        ] {
            assert_eq!(faults(&read(yaml).unwrap()), [place], "{yaml}");
        }
    }
}
