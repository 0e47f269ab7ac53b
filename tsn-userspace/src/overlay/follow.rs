//! Follows the kernel: reads its network state when it is told to, and has it keep the neighbours fresh that frames go to
//! without its doing.

use std::time::{Duration, Instant};

use ipnet::IpNet;
use tsn_port::{DeviceKind, DeviceName};

use super::kernel::{KernelReader, ReadError, Sysctls};
use super::networks::{NetworksError, pod_networks};
use super::resolve::{Resolved, resolve};
use crate::config::OverlaySettings;

/// What nobody tells of is seen after this time at the latest.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The networks of the cluster's pods.
    pub pod_networks: Vec<IpNet>,
    /// The ways to them.
    pub resolved: Resolved,
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The kernel has no routes by this device.
    #[error(
        "overlay mode needs an uplink that is an interface of the kernel, and {0} is none: the kernel has no routes by it"
    )]
    NoInterface(String),
    /// Which destinations are pods.
    #[error(transparent)]
    Networks(#[from] NetworksError),
    /// No netlink socket.
    #[error("rtnetlink: {0}")]
    Socket(#[from] std::io::Error),
    /// The kernel does not tell.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Follows the kernel of the network namespace that the first look is made in.
#[derive(Debug)]
pub struct Follower {
    device: String,
    settings: OverlaySettings,
    reader: Option<KernelReader>,
    latest: Option<(Instant, Sysctls)>,
}

impl Follower {
    /// For an uplink, as its name is written in the configuration.
    pub fn new(device: &str, settings: OverlaySettings) -> Self {
        Self {
            device: device.to_owned(),
            settings,
            reader: None,
            latest: None,
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &OverlaySettings {
        &self.settings
    }

    /// Whether it is time for a look that nothing has given cause for; also when a setting has changed of which rtnetlink
    /// does not tell.
    pub fn is_due(&self) -> bool {
        match &self.latest {
            Some((at, sysctls)) => {
                at.elapsed() >= LOOK_INTERVAL || Sysctls::read().ok().as_ref() != Some(sysctls)
            }
            None => true,
        }
    }

    /// Reads the kernel's state and works out the ways.
    ///
    /// # Errors
    ///
    /// When the ways cannot be known.
    pub async fn look(&mut self) -> Result<Found, FollowError> {
        self.latest = None;
        let interface = interface_of(&self.device)
            .ok_or_else(|| FollowError::NoInterface(self.device.clone()))?;
        let pod_networks = pod_networks(&self.settings)?;
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => KernelReader::connect()?,
        };
        let state = reader.read().await?;
        let resolved = resolve(&state, &interface, &pod_networks);
        for (device, address) in &resolved.stale_neighbours {
            if let Err(error) = reader.use_neighbour(*device, *address).await {
                tracing::debug!(%address, %error, "neighbour not verified");
            }
        }
        // One that has failed is not used again.
        self.reader = Some(reader);
        self.latest = Some((Instant::now(), state.sysctls));
        Ok(Found {
            pod_networks,
            resolved,
        })
    }
}

/// The interface of the kernel that an uplink is, or that a device of DPDK is made over.
fn interface_of(device: &str) -> Option<String> {
    let name: DeviceName = device.parse().ok()?;
    match name.kind() {
        DeviceKind::Interface => Some(name.name().to_owned()),
        DeviceKind::Pci | DeviceKind::Virtual => name.argument("iface").map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uplink_is_an_interface_or_is_made_over_one() {
        assert_eq!(interface_of("eth0").as_deref(), Some("eth0"));
        let over = "net_af_packet0,iface=eth1";
        assert_eq!(interface_of(over).as_deref(), Some("eth1"));
        assert_eq!(interface_of("0000:03:00.0"), None);
        assert_eq!(interface_of("net_virtio_user0,path=/run/a.sock"), None);
    }
}
