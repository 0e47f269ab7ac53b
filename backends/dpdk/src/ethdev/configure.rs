//! One queue each way, and the start.

use std::ffi::CStr;

use dpdk_sys as sys;

use super::{EthDevice, EthOptions};
use crate::{DeviceError, DpdkReason, Mempool, log};

/// Descriptors of the transmit queue, as far as the device has a choice.
const TRANSMIT_SLOTS: u16 = 512;

/// Drivers that give back the buffers of a transmit queue only when it is nearly full, unless they are told to look at
/// each burst. They refuse a threshold that is nearer to the size of the queue than this.
const EAGER_FREE: [(&str, u16); 1] = [("net_virtio_user", 4)];

/// Configures and starts an attached device.
pub fn start(
    device: &mut EthDevice,
    pool: Mempool,
    options: EthOptions,
) -> Result<(), DeviceError> {
    let port = device.port;
    let name = device.name.clone();
    let error = |what: &'static str, reason| DeviceError::Configure {
        device: name.to_string(),
        what,
        reason,
    };
    let run = |what: &'static str, operation: &mut dyn FnMut() -> i32| {
        DpdkReason::check(operation).map_err(|reason| error(what, reason))
    };
    let mut info = sys::rte_eth_dev_info::default();
    // SAFETY: as in all of this function, the port exists, and only this thread uses it yet; whatever is pointed to
    // lives throughout the call.
    let ask = &mut || unsafe { sys::rte_eth_dev_info_get(port, &raw mut info) };
    run("learn the properties", ask)?;
    if !info.driver_name.is_null() {
        // SAFETY: a driver's name is a constant of the driver.
        let driver = unsafe { CStr::from_ptr(info.driver_name) };
        device.driver = driver.to_string_lossy().into_owned();
    }
    device.interface_index = info.if_index;
    // SAFETY: points to flags that live as long as the port.
    let flags = unsafe { info.dev_flags.as_ref() }.copied().unwrap_or(0);
    device.link_events = flags & sys::SHIM_DEV_LINK_EVENTS != 0;

    let checksums = u64::from(sys::SHIM_TX_CHECKSUMS);
    device.finishes_checksums =
        info.tx_offload_capa & checksums == checksums && !passes_checksums_on(&device.driver);

    device.launch_times = info.tx_offload_capa & u64::from(sys::SHIM_SEND_ON_TIMESTAMP) != 0;

    let mut settings = sys::rte_eth_conf::default();
    if device.finishes_checksums {
        settings.txmode.offloads |= checksums;
    }
    if device.launch_times {
        settings.txmode.offloads |= u64::from(sys::SHIM_SEND_ON_TIMESTAMP);
    }
    settings.intr_conf.set_lsc(u32::from(device.link_events));
    // SAFETY: see above.
    run("configure the queues", &mut || unsafe {
        sys::rte_eth_dev_configure(port, 1, 1, &raw const settings)
    })?;
    let (mut receive_slots, mut transmit_slots) = (options.receive_slots, TRANSMIT_SLOTS);
    // SAFETY: see above.
    run("choose the size of the queues", &mut || unsafe {
        sys::rte_eth_dev_adjust_nb_rx_tx_desc(port, &raw mut receive_slots, &raw mut transmit_slots)
    })?;
    device.receive_slots = receive_slots;
    // SAFETY: see above.
    let node = unsafe { sys::rte_eth_dev_socket_id(port) } as u32;
    // SAFETY: see above; the pool lives for ever.
    run("set up the receive queue", &mut || unsafe {
        let settings = std::ptr::null();
        sys::rte_eth_rx_queue_setup(port, 0, receive_slots, node, settings, pool.as_ptr())
    })?;
    let mut transmit = info.default_txconf;
    if let Some(&(_, spare)) = EAGER_FREE
        .iter()
        .find(|&&(driver, _)| driver == device.driver)
    {
        transmit.tx_free_thresh = queue_size(device).saturating_sub(spare);
    }
    // SAFETY: see above.
    run("set up the transmit queue", &mut || unsafe {
        sys::rte_eth_tx_queue_setup(port, 0, transmit_slots, node, &raw const transmit)
    })?;
    // SAFETY: see above.
    let started = DpdkReason::check_noting(|| unsafe { sys::rte_eth_dev_start(port) });
    let (_, complaints) = started.map_err(|reason| error("start the queues", reason))?;
    log::tell_all(&complaints);
    device.complaints = complaints.into();
    if options.promiscuous {
        // A device that cannot has a peer that sends it everything anyway.
        // SAFETY: see above.
        unsafe {
            sys::rte_eth_promiscuous_enable(port);
            sys::rte_eth_allmulticast_enable(port);
        }
    }
    Ok(())
}

/// Whether a driver leaves what it is asked to complete to the other end of its rings, which may never do it: Open vSwitch
/// drops such frames before a tunnel. Nobody would see the same bytes on the wire.
fn passes_checksums_on(driver: &str) -> bool {
    driver.contains("virtio") || driver.contains("vhost")
}

/// Slots that a virtio device's queues have, whatever is asked for: its argument says it.
fn queue_size(device: &EthDevice) -> u16 {
    const DEFAULT: u16 = 256;
    device
        .name
        .argument("queue_size")
        .and_then(|size| size.parse().ok())
        .unwrap_or(DEFAULT)
}
