//! DPDK's drivers, which are libraries of their own.

use tsn_port::DeviceName;

use super::super::{Code, Findings, Machine};

/// Where distributions and DPDK's own build put libraries; each may have a directory for each architecture.
const LIBRARIES: [&str; 4] = [
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
];
/// Drivers whose library is called otherwise.
const LIBRARIES_BY_DRIVER: [(&str, &str); 3] = [
    ("net_bonding", "net_bond"),
    ("net_tun", "net_tap"),
    ("net_virtio_user", "net_virtio"),
];

pub(super) fn examine(machine: &Machine, uplink: &DeviceName, findings: &mut Findings) {
    let directories = directories(machine);
    if directories.is_empty() {
        findings.bad(
            Code::DpdkDriverMissing,
            "there is no directory of DPDK's drivers (dpdk/pmds-*) here",
            "tsnd --backend dpdk finds no driver for its uplink and does not start",
            "apt install libdpdk-dev, or install DPDK's libraries where tsnd runs",
        );
        return;
    }
    // Which driver a PCI device needs, only DPDK knows.
    let Some(driver) = uplink.driver() else {
        return;
    };
    let library = LIBRARIES_BY_DRIVER
        .iter()
        .find_map(|(name, library)| (*name == driver).then_some(*library))
        .unwrap_or(driver);
    let file = format!("librte_{library}.so");
    let shown = directories.join(", ");
    let is_there = directories
        .iter()
        .flat_map(|directory| machine.names(directory))
        .any(|name| name == file || name.starts_with(&format!("{file}.")));
    if is_there {
        findings.fine(
            Code::DpdkDriverMissing,
            format!("driver {driver} in {shown}"),
        );
    } else {
        findings.bad(
            Code::DpdkDriverMissing,
            format!("there is no {file} in {shown}"),
            format!("DPDK has no driver {driver}: tsnd does not start"),
            format!(
                "correct the name of the uplink, or install the driver: apt-cache search librte-{}",
                library.replace('_', "-")
            ),
        );
    }
}

/// The directories that DPDK loads its drivers from (`RTE_EAL_PMD_PATH`).
fn directories(machine: &Machine) -> Vec<String> {
    let below = |directory: &str| {
        let names = machine.names(directory).into_iter();
        names
            .map(|name| format!("{directory}/{name}"))
            .collect::<Vec<_>>()
    };
    LIBRARIES
        .iter()
        .flat_map(|libraries| {
            let mut places = vec![(*libraries).to_owned()];
            places.extend(
                below(libraries)
                    .into_iter()
                    .filter(|name| name.ends_with("-linux-gnu")),
            );
            places
        })
        .flat_map(|place| below(&format!("{place}/dpdk")))
        .filter(|name| name.contains("/pmds-"))
        .collect()
}
