//! Pods with a vhost-user socket: virtual machines and DPDK programs that have a virtio device.
//!
//! Each pod is a `net_vhost` device of its own, which comes and goes while the worker runs. The driver copies between the
//! pod's memory and ours, since both are to live without the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tsn_port::{Frame, VhostUserEnd};

use crate::ethdev::{EthOptions, EthPortRole, FarEnd};
use crate::frame::Finisher;
use crate::{BackendError, DpdkFrame, Eal, EthDevice, EthPort, Mempool, socket};

/// A pod that is attached.
#[derive(Debug)]
pub struct VhostPod {
    device: Weak<EthDevice>,
    front: Arc<PodFront>,
}

impl VhostPod {
    /// Makes the pod's device, and the port on it.
    pub fn attach(
        eal: Eal,
        pool: Mempool,
        end: &VhostUserEnd,
        number: u32,
        finisher: Finisher,
    ) -> Result<(Self, EthPort), BackendError> {
        let path = &end.socket;
        if !end.peer_listens {
            socket::clear(path)?;
        }
        // A frame that is longer than a buffer is dropped by the driver, and not cut in pieces.
        let device = format!(
            "net_vhost_tsnd{number},iface={},client={},queues=1,linear-buffer=1",
            path.display(),
            u8::from(end.peer_listens),
        );
        let options = EthOptions {
            receive_slots: 0, // the other end's affair
            promiscuous: false,
        };
        let device = device.parse().map_err(crate::DeviceError::from)?;
        let device = socket::privately(|| EthDevice::open(eal, pool, &device, options))?;
        let device = Arc::new(device);
        let front = Arc::new(PodFront::new(end.stamp_secret));
        let pod = Self {
            device: Arc::downgrade(&device),
            front: Arc::clone(&front),
        };
        let role = EthPortRole {
            receives: true,
            finisher: Some(finisher),
            station: Some(end.address),
            front: Some(front),
            far_end: FarEnd::Pod,
            ..EthPortRole::default()
        };
        Ok((pod, EthPort::with_role(device, pool, role)))
    }

    /// Whether its port exists.
    pub fn is_open(&self) -> bool {
        self.device.strong_count() > 0
    }

    /// Frames with a genuine stamp, and with a forged one.
    pub fn stamps(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.front.genuine), load(&self.front.forged))
    }
}

/// What is at the front of a pod's frames, where no kernel program has looked.
#[derive(Debug)]
pub(crate) struct PodFront {
    secret: Option<u64>,
    genuine: AtomicU64,
    forged: AtomicU64,
}

impl PodFront {
    fn new(random: Option<u64>) -> Self {
        Self {
            secret: random.map(tsn_common::StampHeader::secret),
            genuine: AtomicU64::new(0),
            forged: AtomicU64::new(0),
        }
    }

    /// Takes the stamp off a frame, and counts it. False for a forged one.
    pub fn take(&self, frame: &mut DpdkFrame) -> bool {
        let length = frame.bytes().len();
        if !frame.take_stamp(self.secret) {
            self.forged.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        if frame.bytes().len() < length {
            self.genuine.fetch_add(1, Ordering::Relaxed);
        }
        true
    }
}
