//! The conformance suite over virtual devices, with the pool in hugepages.

mod bed;
mod pairs;

use nix::sys::mman::{MlockAllFlags, mlockall};
use tsn_dpdk::{Eal, EalConfig, Hugepages};

#[test]
fn devices_conform_in_hugepages() {
    let _pages = tsn_tests::hugepages::Hugepages::allocate(64).unwrap();
    // As the daemon does before it opens its backend: the EAL reserves 128 GiB of addresses without memory behind them.
    mlockall(MlockAllFlags::all()).unwrap();
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::Size2Mb,
        memory_mib: 100,
        file_prefix: "tsn-dpdk-huge".into(),
        pci_devices: Vec::new(),
    })
    .unwrap();
    pairs::all(eal);
}
