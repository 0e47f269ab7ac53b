//! The [`Backend`] of DPDK.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use tsn_port::{Backend, DeviceKind, DeviceName, Heartbeat, Link, Overlay, PodAttachment, PodEnd};
use tsn_programs::{COUNTER_NAMES, Programs, VethPod, VethPods};

use crate::frame::Finisher;
use crate::interface::Interface;
use crate::pods::vhost::VhostPod;
use crate::uplink::Uplink;
use crate::xsk::XskPort;
use crate::{BackendError, DpdkPort, Eal, EalConfig, Hugepages, Mempool, PoolConfig};

/// What devices, sockets and DPDK itself take beside the frame buffers.
const OTHER_MEMORY_MIB: u32 = 64;
/// Bytes that a buffer takes beside its frame: mbuf, headroom and what lies between them.
const BUFFER_HEADER_BYTES: u64 = 512;

/// Settings of a [`DpdkBackend`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpdkConfig {
    /// Directory on a bpffs for the pinned programs and maps; is made if it does not exist.
    pub pin_dir: PathBuf,
    /// How old the worker's last sign of life may be before the kernel programs keep frames on the kernel path.
    pub heartbeat_timeout: Duration,
    /// Frame buffers for all ports together. A device and each pod keep up to 512 of them ready to receive into.
    pub frame_buffers: u32,
    /// The longest frame that a buffer holds, without FCS.
    pub frame_bytes: u32,
    /// DPDK's memory in MiB; `None` for what the buffers take, and 64 MiB for devices, sockets and DPDK itself.
    pub memory_mib: Option<u32>,
    /// Where it lies.
    pub hugepages: Hugepages,
    /// Tells this process from other DPDK programs on the node.
    pub file_prefix: String,
    /// The PCI devices among the uplinks.
    pub pci_devices: Vec<DeviceName>,
}

/// Opens the ports of one worker over one mempool. One in a process.
pub struct DpdkBackend {
    eal: Eal,
    pool: Mempool,
    veths: VethPods,
    vhosts: HashMap<String, VhostPod>,
    uplinks: HashMap<String, Uplink>,
    interfaces: HashMap<String, Interface>,
    /// Who makes good the checksum offload of the pods that are attached from now on.
    finisher: Finisher,
    /// Number of the next virtual device that is made here.
    next_device: u32,
}

impl DpdkBackend {
    /// Initialises the EAL, makes the mempool, and loads or adopts the kernel programs' maps.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the programs, when there is too little memory, or when the EAL does not start. That can
    /// be tried once in a process.
    pub fn open(config: &DpdkConfig) -> Result<Self, BackendError> {
        let programs = Programs::open(&config.pin_dir, config.heartbeat_timeout)?;
        let eal_config = EalConfig {
            hugepages: config.hugepages,
            memory_mib: config.memory_mib.unwrap_or_else(|| memory_mib(config)),
            file_prefix: config.file_prefix.clone(),
            pci_devices: config.pci_devices.clone(),
        };
        let eal = Eal::init(&eal_config)?;
        let pool = Mempool::new(
            eal,
            &PoolConfig {
                name: "frames".into(),
                frames: config.frame_buffers,
                frame_bytes: config.frame_bytes,
                numa_node: eal_config.numa_node(),
            },
        )?;
        Ok(Self {
            eal,
            pool,
            veths: VethPods::new(programs),
            vhosts: HashMap::new(),
            uplinks: HashMap::new(),
            interfaces: HashMap::new(),
            finisher: Finisher::Software,
            next_device: 0,
        })
    }

    /// The kernel programs: which pods are pinned, and their log.
    pub fn programs(&self) -> &Programs {
        &self.veths.programs
    }

    /// As [`programs`](Self::programs), to take the log.
    pub fn programs_mut(&mut self) -> &mut Programs {
        &mut self.veths.programs
    }

    /// The initialised EAL, for devices beside those of the backend.
    pub fn eal(&self) -> Eal {
        self.eal
    }

    /// The frame buffers.
    pub fn pool(&self) -> Mempool {
        self.pool
    }

    fn device_number(&mut self) -> u32 {
        self.next_device += 1;
        self.next_device
    }
}

/// What the frame buffers and everything beside them take.
fn memory_mib(config: &DpdkConfig) -> u32 {
    let buffer_bytes = u64::from(config.frame_bytes) + BUFFER_HEADER_BYTES;
    let pool_mib = (u64::from(config.frame_buffers) * buffer_bytes).div_ceil(1 << 20);
    u32::try_from(pool_mib)
        .unwrap_or(u32::MAX)
        .saturating_add(OTHER_MEMORY_MIB)
}

impl Backend for DpdkBackend {
    type Port = DpdkPort;
    type Error = BackendError;

    /// Opens what the name says ([`tsn_port::DeviceName`]). By an interface of the kernel frames only leave; what arrives
    /// there goes from the kernel to the pods.
    fn open_uplink(&mut self, device: &str) -> Result<DpdkPort, BackendError> {
        let name: DeviceName = device.parse().map_err(crate::DeviceError::from)?;
        if name.kind() == DeviceKind::Interface {
            let (interface, port) = Interface::open(self.pool, device)?;
            self.veths.programs.attach_uplink(device)?;
            self.interfaces.insert(device.to_owned(), interface);
            return Ok(port.into());
        }
        let (uplink, port) = Uplink::open(self.eal, self.pool, &name)?;
        if port.device().finishes_checksums {
            self.finisher = Finisher::Uplink;
        }
        self.uplinks.insert(device.to_owned(), uplink);
        Ok(port.into())
    }

    fn close_uplink(&mut self, device: &str) -> Result<(), BackendError> {
        let name: DeviceName = device.parse().map_err(crate::DeviceError::from)?;
        if name.kind() == DeviceKind::Interface {
            self.veths.programs.detach_uplink(device)?;
        }
        Ok(())
    }

    fn attach_pod(&mut self, pod: &PodAttachment) -> Result<DpdkPort, BackendError> {
        let (pool, finisher) = (self.pool, self.finisher);
        let name = pod.name.clone();
        match &pod.end {
            PodEnd::Veth(end) => {
                let pod = VethPod {
                    name,
                    end: end.clone(),
                    mode: pod.mode,
                    rules: pod.rules.clone(),
                };
                let port: XskPort = self.veths.attach(&pod, |pod| {
                    XskPort::open(pool, pod, finisher).map_err(BackendError::from)
                })?;
                Ok(port.into())
            }
            PodEnd::VhostUser(_) if self.vhosts.contains_key(&name) => {
                Err(BackendError::PodAttached { name })
            }
            PodEnd::VhostUser(end) => {
                let number = self.device_number();
                let (attached, port) = VhostPod::attach(self.eal, pool, end, number, finisher)?;
                self.vhosts.insert(name, attached);
                Ok(port.into())
            }
        }
    }

    /// A vhost-user socket is closed and removed with the pod's port.
    fn detach_pod(&mut self, name: &str) -> Result<(), BackendError> {
        if self.vhosts.remove(name).is_some() {
            return Ok(());
        }
        Ok(self.veths.detach(name)?)
    }

    fn is_attached(&self, name: &str) -> bool {
        self.vhosts
            .get(name)
            .map_or_else(|| self.veths.is_attached(name), VhostPod::is_open)
    }

    fn pod_counters(&self, name: &str) -> Vec<(&'static str, u64)> {
        let Some(pod) = self.vhosts.get(name) else {
            return self.veths.counters(name);
        };
        let (genuine, forged) = pod.stamps();
        COUNTER_NAMES
            .map(|name| match name {
                "stamped" => (name, genuine),
                "forged_stamp" => (name, forged),
                _ => (name, 0),
            })
            .into()
    }

    fn uplink_link(&self, device: &str) -> Link {
        if let Some(interface) = self.interfaces.get(device) {
            return interface.link();
        }
        self.uplinks.get(device).map_or(Link::Gone, Uplink::link)
    }

    fn uplink_counters(&self, device: &str) -> Vec<(String, u64)> {
        self.uplinks
            .get(device)
            .map_or_else(Vec::new, Uplink::counters)
    }

    fn uplink_facts(&self, device: &str) -> Vec<(&'static str, String)> {
        let mut facts = match self.interfaces.get(device) {
            Some(interface) => interface.facts(),
            None => self
                .uplinks
                .get(device)
                .map_or_else(Vec::new, Uplink::facts),
        };
        let node = self.pool.numa_node();
        let node = node.map_or_else(String::new, |node| format!(" on NUMA node {node}"));
        facts.push(("memory", format!("{}{node}", self.eal.memory())));
        facts
    }

    fn worker_entry(&self) -> Box<dyn FnOnce() + Send> {
        let eal = self.eal;
        Box::new(move || eal.register_thread())
    }

    fn leftovers(&self) -> Result<Vec<String>, BackendError> {
        Ok(self.veths.leftovers()?)
    }

    fn set_overlay(&mut self, overlay: &Overlay) -> Result<(), BackendError> {
        Ok(self.veths.programs.set_overlay(overlay)?)
    }

    fn divert(&mut self) -> Result<(), BackendError> {
        Ok(self.veths.programs.divert()?)
    }

    fn heartbeat(&self) -> Box<dyn Heartbeat> {
        self.veths.programs.heartbeat()
    }
}
