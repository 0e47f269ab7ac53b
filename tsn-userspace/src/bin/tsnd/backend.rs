//! The backends by name. Nothing else in the daemon names one.

use std::os::unix::net::UnixListener;

use anyhow::Result;
use tokio::runtime::Runtime;
use tsn_afxdp::{AfxdpBackend, AfxdpConfig};
use tsn_userspace::config::Configuration;
use tsn_userspace::log::Limiter;

use crate::serve::serve;
use crate::{Arguments, BackendName, program_log};

/// Opens the backend that was asked for, and serves with it.
///
/// # Errors
///
/// When the backend cannot be opened, or the daemon's own.
pub fn open_and_serve(
    arguments: Arguments,
    configuration: Configuration,
    listener: UnixListener,
    limiter: &Limiter,
) -> Result<()> {
    match arguments.backend {
        BackendName::Afxdp => {
            let mut backend = open_afxdp(&arguments, &configuration)?;
            program_log::forward(backend.programs_mut())?;
            let served = serve(
                arguments,
                "afxdp",
                configuration,
                backend,
                listener,
                limiter,
            );
            runtime()?.block_on(served)
        }
        #[cfg(feature = "dpdk")]
        BackendName::Dpdk => {
            let mut backend = open_dpdk(&arguments, &configuration)?;
            program_log::forward(backend.programs_mut())?;
            let served = serve(arguments, "dpdk", configuration, backend, listener, limiter);
            runtime()?.block_on(served)
        }
        #[cfg(not(feature = "dpdk"))]
        BackendName::Dpdk => anyhow::bail!(
            "this tsnd was built without DPDK. Install DPDK 22.11 or later and libclang (Debian: apt-get install \
             libdpdk-dev clang), and build it with `cargo xtask build`, which finds them, or with `cargo build \
             --release --package tsn-userspace --features dpdk`"
        ),
    }
}

fn open_afxdp(arguments: &Arguments, configuration: &Configuration) -> Result<AfxdpBackend> {
    let worker = &configuration.worker;
    Ok(AfxdpBackend::open(&AfxdpConfig {
        pin_dir: arguments.pin_dir.clone(),
        heartbeat_timeout: worker.heartbeat_timeout.as_duration(),
        chunks: worker.frame_buffers,
        chunk_bytes: worker.frame_buffer_bytes,
        zero_copy: worker.zero_copy,
        ..AfxdpConfig::default()
    })?)
}

#[cfg(feature = "dpdk")]
fn open_dpdk(
    arguments: &Arguments,
    configuration: &Configuration,
) -> Result<tsn_dpdk::DpdkBackend> {
    use tsn_dpdk::{DpdkBackend, DpdkConfig, Hugepages};
    use tsn_port::{DeviceKind, DeviceName};
    use tsn_userspace::config::HugepageSize;

    let (worker, dpdk) = (&configuration.worker, &configuration.dpdk);
    if worker.zero_copy {
        tracing::warn!("worker.zero-copy is for AF_XDP and changes nothing here; leave it out");
    }
    let mut pci_devices = Vec::new();
    for uplink in &configuration.uplinks {
        let device: DeviceName = uplink.device.parse()?;
        if device.kind() == DeviceKind::Pci {
            pci_devices.push(device);
        }
    }
    Ok(DpdkBackend::open(&DpdkConfig {
        pin_dir: arguments.pin_dir.clone(),
        heartbeat_timeout: worker.heartbeat_timeout.as_duration(),
        frame_buffers: worker.frame_buffers,
        frame_bytes: worker.frame_buffer_bytes,
        memory_mib: dpdk.memory,
        hugepages: match dpdk.hugepages {
            HugepageSize::Auto => Hugepages::Auto,
            HugepageSize::TwoMegabytes => Hugepages::Size2Mb,
            HugepageSize::OneGigabyte => Hugepages::Size1Gb,
            HugepageSize::None => Hugepages::None,
        },
        file_prefix: dpdk.file_prefix.clone(),
        pci_devices,
    })?)
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
