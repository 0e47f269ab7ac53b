//! The node daemon.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MlockAllFlags, mlockall};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tracing_subscriber::EnvFilter;
use tsn_afxdp::{AfxdpBackend, AfxdpConfig};
use tsn_port::{Backend, DeviceKind, DeviceName};
use tsn_userspace::config::Configuration;
use tsn_userspace::control::{metrics_server, server};
use tsn_userspace::device::watch_links;
use tsn_userspace::log::{self, Limiter};
use tsn_userspace::node::{Node, NodeOptions};
use tsn_userspace::state::StateFile;

/// How often a link is looked at that the kernel, which tells of every change, does not know: a poll-mode device's.
const LINK_LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Makes pods' frames leave exactly when the gate control list and their launch times say.
///
/// Give it a configuration (see `examples/tsnd.yaml`) and the core that its worker shall have:
///
///     tsnd --backend afxdp --config /etc/tsnd.yaml --cpu 3
///
/// Then `tsnctl status` shows what it does. SIGTERM sends what is queued and ends; pods keep their network, on the
/// kernel path, whether the daemon runs or not.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// How frames come and go.
    #[arg(long, value_enum)]
    backend: BackendName,
    /// The configuration file (YAML).
    #[arg(long, default_value = "/etc/tsnd.yaml")]
    config: PathBuf,
    /// The worker's core. Best one that the kernel keeps free (isolcpus=, nohz_full=).
    #[arg(long)]
    cpu: Option<usize>,
    /// The control socket.
    #[arg(long, default_value = "/run/tsnd/control.sock")]
    control: PathBuf,
    /// Serves /metrics, and nothing else, over TCP too, such as at 127.0.0.1:9465: Prometheus reads no unix socket.
    /// Without protection of its own, so give it an address that only the scraper reaches.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// Where the kernel programs are pinned; on a bpffs.
    #[arg(long, default_value = "/sys/fs/bpf/tsnd")]
    pin_dir: PathBuf,
    /// Where pods and gates that are set at run time are kept for the next start.
    #[arg(long, default_value = "/run/tsnd")]
    state_dir: PathBuf,
    /// How long SIGTERM waits for queued frames whose time has not come.
    #[arg(long, default_value = "10", value_name = "SECONDS")]
    drain_limit: u64,
    /// At the end, detach the kernel programs too instead of leaving them for the next start.
    #[arg(long)]
    detach_on_exit: bool,
    /// What is logged: error, warn, info, debug, trace, or a filter by module.
    #[arg(long, default_value = "info")]
    log: EnvFilter,
    /// How it is logged.
    #[arg(long, value_enum, default_value = "text")]
    log_format: log::Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BackendName {
    /// AF_XDP sockets fed by XDP redirect programs.
    Afxdp,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let limiter = log::init(arguments.log.clone(), arguments.log_format);
    let configuration = Configuration::from_file(&arguments.config)?;
    // A page fault in the worker is a stall. Without the right to lock memory the daemon works all the same.
    if let Err(error) = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE) {
        tracing::warn!(%error, "memory is not locked; give CAP_IPC_LOCK or raise `ulimit -l`");
    }
    // Before anything is touched: a second daemon must not get at what the first one has attached.
    let listener = server::bind(&arguments.control)
        .with_context(|| format!("--control {}", arguments.control.display()))?;
    let control = arguments.control.clone();
    let ended = run(arguments, configuration, listener, &limiter);
    limiter.report();
    // A dead socket does no harm, so the daemon's own error is the one to tell.
    let _ = std::fs::remove_file(&control);
    ended
}

fn run(
    arguments: Arguments,
    configuration: Configuration,
    listener: std::os::unix::net::UnixListener,
    limiter: &Limiter,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match arguments.backend {
        BackendName::Afxdp => {
            let mut backend = AfxdpBackend::open(&AfxdpConfig {
                pin_dir: arguments.pin_dir.clone(),
                heartbeat_timeout: configuration.worker.heartbeat_timeout.as_duration(),
                chunks: configuration.worker.frame_buffers,
                chunk_bytes: configuration.worker.frame_buffer_bytes,
                ..AfxdpConfig::default()
            })?;
            match backend.programs_mut().take_logs() {
                Ok(Some(log)) => {
                    forward_program_log(log).context("no thread for the programs' log")?
                }
                Ok(None) => tracing::warn!("the kernel programs' log belongs to another process"),
                Err(error) => tracing::warn!(%error, "the kernel programs' log cannot be read"),
            }
            runtime.block_on(serve(
                arguments,
                "afxdp",
                configuration,
                backend,
                listener,
                limiter,
            ))
        }
    }
}

async fn serve<B: Backend + 'static>(
    arguments: Arguments,
    backend_name: &'static str,
    configuration: Configuration,
    backend: B,
    listener: std::os::unix::net::UnixListener,
    limiter: &Limiter,
) -> Result<()> {
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
    let mut links = watch_links().context("cannot watch the devices over rtnetlink")?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let options = NodeOptions {
        backend_name,
        cpu: arguments.cpu,
        state_file: Some(state_file),
    };
    let node = Node::start(configuration, backend, options).await?;
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

/// Puts what the kernel programs log into the daemon's own log, in a thread that ends with the process.
fn forward_program_log(mut log: tsn_programs::ProgramLog) -> std::io::Result<()> {
    let follow = move || {
        loop {
            match poll(
                &mut [PollFd::new(log.as_fd(), PollFlags::POLLIN)],
                PollTimeout::NONE,
            ) {
                Ok(_) => log.flush(),
                Err(nix::Error::EINTR) => {}
                Err(error) => {
                    tracing::warn!(%error, "the kernel programs' log cannot be followed");
                    return;
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("tsnd-program-log".to_owned())
        .spawn(follow)
        .map(drop)
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd was not told");
    }
}
