//! The [`Backend`] of AF_XDP: kernel programs and sockets brought together.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tsn_port::{Backend, Heartbeat, Link, Overlay, PodAttachment, PodEnd};
use tsn_programs::{
    AttachedPod, Device, Ethtool, ProgramError, Programs, UplinkProgram, VethPod, VethPods,
};

use crate::port_socket::PortSocket;
use crate::socket::Socket;
use crate::umem::Umem;
use crate::zero_copy::ZeroCopySocket;
use crate::{AfxdpPort, BackendError, SocketError};

/// Bytes of Ethernet header and two VLAN tags, which a chunk must hold beside the MTU.
const HEADER_BYTES: usize = 14 + 2 * 4;

/// Slots of every ring unless something else is set, and so the chunks that each pod keeps ready to receive into.
pub const DEFAULT_RING_SLOTS: u32 = 512;

/// For how long a card may be without its link after its driver has reset it: about three times what Gigabit Ethernet takes
/// to negotiate.
const LINK_PATIENCE: Duration = Duration::from_secs(9);
const LINK_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Settings of an [`AfxdpBackend`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AfxdpConfig {
    /// Directory on a bpffs for the pinned programs and maps; is made if it does not exist.
    pub pin_dir: PathBuf,
    /// How old the worker's last sign of life may be before the kernel programs keep frames on the kernel path.
    pub heartbeat_timeout: Duration,
    /// Chunks of the shared memory. Every pod keeps `ring_slots` of them ready to receive into; what is queued and
    /// what is in a transmit ring takes the rest.
    pub chunks: u32,
    /// Bytes of a chunk: 2048 for an MTU of up to 1770, 4096 beyond it (native XDP ends at 3506).
    pub chunk_bytes: u32,
    /// Slots of every ring, a power of two and at least 32.
    pub ring_slots: u32,
    /// Whether an uplink is to send in zero-copy mode where its driver has that.
    pub zero_copy: bool,
}

impl Default for AfxdpConfig {
    /// 32 MiB of chunks: enough for some 24 pods.
    fn default() -> Self {
        Self {
            pin_dir: PathBuf::from("/sys/fs/bpf/tsnd"),
            heartbeat_timeout: Duration::from_millis(2),
            chunks: 16_384,
            chunk_bytes: 2048,
            ring_slots: DEFAULT_RING_SLOTS,
            zero_copy: false,
        }
    }
}

/// Opens the ports of one worker over one shared memory.
pub struct AfxdpBackend {
    pods: VethPods,
    umem: Arc<Umem>,
    ring_slots: u32,
    zero_copy: bool,
    /// The uplinks that are open, by name.
    uplinks: HashMap<String, Uplink>,
}

/// An uplink that is open.
struct Uplink {
    /// A socket stays with its device whatever that is called.
    ifindex: u32,
    program: UplinkProgram,
    zero_copy: bool,
}

impl Uplink {
    /// Where its receive program runs.
    fn xdp(&self) -> &'static str {
        if self.program.generic {
            "generic"
        } else {
            "native"
        }
    }

    /// How its socket sends.
    fn socket(&self) -> &'static str {
        if self.zero_copy {
            "AF_XDP, zero-copy, queue 0"
        } else {
            "AF_XDP, copy mode, queue 0"
        }
    }
}

impl AfxdpBackend {
    /// Loads the kernel programs' maps, or adopts those that an earlier run left pinned, and registers the memory.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the programs or the memory.
    pub fn open(config: &AfxdpConfig) -> Result<Self, BackendError> {
        Ok(Self {
            umem: Umem::new(config.chunks, config.chunk_bytes, config.ring_slots)?,
            pods: VethPods::new(Programs::open(&config.pin_dir, config.heartbeat_timeout)?),
            ring_slots: config.ring_slots,
            zero_copy: config.zero_copy,
            uplinks: HashMap::new(),
        })
    }

    /// The kernel programs, to take their log.
    pub fn programs_mut(&mut self) -> &mut Programs {
        &mut self.pods.programs
    }

    /// Chunks of the shared memory that neither a frame nor a port holds.
    pub fn free_chunks(&self) -> usize {
        self.umem.free_chunks()
    }

    /// A socket to send by: in zero-copy mode, if that is wanted and the device can do it.
    fn open_uplink_socket(
        &self,
        device: &Device,
        program: UplinkProgram,
    ) -> Result<PortSocket, SocketError> {
        if self.zero_copy {
            // A driver that does not run the program does not look at the socket's rings either.
            let opened = if program.generic {
                Err(io::Error::from(io::ErrorKind::Unsupported))
            } else {
                ZeroCopySocket::open(&self.umem, device.index, self.ring_slots)
            };
            match opened {
                Ok(socket) => {
                    tracing::warn!(
                        device = device.name,
                        "in zero-copy mode the device sends in an interrupt of its own: frames may leave late, and after \
                         their gate has closed; leave worker.zero-copy out where that matters"
                    );
                    return Ok(PortSocket::ZeroCopy(socket));
                }
                Err(error) => {
                    tracing::warn!(
                        device = device.name,
                        %error,
                        "the device cannot send in zero-copy mode from these buffers; it is used in copy mode"
                    );
                }
            }
        }
        // Nothing is received on it: the kernel's own path has what is not for a pod.
        Socket::open(&self.umem, &device.name, self.ring_slots, 0).map(PortSocket::Copy)
    }
}

fn is_up(ifindex: u32) -> bool {
    matches!(Device::link(ifindex), Link::Up { .. })
}

/// Some drivers reset the card for XDP or for zero-copy: waits until its link is up again, or for as long as that takes at
/// most. Only then does it tell its speed.
fn wait_for_link(ifindex: u32) {
    let start = Instant::now();
    while !is_up(ifindex) && start.elapsed() < LINK_PATIENCE {
        std::thread::sleep(LINK_POLL_INTERVAL);
    }
}

/// The port of a pod whose programs are attached.
fn open_pod_port(
    umem: &Arc<Umem>,
    ring_slots: u32,
    pod: &AttachedPod,
) -> Result<AfxdpPort, BackendError> {
    let frame_bytes = pod.mtu as usize + HEADER_BYTES;
    if frame_bytes > umem.capacity_bytes() {
        return Err(SocketError::MtuTooLarge {
            device: pod.host_interface.clone(),
            mtu_bytes: pod.mtu,
            limit_bytes: umem.capacity_bytes() - HEADER_BYTES,
        }
        .into());
    }
    let socket = Socket::open(umem, &pod.host_interface, ring_slots, ring_slots)?;
    let socket = PortSocket::Copy(socket);
    Ok(AfxdpPort::new(socket, &pod.host_interface, pod.mtu, true))
}

impl Backend for AfxdpBackend {
    type Port = AfxdpPort;
    type Error = BackendError;

    fn open_uplink(&mut self, device: &str) -> Result<AfxdpPort, BackendError> {
        let found = Device::by_name(device).map_err(|error| match error {
            ProgramError::Device { source, .. } => {
                let device = device.to_owned();
                BackendError::Socket(SocketError::Open { device, source })
            }
            error => error.into(),
        })?;
        let was_up = is_up(found.index);
        let program = self.pods.programs.attach_uplink(device)?;
        let socket = self.open_uplink_socket(&found, program).inspect_err(|_| {
            if !program.adopted {
                // The socket's error is the one to tell.
                let _ = self.pods.programs.detach_uplink(device);
            }
        })?;
        if was_up {
            wait_for_link(found.index);
        }
        let uplink = Uplink {
            ifindex: found.index,
            program,
            zero_copy: socket.is_zero_copy(),
        };
        tracing::info!(
            device,
            xdp = uplink.xdp(),
            socket = uplink.socket(),
            "the uplink's modes"
        );
        self.uplinks.insert(device.to_owned(), uplink);
        Ok(AfxdpPort::new(socket, device, found.mtu, false))
    }

    fn close_uplink(&mut self, device: &str) -> Result<(), BackendError> {
        Ok(self.pods.programs.detach_uplink(device)?)
    }

    fn attach_pod(&mut self, pod: &PodAttachment) -> Result<AfxdpPort, BackendError> {
        let PodEnd::Veth(end) = &pod.end else {
            return Err(BackendError::NoVeth {
                name: pod.name.clone(),
            });
        };
        let pod = VethPod {
            name: pod.name.clone(),
            end: end.clone(),
            mode: pod.mode,
            rules: pod.rules.clone(),
        };
        let (umem, ring_slots) = (&self.umem, self.ring_slots);
        self.pods
            .attach(&pod, |pod| open_pod_port(umem, ring_slots, pod))
    }

    fn detach_pod(&mut self, name: &str) -> Result<(), BackendError> {
        Ok(self.pods.detach(name)?)
    }

    fn is_attached(&self, name: &str) -> bool {
        self.pods.is_attached(name)
    }

    fn pod_counters(&self, name: &str) -> Vec<(&'static str, u64)> {
        self.pods.counters(name)
    }

    fn uplink_link(&self, device: &str) -> Link {
        let uplink = self.uplinks.get(device);
        uplink.map_or(Link::Gone, |uplink| Device::link(uplink.ifindex))
    }

    fn uplink_counters(&self, _: &str) -> Vec<(String, u64)> {
        Vec::new()
    }

    fn uplink_facts(&self, device: &str) -> Vec<(&'static str, String)> {
        let ethtool = Ethtool::read(device);
        let told = [("driver", ethtool.driver), ("bus", ethtool.bus)];
        let modes = self.uplinks.get(device).map(|uplink| {
            [
                ("xdp", uplink.xdp().to_owned()),
                ("socket", uplink.socket().to_owned()),
            ]
        });
        told.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .chain(modes.into_iter().flatten())
            .collect()
    }

    fn worker_entry(&self) -> Box<dyn FnOnce() + Send> {
        Box::new(|| {})
    }

    fn leftovers(&self) -> Result<Vec<String>, BackendError> {
        Ok(self.pods.leftovers()?)
    }

    fn set_overlay(&mut self, overlay: &Overlay) -> Result<(), BackendError> {
        Ok(self.pods.programs.set_overlay(overlay)?)
    }

    fn divert(&mut self) -> Result<(), BackendError> {
        Ok(self.pods.programs.divert()?)
    }

    fn heartbeat(&self) -> Box<dyn Heartbeat> {
        self.pods.programs.heartbeat()
    }
}
