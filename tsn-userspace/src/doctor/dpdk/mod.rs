//! What DPDK needs of the machine: the device, its sockets, its drivers, its memory.

mod drivers;
mod interface;
mod pages;
mod pci;
pub mod socket;

use tsn_port::{DeviceKind, DeviceName};

use super::{Findings, Machine, Subject};

/// Whether only DPDK can drive an uplink of this name.
pub fn drives(uplink: &str) -> bool {
    uplink
        .parse()
        .is_ok_and(|name: DeviceName| name.kind() != DeviceKind::Interface)
}

/// Of the uplink, if it is one that only DPDK can drive.
pub(super) fn examine(
    machine: &Machine,
    subject: &Subject,
    uplink: Option<&DeviceName>,
    findings: &mut Findings,
) {
    let Some(uplink) = uplink.filter(|name| name.kind() != DeviceKind::Interface) else {
        return;
    };
    let is_running = subject.answers().is_some();
    if uplink.kind() == DeviceKind::Pci {
        pci::examine(machine, uplink.name(), is_running, findings);
    }
    if !is_running {
        drivers::examine(machine, uplink, findings);
        socket::of_uplink(machine, uplink, findings);
        pages::examine(machine, subject, uplink, findings);
    }
}
