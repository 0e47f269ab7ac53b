//! From a name to a port of DPDK.

use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;

use dpdk_sys as sys;
use tsn_port::{DeviceKind, DeviceName};

use super::EthDevice;
use crate::{DeviceError, DpdkReason, Eal};

const PCI_DEVICES: &str = "/sys/bus/pci/devices";

/// The kernel drivers that leave a device to user space.
const USER_SPACE_DRIVERS: [&str; 3] = ["vfio-pci", "uio_pci_generic", "igb_uio"];

/// Finds a PCI device or makes a virtual one. It is not configured yet.
pub fn attach(_eal: Eal, name: &DeviceName) -> Result<EthDevice, DeviceError> {
    let bus = match name.kind() {
        DeviceKind::Pci => "pci",
        DeviceKind::Virtual => "vdev",
        DeviceKind::Interface => {
            return Err(DeviceError::Interface {
                device: name.to_string(),
            });
        }
    };
    let device_error = |reason| DeviceError::Attach {
        device: name.to_string(),
        reason,
    };
    // Neither can hold a zero byte, since a `DeviceName` has no control characters.
    let c_name = CString::new(name.name()).unwrap_or_default();
    let arguments = name.to_string();
    let arguments = arguments
        .split_once(',')
        .map_or("", |(_, arguments)| arguments);
    let c_arguments = CString::new(arguments).unwrap_or_default();
    let c_bus = CString::new(bus).unwrap_or_default();

    let mut known = find(&c_name);
    if known.is_none() {
        let added = DpdkReason::check(|| {
            // SAFETY: the EAL is initialised, and the strings live throughout the call.
            unsafe {
                sys::rte_eal_hotplug_add(c_bus.as_ptr(), c_name.as_ptr(), c_arguments.as_ptr())
            }
        });
        if let Err(reason) = added {
            return Err(diagnose_pci(name).unwrap_or_else(|| device_error(reason)));
        }
        known = find(&c_name);
        if known.is_none() {
            // SAFETY: as above. Nobody else knows of it, so it can be removed.
            unsafe { sys::rte_eal_hotplug_remove(c_bus.as_ptr(), c_name.as_ptr()) };
        }
    } else if bus == "vdev" {
        return Err(DeviceError::InUse {
            device: name.to_string(),
        });
    }
    let Some(port) = known else {
        let nothing = DpdkReason {
            number: libc::ENODEV,
            logged: Vec::new(),
        };
        return Err(diagnose_pci(name).unwrap_or_else(|| device_error(nothing)));
    };
    Ok(EthDevice {
        port,
        name: name.clone(),
        bus,
        driver: String::new(),
        receive_slots: 0,
        interface_index: 0,
        link_events: false,
        launch_times: false,
        finishes_checksums: false,
        complaints: Arc::new([]),
    })
}

/// The NUMA node of a PCI device, if the kernel knows both.
pub fn numa_node(address: &str) -> Option<u32> {
    let path = Path::new(PCI_DEVICES).join(address).join("numa_node");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn find(name: &CString) -> Option<u16> {
    let mut port = 0;
    // SAFETY: the string lives throughout the call, and `port` is a place for the result.
    let result = unsafe { sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut port) };
    (result == 0).then_some(port)
}

/// Why DPDK has no such PCI device, as far as the kernel tells.
fn diagnose_pci(name: &DeviceName) -> Option<DeviceError> {
    if name.kind() != DeviceKind::Pci {
        return None;
    }
    let address = name.name().to_owned();
    let entry = Path::new(PCI_DEVICES).join(&address);
    if !entry.exists() {
        return Some(DeviceError::NoSuchPci { address });
    }
    let driver = std::fs::read_link(entry.join("driver")).ok();
    let driver = driver.as_deref().and_then(Path::file_name);
    let driver = driver.map_or_else(
        || "no driver".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    (!USER_SPACE_DRIVERS.contains(&driver.as_str()))
        .then_some(DeviceError::KernelHasIt { address, driver })
}
