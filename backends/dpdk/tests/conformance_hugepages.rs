//! The conformance suite over virtual devices, with the pool in hugepages.

mod bed;
mod pairs;

use tsn_dpdk::{Eal, EalConfig, Hugepages};

#[test]
fn devices_conform_in_hugepages() {
    let _pages = tsn_tests::hugepages::Hugepages::allocate(64).unwrap();
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::Size2Mb,
        memory_mib: 100,
        file_prefix: "tsn-dpdk-huge".into(),
        pci_devices: Vec::new(),
    })
    .unwrap();
    pairs::all(eal);
}
