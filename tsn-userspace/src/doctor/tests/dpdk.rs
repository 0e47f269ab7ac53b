//! What can be in the way of an uplink that DPDK drives.

use std::collections::BTreeSet;

use super::super::Code;
use super::fake::Scenario;
use super::{assert_complete, bad, of};
use crate::config::HugepageSize;

const PCI: &str = "0000:03:00.0";
const CLIENT: &str = "net_virtio_user0,path=/run/switch.sock";
const SERVER: &str = "net_virtio_user0,path=/run/tsnd.sock,server=1";
const FREE_PAGES: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
const DEVICE: &str = "/sys/bus/pci/devices/0000:03:00.0";

/// An uplink, how the machine is broken for it, and which findings that brings beside the daemon's absence.
pub type DpdkBreak = (&'static str, fn(&mut Scenario), &'static [Code]);

/// At least one for each code.
pub const DPDK_BREAKS: &[DpdkBreak] = &[
    (PCI, |_| {}, &[]),
    (CLIENT, |_| {}, &[]),
    (SERVER, |_| {}, &[]),
    ("net_virtio_user0,path=/dev/vhost-net", |_| {}, &[]),
    ("net_af_packet0,iface=eth1", |_| {}, &[]),
    // What DPDK does with the interface is not ours to judge.
    (
        "net_af_packet0,iface=eth1",
        |s| s.uplink().0.xdp.as_mut().unwrap().program_id = 99,
        &[],
    ),
    (
        "net_af_packet0,iface=eth1",
        |s| s.uplink().0.running = false,
        &[Code::LinkDown],
    ),
    ("net_af_packet0,iface=eth9", |_| {}, &[Code::DeviceMissing]),
    ("net_tap0,iface", |_| {}, &[Code::DeviceMissing]),
    ("0000:09:00.0", |_| {}, &[Code::DeviceMissing]),
    (
        PCI,
        |s| s.write(&format!("{DEVICE}/class"), "0x010802\n"),
        &[Code::PciNotNetwork],
    ),
    (
        PCI,
        |s| s.remove(&format!("{DEVICE}/driver")),
        &[Code::PciDriver],
    ),
    (PCI, |s| kernel_driver(s, "igc", "eth2"), &[Code::PciDriver]),
    (
        PCI,
        |s| kernel_driver(s, "igc", "eth0"),
        &[Code::PciDriver, Code::PciInUse],
    ),
    (
        PCI,
        |s| kernel_driver(s, "igc", "eth3"),
        &[Code::PciDriver, Code::PciInUse],
    ),
    (
        PCI,
        |s| {
            kernel_driver(s, "igc", "eth2");
            s.link("/sys/class/net/eth2/master", "../br0");
        },
        &[Code::PciDriver, Code::PciInUse],
    ),
    (PCI, |s| kernel_driver(s, "mlx5_core", "eth0"), &[]),
    (
        PCI,
        |s| kernel_driver(s, "uio_pci_generic", ""),
        &[Code::PciNoIommuMode],
    ),
    (
        PCI,
        |s| s.remove(&format!("{DEVICE}/iommu_group")),
        &[Code::PciNoIommu],
    ),
    (
        PCI,
        |s| {
            s.remove(&format!("{DEVICE}/iommu_group"));
            kernel_driver(s, "igc", "eth2");
            s.write(
                "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
                "Y\n",
            );
        },
        &[Code::PciDriver, Code::PciNoIommuMode],
    ),
    (
        PCI,
        |s| {
            s.write("/sys/kernel/iommu_groups/7/name", "vfio-noiommu\n");
            s.remove("/dev/vfio/7");
            s.write("/dev/vfio/noiommu-7", "");
        },
        &[Code::PciNoIommuMode],
    ),
    (
        PCI,
        |s| in_the_same_group(s, "xhci_hcd"),
        &[Code::IommuGroupShared],
    ),
    (PCI, |s| in_the_same_group(s, "pcieport"), &[]),
    (PCI, |s| s.remove("/dev/vfio/7"), &[Code::NoVfio]),
    (
        PCI,
        |s| s.write(&format!("{DEVICE}/numa_node"), "1\n"),
        &[Code::NumaRemote, Code::HugePagesRemote],
    ),
    (
        PCI,
        |s| std::fs::remove_dir_all(s.root.path().join("usr/lib")).unwrap(),
        &[Code::DpdkDriverMissing],
    ),
    ("net_af_xpd0,iface=eth1", |_| {}, &[Code::DpdkDriverMissing]),
    (
        "net_virtio_user0,path=/run/nowhere/tsnd.sock,server=1",
        |_| {},
        &[Code::SocketDirectory],
    ),
    ("net_virtio_user0,path=/run/dead.sock,server=1", |_| {}, &[]),
    (
        "net_virtio_user0,path=/run/switch.sock,server=1",
        |_| {},
        &[Code::SocketTaken],
    ),
    (
        "net_virtio_user0,path=/run/dead.sock",
        |_| {},
        &[Code::SocketPeer],
    ),
    (
        "net_virtio_user0,path=/run/none.sock,server=0",
        |_| {},
        &[Code::SocketPeer],
    ),
    // 16384 buffers of 2048 bytes and what is beside them: 104 MiB.
    (PCI, |s| s.write(FREE_PAGES, "51\n"), &[Code::HugePagesFew]),
    (
        CLIENT,
        |s| s.write(FREE_PAGES, "51\n"),
        &[Code::OrdinaryPages],
    ),
    (PCI, |s| s.write(FREE_PAGES, "52\n"), &[]),
    (
        CLIENT,
        |s| s.configuration().dpdk.hugepages = HugepageSize::OneGigabyte,
        &[Code::HugePagesFew],
    ),
    (
        CLIENT,
        |s| {
            s.configuration().dpdk.hugepages = HugepageSize::TwoMegabytes;
            s.configuration().dpdk.memory = Some(513);
        },
        &[Code::HugePagesFew],
    ),
    (
        PCI,
        |s| s.configuration().dpdk.hugepages = HugepageSize::None,
        &[Code::HugePagesFew],
    ),
    (
        CLIENT,
        |s| {
            s.write(FREE_PAGES, "0\n");
            s.configuration().dpdk.hugepages = HugepageSize::None;
        },
        &[],
    ),
    (
        PCI,
        |s| s.configuration().worker.frame_buffers = 1_048_576,
        &[Code::HugePagesFew],
    ),
    (
        CLIENT,
        |s| {
            s.write(FREE_PAGES, "0\n");
            s.write(
                "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages",
                "1\n",
            );
        },
        &[],
    ),
    (
        PCI,
        |s| {
            s.write(
                "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
                "51\n",
            )
        },
        &[Code::HugePagesRemote],
    ),
];

/// The device is the kernel's, as an interface if that has a name.
fn kernel_driver(scenario: &mut Scenario, driver: &str, interface: &str) {
    scenario.link(
        &format!("{DEVICE}/driver"),
        &format!("../../drivers/{driver}"),
    );
    if !interface.is_empty() {
        scenario.write(&format!("{DEVICE}/net/{interface}/flags"), "0x1003\n");
    }
}

fn in_the_same_group(scenario: &mut Scenario, driver: &str) {
    scenario.write("/sys/kernel/iommu_groups/7/devices/0000:03:00.1", "");
    scenario.link(
        "/sys/bus/pci/devices/0000:03:00.1/driver",
        &format!("../../drivers/{driver}"),
    );
}

#[test]
fn what_is_in_dpdks_way_is_found_and_nothing_else() {
    for (index, (uplink, break_it, expected)) in DPDK_BREAKS.iter().enumerate() {
        let mut scenario = Scenario::before_dpdk(uplink);
        break_it(&mut scenario);
        let report = scenario.examine();
        let mut expected: BTreeSet<Code> = expected.iter().copied().collect();
        expected.insert(Code::DaemonAbsent);
        assert_eq!(bad(&report), expected, "break {index}: {report:#?}");
        assert_complete(&report);
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let scenario = Scenario::before_dpdk("net_virtio_user0,path=/run/locked/x.sock,server=1");
    let directory = scenario.root.path().join("run/locked");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o555)).unwrap();
    let report = scenario.examine();
    let told = of(&report, Code::SocketDirectory);
    assert!(told.what.ends_with("is not writable"), "{told:?}");
}

#[test]
fn commands_are_of_the_device_and_start_the_right_backend() {
    let mut scenario = Scenario::before_dpdk(PCI);
    kernel_driver(&mut scenario, "igc", "eth0");
    let report = scenario.examine();
    let driver = of(&report, Code::PciDriver);
    assert_eq!(
        driver.what,
        "0000:03:00.0 is bound to igc, as interface eth0"
    );
    let mend = driver.mend.as_deref().unwrap();
    assert!(
        mend.contains("driverctl set-override 0000:03:00.0 vfio-pci")
            && mend.contains("dpdk-devbind.py -b vfio-pci 0000:03:00.0"),
        "{mend}"
    );
    let in_use = &of(&report, Code::PciInUse).what;
    assert!(
        in_use.contains("eth0, which carries the default route"),
        "{in_use}"
    );
    let start = of(&report, Code::DaemonAbsent).mend.as_deref().unwrap();
    assert!(start.contains("--backend dpdk"), "{start}");
}

#[test]
fn what_a_running_daemon_has_connected_is_not_questioned() {
    let mut scenario = Scenario::healthy();
    let uplink = "net_virtio_user0,path=/run/none.sock";
    scenario.answers().status.uplink.device = uplink.to_owned();
    scenario.answers().status.backend = "dpdk".to_owned();
    assert_eq!(bad(&scenario.examine()), BTreeSet::new());
}
