//! The conformance suite over virtual devices, with the pool in ordinary pages.

mod bed;
mod pairs;

use tsn_dpdk::{Eal, EalConfig, Hugepages};

#[test]
fn devices_conform_in_ordinary_pages() {
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::None,
        memory_mib: 256,
        file_prefix: "tsn-dpdk-ordinary".into(),
        pci_devices: Vec::new(),
    })
    .unwrap();
    pairs::all(eal);
}
