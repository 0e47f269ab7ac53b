//! An uplink that the kernel keeps: an AF_XDP socket over the mempool sends by it.
//!
//! DPDK's own drivers for such a device are not used: `net_af_packet` waits without end when the kernel is slow to empty
//! its ring, and has it clone every frame that arrives; `net_af_xdp` takes all that arrives away from the kernel. Both can
//! still be named as devices.

use std::sync::Arc;

use tsn_port::{Link, MacAddress};
use tsn_programs::Device;

use crate::xsk::XskPort;
use crate::{BackendError, Mempool};

/// An open interface.
#[derive(Debug)]
pub struct Interface {
    index: u32,
    address: MacAddress,
    name: Arc<str>,
}

impl Interface {
    /// Opens it for sending only.
    pub fn open(pool: Mempool, name: &str) -> Result<(Self, XskPort), BackendError> {
        let device = Device::by_name(name)?;
        let port = XskPort::open_to_send(pool, &device)?;
        let interface = Self {
            index: device.index,
            address: MacAddress(device.address),
            name: name.into(),
        };
        Ok((interface, port))
    }

    /// Whether frames can leave.
    pub fn link(&self) -> Link {
        Device::link(self.index)
    }

    /// Driver and place.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("driver", "the kernel's, by AF_XDP (copy mode)".to_owned()),
            ("device", self.name.to_string()),
            ("address", self.address.to_string()),
            ("hardware-launch-time", "no".to_owned()),
        ]
    }
}
