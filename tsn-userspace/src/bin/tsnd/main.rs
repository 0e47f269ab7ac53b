//! The node daemon.

mod backend;
mod program_log;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use tracing_subscriber::EnvFilter;
use tsn_userspace::config::Configuration;
use tsn_userspace::control::server;
use tsn_userspace::log;

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
    /// Where the CNI plugin writes what it wants attached.
    #[arg(long, default_value = tsn_cni::record::DEFAULT_DIRECTORY)]
    cni_dir: PathBuf,
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
    /// Poll-mode drivers of DPDK, with ports for vhost-user sockets beside those for veth pairs.
    Dpdk,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let limiter = log::init(arguments.log.clone(), arguments.log_format);
    let configuration = Configuration::from_file(&arguments.config)?;
    // Before anything is touched: a second daemon must not get at what the first one has attached.
    let listener = server::bind(&arguments.control)
        .with_context(|| format!("--control {}", arguments.control.display()))?;
    let control = arguments.control.clone();
    let ended = backend::open_and_serve(arguments, configuration, listener, &limiter);
    limiter.report();
    // A dead socket does no harm, so the daemon's own error is the one to tell.
    let _ = std::fs::remove_file(&control);
    ended
}
