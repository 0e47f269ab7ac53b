//! Follows the kernel: reads its network state when it is told to, and has it keep the neighbours fresh that frames go to
//! without its doing.

use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::time::timeout;
use tsn_port::{DeviceKind, DeviceName};

use super::kernel::{KernelReader, KernelState, ReadError, Sysctls};
use super::networks::{NetworksError, pod_networks};
use super::resolve::{Resolved, resolve};
use crate::config::OverlaySettings;

/// What nobody tells of is seen after this time at the latest.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// How often a reading is tried before the ways count as unknown: the kernel may refuse one for want of memory.
const READINGS: usize = 3;

/// How long the kernel may take to tell all; the node does nothing else meanwhile.
const READING_LIMIT: Duration = Duration::from_secs(2);

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
    /// The kernel does not answer.
    #[error("rtnetlink does not tell the routes within {} s", READING_LIMIT.as_secs())]
    Silent,
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
        let mut reader = self.reader.take();
        let reading = persistently(|| read(reader.take()));
        let (reader, state) = timeout(READING_LIMIT, reading)
            .await
            .map_err(|_| FollowError::Silent)??;
        let mut resolved = resolve(&state, &interface, &pod_networks);
        // Once told to the kernel they are done with, and no other way than without them.
        for (device, address) in std::mem::take(&mut resolved.stale_neighbours) {
            if let Err(error) = reader.use_neighbour(device, address).await {
                tracing::debug!(%address, %error, "neighbour not verified");
            }
        }
        self.reader = Some(reader);
        self.latest = Some((Instant::now(), state.sysctls));
        Ok(Found {
            pod_networks,
            resolved,
        })
    }

    /// Has the next look be due at once.
    pub fn forget(&mut self) {
        self.latest = None;
    }
}

/// Over the connection there is, or over a new one: one that has failed is not used again.
async fn read(reader: Option<KernelReader>) -> Result<(KernelReader, KernelState), FollowError> {
    let reader = match reader {
        Some(reader) => reader,
        None => KernelReader::connect()?,
    };
    let state = reader.read().await?;
    Ok((reader, state))
}

/// What succeeds first of [`READINGS`] tries, or how the last one failed.
async fn persistently<T, R>(mut read: impl FnMut() -> R) -> Result<T, FollowError>
where
    R: Future<Output = Result<T, FollowError>>,
{
    for _ in 1..READINGS {
        match read().await {
            Ok(found) => return Ok(found),
            Err(error) => tracing::debug!(%error, "the kernel's routes are read again"),
        }
    }
    read().await
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
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn a_reading_that_fails_is_made_again_and_not_for_ever() {
        for (failures, expected) in [(0, 1), (READINGS - 1, READINGS), (99, READINGS)] {
            let mut readings = 0;
            let read = persistently(|| {
                readings += 1;
                ready(match readings > failures {
                    true => Ok(()),
                    false => Err(FollowError::Socket(std::io::ErrorKind::OutOfMemory.into())),
                })
            });
            assert_eq!(read.await.is_ok(), failures < READINGS);
            assert_eq!(readings, expected);
        }
    }

    #[test]
    fn an_uplink_is_an_interface_or_is_made_over_one() {
        assert_eq!(interface_of("eth0").as_deref(), Some("eth0"));
        let over = "net_af_packet0,iface=eth1";
        assert_eq!(interface_of(over).as_deref(), Some("eth1"));
        assert_eq!(interface_of("0000:03:00.0"), None);
        assert_eq!(interface_of("net_virtio_user0,path=/run/a.sock"), None);
    }
}
