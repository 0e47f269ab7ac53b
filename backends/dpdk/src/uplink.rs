//! The device that frames leave by.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tsn_port::{DeviceKind, DeviceName, Link};
use tsn_programs::Device;

use crate::ethdev::{EthOptions, EthPortRole, FarEnd};
use crate::launch::DeviceClock;
use crate::{BackendError, Eal, EthDevice, EthPort, Mempool, socket};

/// Descriptors of the receive queue of an uplink.
const RECEIVE_SLOTS: u16 = 512;
/// For how long a switch that is to connect may be away when the daemon starts.
const PEER_PATIENCE: Duration = Duration::from_secs(30);
/// For how long a card may agree with the other end of its cable on a speed; DPDK itself gives it as long. Until then it has
/// no speed, and what is sent to measure its lead is lost.
const LINK_PATIENCE: Duration = Duration::from_secs(9);
const LINK_POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Drivers whose device is an interface that the kernel goes on using, and whose link the kernel tells.
const OF_THE_KERNEL: [&str; 2] = ["net_af_packet", "net_af_xdp"];

/// An open uplink; its port has the device.
#[derive(Debug)]
pub struct Uplink {
    device: Weak<EthDevice>,
    /// What becomes of launch times, for people.
    launch_times: String,
}

impl Uplink {
    /// Opens a device of DPDK, which the worker receives from too.
    pub fn open(
        eal: Eal,
        pool: Mempool,
        name: &DeviceName,
    ) -> Result<(Self, EthPort), BackendError> {
        if name.driver() == Some("net_virtio_user")
            && name.argument("server") == Some("1")
            && let Some(path) = name.argument("path")
        {
            tracing::info!(%path, "waiting for the switch to connect");
            socket::wait_for_peer(Path::new(path), PEER_PATIENCE)?;
        }
        let options = EthOptions {
            receive_slots: RECEIVE_SLOTS,
            promiscuous: true,
        };
        let device = socket::privately(|| EthDevice::open(eal, pool, name, options))?;
        let device = Arc::new(device);
        if name.kind() == DeviceKind::Pci {
            wait_for_link(&device);
        }
        if let (Some(device_node), Some(memory_node)) = (device.numa_node(), pool.numa_node())
            && device_node != memory_node
        {
            tracing::warn!(
                device = name.name(),
                device_node,
                memory_node,
                "the frame buffers are on another NUMA node than the device: each frame crosses between them"
            );
        }
        let (launch, launch_times) = launch_clock(&device);
        let uplink = Self {
            device: Arc::downgrade(&device),
            launch_times,
        };
        let role = EthPortRole {
            receives: true,
            launch,
            far_end: FarEnd::Network,
            ..EthPortRole::default()
        };
        Ok((uplink, EthPort::with_role(device, pool, role)))
    }

    /// Whether frames can leave.
    pub fn link(&self) -> Link {
        let Some(device) = self.device.upgrade() else {
            return Link::Gone;
        };
        if let Some(index) = device.interface_index() {
            let link = Device::link(index);
            if link == Link::Gone || OF_THE_KERNEL.contains(&device.driver()) {
                return link;
            }
        }
        if device.is_removed() {
            return Link::Gone;
        }
        match device.link() {
            Some(link) if link.up => Link::Up {
                speed_mbps: link.speed_mbps,
            },
            Some(_) => Link::Down,
            None => Link::Gone,
        }
    }

    /// What the device counts.
    pub fn counters(&self) -> Vec<(String, u64)> {
        self.device
            .upgrade()
            .map_or_else(Vec::new, |device| device.statistics())
    }

    /// Driver and place.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let Some(device) = self.device.upgrade() else {
            return Vec::new();
        };
        let node = device
            .numa_node()
            .map_or_else(|| "any".to_owned(), |node| node.to_string());
        vec![
            ("driver", device.driver().to_owned()),
            ("device", device.name().to_string()),
            ("address", device.address().to_string()),
            ("numa-node", node),
            ("hardware-launch-time", self.launch_times.clone()),
        ]
    }
}

/// Waits until the link is up, or for as long as it might take if there is a cable.
fn wait_for_link(device: &EthDevice) {
    let start = Instant::now();
    while device.link().is_some_and(|link| !link.up) && start.elapsed() < LINK_PATIENCE {
        std::thread::sleep(LINK_POLL_INTERVAL);
    }
}

/// The clock of a device that holds frames until their launch times, and what to tell of it.
fn launch_clock(device: &EthDevice) -> (Option<DeviceClock>, String) {
    if !device.offers_launch_times() {
        return (None, "no".to_owned());
    }
    match DeviceClock::start(device.number()) {
        Ok(clock) => (Some(clock), "used".to_owned()),
        Err(error) => {
            tracing::warn!(
                device = device.name().name(),
                %error,
                "the device offers to hold frames until their launch times, and is not asked to"
            );
            (None, format!("offered, not used: {error}"))
        }
    }
}
