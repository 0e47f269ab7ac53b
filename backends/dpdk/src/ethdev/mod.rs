//! Ethernet devices of DPDK: attached while the process runs, one queue each way, and removed when dropped.

mod attach;
mod configure;
mod port;
mod statistics;

use std::ffi::CString;
use std::sync::Arc;

use dpdk_sys as sys;
use tsn_port::{DeviceName, MacAddress};

use crate::{DeviceError, Eal, Mempool};

pub(crate) use attach::numa_node;
pub use port::EthPort;
pub(crate) use port::{EthPortRole, FarEnd};

/// What a device is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EthOptions {
    /// Descriptors of the receive queue, as far as the device has a choice. So many buffers are kept ready.
    pub receive_slots: u16,
    /// Whether it is to receive what is for other stations than its own address too.
    pub promiscuous: bool,
}

/// A started device. Dropping it stops, closes and removes it, so no other thread may be using it then: an
/// [`EthPort`] keeps it, and is given back by the worker before it is dropped.
#[derive(Debug)]
pub struct EthDevice {
    port: u16,
    name: DeviceName,
    bus: &'static str,
    driver: String,
    /// Descriptors of its receive queue.
    receive_slots: u16,
    /// The kernel's interface behind it, if there is one.
    interface_index: u32,
    /// Whether the device's own events keep its link's state, so that a look at it is a look into memory.
    link_events: bool,
    /// Whether it completes the checksums of the frames that it sends.
    pub(crate) finishes_checksums: bool,
    /// Whether it offers to hold frames until their launch times.
    launch_times: bool,
    /// What DPDK complained of while the device started all the same.
    complaints: Arc<[String]>,
}

/// Whether frames can leave by a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EthLink {
    /// Whether the link is up.
    pub up: bool,
    /// In Mbit/s; `None` where the device does not tell.
    pub speed_mbps: Option<u32>,
}

/// A number that stands for "unknown" (`RTE_ETH_SPEED_NUM_UNKNOWN`); 0 stands for "none".
const SPEED_UNKNOWN: u32 = u32::MAX;

impl EthDevice {
    /// Attaches a PCI device or makes a virtual one, and starts it with one queue each way that receives into `pool`.
    ///
    /// # Errors
    ///
    /// When there is no such device, the kernel has it, it is in use, or DPDK refuses. Nothing is left of it then.
    pub fn open(
        eal: Eal,
        pool: Mempool,
        name: &DeviceName,
        options: EthOptions,
    ) -> Result<Self, DeviceError> {
        let mut device = attach::attach(eal, name)?;
        configure::start(&mut device, pool, options)?;
        Ok(device)
    }

    /// Its name and arguments.
    pub fn name(&self) -> &DeviceName {
        &self.name
    }

    /// Its driver, by DPDK's name.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The index of the kernel's interface behind it, if there is one.
    pub fn interface_index(&self) -> Option<u32> {
        (self.interface_index != 0).then_some(self.interface_index)
    }

    /// Its number among the devices of DPDK.
    pub(crate) fn number(&self) -> u16 {
        self.port
    }

    /// Whether it offers to hold a frame until its launch time.
    pub fn offers_launch_times(&self) -> bool {
        self.launch_times
    }

    /// The NUMA node that it is connected to, if it is to one.
    pub fn numa_node(&self) -> Option<u32> {
        // SAFETY: takes a number.
        u32::try_from(unsafe { sys::rte_eth_dev_socket_id(self.port) }).ok()
    }

    /// Whether its link is up. `None`: the device is gone.
    pub fn link(&self) -> Option<EthLink> {
        let (mut up, mut speed_mbps) = (false, 0);
        // SAFETY: both are places for the results.
        let result = unsafe { sys::shim_link(self.port, &raw mut up, &raw mut speed_mbps) };
        (result == 0).then_some(EthLink {
            up,
            speed_mbps: Some(speed_mbps).filter(|&speed| speed != 0 && speed != SPEED_UNKNOWN),
        })
    }

    /// Whether the hardware is gone, as far as its driver can tell. May ask the hardware.
    pub(crate) fn is_removed(&self) -> bool {
        // SAFETY: takes a number.
        unsafe { sys::rte_eth_dev_is_removed(self.port) != 0 }
    }

    /// Its hardware address.
    pub fn address(&self) -> MacAddress {
        let mut address = sys::rte_ether_addr::default();
        // SAFETY: a place for the result. It fails only without such a port, and ours exists.
        unsafe { sys::rte_eth_macaddr_get(self.port, &raw mut address) };
        MacAddress(address.addr_bytes)
    }

    /// The largest MTU-sized frame that it sends, without FCS.
    pub fn frame_bytes(&self) -> u32 {
        /// Ethernet header and one VLAN tag.
        const HEADER_BYTES: u32 = 14 + 4;
        let mut mtu_bytes = 0;
        // SAFETY: a place for the result.
        unsafe { sys::rte_eth_dev_get_mtu(self.port, &raw mut mtu_bytes) };
        u32::from(mtu_bytes) + HEADER_BYTES
    }
}

impl Drop for EthDevice {
    fn drop(&mut self) {
        let name = CString::new(self.name.name()).unwrap_or_default();
        let bus = CString::new(self.bus).unwrap_or_default();
        // SAFETY: the port is ours and no thread is in a burst on it (see the type); the strings live throughout.
        // Failures leave the device as it is, which nobody can do anything about here.
        unsafe {
            sys::rte_eth_dev_stop(self.port);
            sys::rte_eth_dev_close(self.port);
            sys::rte_eal_hotplug_remove(bus.as_ptr(), name.as_ptr());
        }
        tracing::debug!(device = %self.name, "removed");
    }
}
