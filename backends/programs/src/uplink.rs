//! Attaching the receive program to the uplink.

use aya::programs::XdpMode;

use super::device::Device;
use super::maps::{Instance, load};
use super::pins::{attached_to, detach};
use super::{ProgramError, Programs, attach};

impl Programs {
    /// Lets frames for the node's pods go from the uplink straight to them, in the device's native XDP mode where it
    /// has one. The link is pinned; one of an earlier run is taken over.
    ///
    /// # Errors
    ///
    /// When the device does not exist or another XDP program is attached to it.
    pub fn attach_uplink(&mut self, device: &str) -> Result<(), ProgramError> {
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
        if attached_to(&pin) == Some(device.index) {
            return attach::replace_xdp(receive, &pin);
        }
        detach(&pin)?;
        attach::attach_xdp(receive, "receive", &device, XdpMode::Default, &pin)
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
