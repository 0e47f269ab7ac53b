//! Attaching the receive program to the uplink.

use std::path::Path;

use aya::programs::{Xdp, XdpMode};

use super::device::Device;
use super::maps::{Instance, load};
use super::pins::{attached_to, detach};
use super::{ProgramError, Programs, attach};

/// How the receive program sits at an uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UplinkProgram {
    /// Whether it runs in the kernel's generic mode, not in the driver.
    pub generic: bool,
    /// Whether an earlier run had attached it.
    pub adopted: bool,
}

impl Programs {
    /// Lets frames for the node's pods go from the uplink straight to them, in the driver (native XDP) where that can do
    /// it, otherwise in the kernel's generic mode. The link is pinned; one of an earlier run is taken over.
    ///
    /// # Errors
    ///
    /// When the device does not exist or another XDP program is attached to it.
    pub fn attach_uplink(&mut self, device: &str) -> Result<UplinkProgram, ProgramError> {
        let device = Device::by_name(device)?;
        if let Err(error) = device.keep_vlan_tags() {
            tracing::debug!(device = device.name, %error, "the VLAN offload cannot be switched off");
        }
        let pin = self.pins.uplink(&device.name)?;
        let instance = Instance {
            uplink_address: device.address,
            ..Instance::default()
        };
        let mut object = load(&self.pins.maps(), instance)?;
        let receive = attach::load_xdp(&mut object, "receive")?;
        let adopted = attached_to(&pin) == Some(device.index);
        if adopted {
            attach::replace_xdp(receive, &pin)?;
        } else {
            detach(&pin)?;
            attach_where_possible(receive, &device, &pin)?;
        }
        // Where the kernel does not tell, the driver is not relied on.
        let now = Device::by_index(device.index).ok();
        let xdp = now.and_then(|device| device.xdp);
        Ok(UplinkProgram {
            generic: xdp.is_none_or(|xdp| xdp.generic),
            adopted,
        })
    }

    /// Takes the receive program off the uplink; one that is gone is no error.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to remove the pin.
    pub fn detach_uplink(&mut self, device: &str) -> Result<(), ProgramError> {
        detach(&self.pins.uplink(device)?)
    }
}

/// Attaches in the driver, or in the generic mode if that has no XDP or refuses it as things are (its MTU, its queues).
fn attach_where_possible(
    receive: &mut Xdp,
    device: &Device,
    pin: &Path,
) -> Result<(), ProgramError> {
    match attach::attach_xdp(receive, "receive", device, XdpMode::Default, pin) {
        Err(error @ (ProgramError::Attach { .. } | ProgramError::MtuTooLarge { .. })) => {
            let refused = error.to_string();
            attach::attach_xdp(receive, "receive", device, XdpMode::Skb, pin)
                .map_err(|_| error)
                .inspect(|()| {
                    tracing::warn!(
                        device = device.name,
                        refused,
                        "the driver refuses XDP; the kernel's generic mode is used"
                    );
                })
        }
        result => result,
    }
}
