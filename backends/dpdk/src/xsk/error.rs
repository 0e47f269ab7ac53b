//! Why a pod's veth cannot be used.

use std::io;
use std::sync::Arc;

/// Why an AF_XDP socket could not be opened on the host end of a pod's veth.
#[derive(Debug, thiserror::Error)]
pub enum XskError {
    /// The kernel refused.
    #[error(
        "cannot open an AF_XDP socket on queue 0 of {device}: {source}; {}",
        advice(source)
    )]
    Open {
        /// The device.
        device: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The pod's frames do not fit a buffer.
    #[error(
        "the MTU of {device} is {mtu_bytes} bytes, but a frame buffer holds frames of an MTU of at most {limit_bytes}; \
         lower the MTU or raise worker.frame-buffer-bytes to 4096"
    )]
    MtuTooLarge {
        /// The device.
        device: String,
        /// Its MTU.
        mtu_bytes: u32,
        /// The largest MTU that fits.
        limit_bytes: usize,
    },
}

/// The way out, as far as the kernel's reason tells it.
fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EBUSY) => "another AF_XDP socket holds it: stop that program, or drop that port",
        Some(libc::ENODEV) => "the pod's device went away; attach the pod again when it is back",
        Some(libc::EPERM) => "run with CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK",
        Some(libc::ENOMEM | libc::ENOBUFS) => "use fewer frame buffers",
        _ => "check that the kernel has CONFIG_XDP_SOCKETS",
    }
}

/// Why the kernel did not send to a pod. The frames stay in the ring.
#[derive(Debug, thiserror::Error)]
pub enum XskWakeError {
    /// The device is down.
    #[error("{device} is down; its frames wait until it is up again")]
    DeviceDown {
        /// The device.
        device: Arc<str>,
    },
    /// The device no longer exists.
    #[error("{device} is gone; close the port and open it anew when the device is back")]
    DeviceGone {
        /// The device.
        device: Arc<str>,
    },
    /// The kernel refused for another reason.
    #[error("the kernel does not transmit on {device}")]
    Transmit {
        /// The device.
        device: Arc<str>,
        /// The kernel's reason.
        source: io::Error,
    },
}

impl XskWakeError {
    pub(super) fn new(device: &Arc<str>, source: io::Error) -> Self {
        let device = Arc::clone(device);
        match source.raw_os_error() {
            Some(libc::ENETDOWN) => Self::DeviceDown { device },
            Some(libc::ENXIO | libc::ENODEV) => Self::DeviceGone { device },
            _ => Self::Transmit { device, source },
        }
    }
}
