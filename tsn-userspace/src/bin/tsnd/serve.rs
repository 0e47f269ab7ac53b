//! The daemon at work: requests, signals, links, housekeeping.

use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::mman::{MlockAllFlags, mlockall};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tsn_cni::record::Directory;
use tsn_port::{Backend, DeviceKind, DeviceName};
use tsn_userspace::config::Configuration;
use tsn_userspace::control::{metrics_server, server};
use tsn_userspace::device::watch_links;
use tsn_userspace::log::{self, Limiter};
use tsn_userspace::node::{Node, NodeOptions};
use tsn_userspace::overlay::changes::KernelChanges;
use tsn_userspace::state::StateFile;

use crate::Arguments;

/// How often a link is looked at that the kernel, which tells of every change, does not know: a poll-mode device's.
const LINK_LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Starts the node and works until a signal, or until nothing can be sent any more.
///
/// # Errors
///
/// When the node cannot be started, or its uplink is gone.
pub async fn serve<B: Backend + 'static>(
    arguments: Arguments,
    backend_name: &'static str,
    configuration: Configuration,
    backend: B,
    listener: UnixListener,
    limiter: &Limiter,
) -> Result<()> {
    lock_memory();
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let metrics_listener = match arguments.metrics_listen {
        Some(address) => Some(listen_for_scrapers(address).await?),
        None => None,
    };
    let uplink = configuration.uplinks.first().context("no uplink")?;
    let device: DeviceName = uplink.device.parse().context("uplinks[0].device")?;
    let state_file = StateFile::in_directory(&arguments.state_dir, device.name())
        .with_context(|| format!("--state-dir {}", arguments.state_dir.display()))?;
    let kernel_tells_of_link = device.kind() == DeviceKind::Interface;
    let mut kernel_changes =
        KernelChanges::watch().context("cannot watch the kernel's routes over rtnetlink")?;
    let mut links = watch_links().context("cannot watch the devices over rtnetlink")?;
    let options = NodeOptions {
        backend_name,
        cpu: arguments.cpu,
        state_file: Some(state_file),
        records: Directory::at(&arguments.cni_dir),
    };
    let node = Node::start(configuration, backend, options).await?;
    // Not before: a start may have to wait for a switch, and until it is over a signal just ends the process.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let node = Arc::new(Mutex::new(node));
    let server =
        tokio::spawn(axum::serve(listener, server::router(Arc::clone(&node))).into_future());
    let metrics_server = metrics_listener
        .map(|listener| tokio::spawn(metrics_server::serve(listener, Arc::clone(&node))));

    notify(&[NotifyState::Ready, NotifyState::Status("scheduling")]);
    tracing::info!(control = %arguments.control.display(), "ready");
    let watchdog = sd_notify::watchdog_enabled();
    let period = watchdog
        .map_or(Duration::from_secs(1), |limit| limit / 2)
        .min(Duration::from_secs(1));
    let mut housekeeping = tokio::time::interval(period);
    let mut link_look = tokio::time::interval(LINK_LOOK_INTERVAL);
    let mut log_report = tokio::time::interval(log::REPORT_INTERVAL);
    let ended = loop {
        tokio::select! {
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            Some(event) = links.recv() => {
                if let Err(error) = node.lock().await.link_changed(event).await {
                    break Err(error);
                }
            }
            () = kernel_changes.changed() => {
                let mut node = node.lock().await;
                let begun = Instant::now();
                node.look_at_overlay().await;
                kernel_changes.looked(begun.elapsed());
            }
            _ = link_look.tick(), if !kernel_tells_of_link => {
                if let Err(error) = node.lock().await.look_at_link() {
                    break Err(error);
                }
            }
            _ = log_report.tick() => limiter.report(),
            _ = housekeeping.tick() => {
                let mut node = node.lock().await;
                if let Err(error) = node.housekeeping().await {
                    break Err(error);
                }
                // The watchdog watches the worker, not this loop: no answer, no sign of life.
                match node.status().await {
                    Ok(_) if watchdog.is_some() => notify(&[NotifyState::Watchdog]),
                    Ok(_) => {}
                    Err(error) => tracing::error!(%error, "no sign of life from the worker"),
                }
            }
        }
    };

    notify(&[NotifyState::Stopping]);
    tracing::info!("stopping: new frames take the kernel path, queued ones leave in their time");
    server.abort();
    if let Some(metrics_server) = metrics_server {
        metrics_server.abort();
    }
    let limit = Duration::from_secs(arguments.drain_limit);
    let dropped = node
        .lock()
        .await
        .stop(limit, arguments.detach_on_exit)
        .await;
    if dropped > 0 {
        tracing::warn!(dropped, "frames whose time was beyond --drain-limit");
    }
    Ok(ended?)
}

/// A page fault in the worker is a stall. Without the right to lock memory the daemon works all the same.
///
/// Comes after the backend: DPDK reserves 128 GiB of addresses, which with hugepages it hardly fills, and under a limit
/// on locked memory (`ulimit -l`) it would not get them once future mappings are to be locked.
fn lock_memory() {
    if let Err(error) = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE) {
        tracing::warn!(%error, "memory is not locked; give CAP_IPC_LOCK or raise `ulimit -l`");
    }
}

async fn listen_for_scrapers(address: SocketAddr) -> Result<tokio::net::TcpListener> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("--metrics-listen {address}"))?;
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "whoever reaches --metrics-listen reads the metrics, with the names of pods and streams; let a firewall \
             admit only the scraper"
        );
    }
    Ok(listener)
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd was not told");
    }
}
