//! Which pages DPDK's memory lies in.

use std::path::Path;

use crate::EalError;

const SIZE_2_MIB_KIB: u32 = 2048;
const SIZE_1_GIB_KIB: u32 = 1024 * 1024;

/// The pages that frame buffers lie in. Hugepages are reserved by the operator:
/// <https://docs.kernel.org/admin-guide/mm/hugetlbpage.html>.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Hugepages {
    /// Hugepages if enough of a size are free, otherwise ordinary pages, unless a PCI device needs hugepages.
    #[default]
    Auto,
    /// Pages of 2 MiB must be free. DPDK takes what it needs from the largest pages that are free, so pages of 1 GiB too.
    Size2Mb,
    /// Pages of 1 GiB must be free. What DPDK needs later it takes from any.
    Size1Gb,
    /// Ordinary pages. No PCI device can reach these.
    None,
}

impl Hugepages {
    /// The memory to ask DPDK for, so that it takes it in pages of this size: less than one of them it would take in
    /// smaller ones.
    pub(crate) fn whole(self, memory_mib: u32) -> u32 {
        match self {
            Self::Size1Gb => memory_mib.div_ceil(1024).saturating_mul(1024),
            Self::Auto | Self::Size2Mb | Self::None => memory_mib,
        }
    }

    /// Whether hugepages are to be used for `memory_mib`.
    ///
    /// # Errors
    ///
    /// When a size is asked for, or a PCI device is to be used, and too few pages are free.
    pub(crate) fn choose(self, memory_mib: u32, for_pci: bool) -> Result<bool, EalError> {
        let need = |page_kib: u32| {
            let free_pages = free_pages(page_kib);
            if free_pages * u64::from(page_kib) >= u64::from(memory_mib) * 1024 {
                Ok(true)
            } else {
                Err(EalError::Hugepages {
                    wanted_mib: memory_mib,
                    page_kib,
                    free_pages,
                })
            }
        };
        match self {
            Self::None => Ok(false),
            Self::Size2Mb => need(SIZE_2_MIB_KIB),
            Self::Size1Gb => need(SIZE_1_GIB_KIB),
            Self::Auto => {
                let found = need(SIZE_1_GIB_KIB).or_else(|_| need(SIZE_2_MIB_KIB));
                if for_pci { found } else { Ok(found.is_ok()) }
            }
        }
    }
}

/// Free hugepages of a size, on all NUMA nodes; 0 if the kernel does not have the size.
fn free_pages(page_kib: u32) -> u64 {
    let directory = format!("/sys/kernel/mm/hugepages/hugepages-{page_kib}kB");
    std::fs::read_to_string(Path::new(&directory).join("free_hugepages"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pci_device_cannot_do_without_hugepages() {
        const TOO_MUCH_MIB: u32 = u32::MAX;
        assert!(!Hugepages::Auto.choose(TOO_MUCH_MIB, false).unwrap());
        let refused = Hugepages::Auto.choose(TOO_MUCH_MIB, true).unwrap_err();
        assert!(
            matches!(refused, EalError::Hugepages { page_kib: 2048, .. }),
            "{refused}"
        );
    }
}
