//! The control plane of one uplink: it owns the backend, knows the pods and the gates, and tells the worker.

mod attachments;
mod buffers;
mod capture;
mod gates;
mod overlay;
mod pods;
mod recorded_pod;
mod start;
mod watch;
mod worker_handle;
mod worker_start;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Weak;

use tsn_cni::record::{self, Key, Record};
use tsn_port::{Backend, MacAddress};

use crate::clock::{ClockMonitor, ClockStatus};
use crate::config::{
    ClockSettings, ConfigurationError, DpdkSettings, GateParameters, Pod, Profile, Uplink,
    WorkerSettings,
};
use crate::control::api::{ClassStatus, GatesStatus, Stalls, Status, UplinkStatus};
use crate::metrics::Moment;
use crate::state::{State, StateFile};
use crate::worker::snapshot::Snapshot;
use crate::worker::stall::StallLog;
use overlay::Ways;

use attachments::Records;
pub use capture::CaptureRequest;
pub use start::{NodeOptions, StartError};
pub use worker_handle::WorkerHandle;

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A value of the request cannot be used.
    #[error(transparent)]
    Invalid(#[from] ConfigurationError),
    /// The name is taken.
    #[error(
        "there is a pod `{0}` with other settings; delete it first, or apply the change with `tsnctl apply`"
    )]
    PodExists(String),
    /// No such pod.
    #[error("there is no pod `{0}`; `tsnctl pods` lists those that there are")]
    NoPod(String),
    /// A pod that comes and goes with its record.
    #[error(
        "pod `{0}` was attached by the CNI plugin, and goes when its container does; \
         `DELETE /v1/attachments/...` takes it away before"
    )]
    PodOfRecord(String),
    /// No such record.
    #[error("there is no record of {key} in {}; --cni-dir must be the directory that the CNI plugin writes to", .directory.display())]
    NoRecord {
        /// What was looked for.
        key: Key,
        /// Where.
        directory: PathBuf,
    },
    /// A record that cannot be used.
    #[error(transparent)]
    Record(#[from] record::Error),
    /// The network namespace that a record was made for.
    #[error("the network namespace at {} is gone, or another one", .0.display())]
    NamespaceGone(PathBuf),
    /// The place of a record's network namespace shows nothing.
    #[error(
        "{} cannot be seen, or is no network namespace here; the daemon needs the node's directory of namespaces, with \
         what is mounted there later (mountPropagation: HostToContainer)", .0.display()
    )]
    NamespaceHidden(PathBuf),
    /// The device that frames leave by has been removed.
    #[error(
        "the uplink {0} has been removed; pods with a veth take the kernel path, those on a vhost-user socket have none. \
         Start tsnd again when it is back"
    )]
    UplinkGone(String),
    /// The buffers would not do for all.
    #[error(
        "{pods} pods and the uplink may hold {wanted} frame buffers, and there are {buffers}; raise \
         worker.frame-buffers, or lower the pods' frame-quota"
    )]
    Buffers {
        /// Pods, the new one included.
        pods: usize,
        /// Buffers that they and the uplink may hold together.
        wanted: u64,
        /// `worker.frame-buffers`.
        buffers: u32,
    },
    /// Something that only a start of the daemon can change.
    #[error(
        "{0} differs from what the daemon was started with; restart tsnd to change it (pods keep the kernel path meanwhile)"
    )]
    NeedsRestart(&'static str),
    /// There can be one only.
    #[error(
        "a capture is running, and there can be one only; end the other `tsnctl capture` first"
    )]
    CaptureRuns,
    /// The backend refused.
    #[error("{0}")]
    Backend(String),
    /// The ways of an overlay pod's frames are not known.
    #[error("{0}")]
    Overlay(String),
    /// The worker refused.
    #[error(transparent)]
    Worker(#[from] crate::worker::command::Refusal),
    /// The worker did not answer in time. What it was asked may still happen when it comes back.
    #[error(
        "the worker has not answered for a second: its core is taken by something else, or it hangs"
    )]
    WorkerSilent,
    /// The change is in force, but would not survive a restart.
    #[error("the change is in force, but cannot be kept for the next start: {0}")]
    State(std::io::Error),
}

/// Room for the reason why the uplink does not send.
const FAILURE_BYTES: usize = 512;

/// A pod as the node knows it.
#[derive(Debug)]
struct PodEntry {
    pod: Pod,
    /// Those of its streams; bit i is class i.
    classes: u8,
    /// Its place in the worker, while it is attached.
    place: Option<usize>,
    /// The address under which the worker delivers to it, while it is attached.
    station: Option<MacAddress>,
    /// Buffers that its port keeps ready to receive into.
    receive_slots: u32,
    /// Why it is not attached.
    waits_for: Option<String>,
    /// Who wants it.
    origin: Origin,
}

/// Who wants a pod, and so what remembers it for the next start.
#[derive(Debug, Clone)]
enum Origin {
    /// The configuration file.
    File,
    /// A request of the control API; the state file remembers it.
    Request,
    /// A record of the CNI plugin.
    Record(Box<Record>),
}

impl Origin {
    /// Whether it is a record of the same network namespace, whose interface has the same addresses.
    fn is_like(&self, other: &Record) -> bool {
        matches!(self, Self::Record(known) if known.netns_inode == other.netns_inode
            && known.mac == other.mac
            && known.ips == other.ips)
    }
}

/// The control plane of one uplink.
pub struct Node<B: Backend> {
    backend: B,
    backend_name: &'static str,
    started_at_unix_ns: u64,
    worker: WorkerHandle<B::Port>,
    uplink: Uplink,
    link_speed_mbps: u32,
    /// Buffers that the uplink keeps ready to receive into.
    uplink_receive_slots: u32,
    carrier: bool,
    /// Whether the log says that the uplink does not send.
    uplink_fails: bool,
    class_names: [Option<String>; 8],
    critical_classes: u8,
    gates: GateParameters,
    configured_gates: GateParameters,
    pods: BTreeMap<String, PodEntry>,
    profiles: Vec<Profile>,
    records: Records,
    ways: Ways,
    clock: ClockMonitor,
    clock_status: ClockStatus,
    worker_settings: WorkerSettings,
    clock_settings: ClockSettings,
    dpdk_settings: DpdkSettings,
    state_file: Option<StateFile>,
    /// Alive while somebody reads the latest capture.
    capture: Weak<()>,
    /// Whether the worker has the tap of it.
    capture_is_on: bool,
}

impl<B: Backend> Node<B> {
    /// Everything at a glance.
    ///
    /// # Errors
    ///
    /// [`NodeError::WorkerSilent`].
    pub async fn status(&mut self) -> Result<Status, NodeError> {
        let snapshot = self.snapshot(false).await?;
        Ok(self.status_of(&snapshot))
    }

    /// Everything and all pods, from one snapshot.
    ///
    /// # Errors
    ///
    /// [`NodeError::WorkerSilent`].
    pub async fn moment(&mut self) -> Result<Moment, NodeError> {
        let snapshot = self.snapshot(false).await?;
        Ok(Moment {
            status: self.status_of(&snapshot),
            pods: self.pods_of(&snapshot),
        })
    }

    fn status_of(&self, snapshot: &Snapshot) -> Status {
        let classes = (0u8..).zip(&self.class_names).zip(&snapshot.classes);
        let used_by_streams = self.pods.values().fold(0, |all, entry| all | entry.classes);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backend: self.backend_name.to_owned(),
            at_ns: snapshot.at.as_nanos(),
            started_at_unix_ns: self.started_at_unix_ns,
            clock: self.clock_status,
            uplink: self.uplink_status(snapshot),
            gates: GatesStatus {
                oper_gate_states: snapshot.gates.states.0,
                config_change_time_ns: snapshot.gates.config_change_time.map(|at| at.as_nanos()),
                config_change_error: snapshot.gates.config_change_error,
                config_pending: snapshot.gates.config_pending,
                parameters: self.gates.clone(),
            },
            classes: classes
                .filter(|((number, name), counters)| {
                    name.is_some() || counters.received > 0 || used_by_streams & 1 << number != 0
                })
                .map(|((number, name), counters)| ClassStatus::new(number, name.clone(), counters))
                .collect(),
            stalls: snapshot.stalls,
            sleeps: snapshot.sleeps,
            clock_steps: snapshot.clock_steps,
            pods: snapshot.pods.len(),
            cni_pods: self
                .pods
                .values()
                .filter(|entry| matches!(entry.origin, Origin::Record(_)))
                .count(),
        }
    }

    fn uplink_status(&self, snapshot: &Snapshot) -> UplinkStatus {
        let device = &self.uplink.device;
        let facts = self.backend.uplink_facts(device);
        UplinkStatus {
            device_facts: facts
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            device_counters: self.backend.uplink_counters(device).into_iter().collect(),
            ..UplinkStatus::new(device, self.link_speed_mbps, snapshot)
        }
    }

    /// The latest stalls of the worker.
    ///
    /// # Errors
    ///
    /// [`NodeError::WorkerSilent`].
    pub async fn stalls(&mut self) -> Result<Stalls, NodeError> {
        let snapshot = self.snapshot(true).await?;
        Ok(Stalls {
            totals: snapshot.stalls,
            stalls: snapshot.recent_stalls,
        })
    }

    async fn snapshot(&mut self, with_stalls: bool) -> Result<Box<Snapshot>, NodeError> {
        let mut snapshot = Box::<Snapshot>::default();
        snapshot.pods.reserve_exact(self.pods.len());
        snapshot.uplink_failure.reserve_exact(FAILURE_BYTES);
        if with_stalls {
            snapshot.recent_stalls.reserve_exact(StallLog::capacity());
        }
        let snapshot = self.worker.snapshot(snapshot).await?;
        let failure = &snapshot.uplink_failure;
        if failure.is_empty() == self.uplink_fails {
            match self.uplink_fails {
                false => tracing::warn!(failure, "the uplink does not send"),
                true => tracing::info!(device = self.uplink.device, "the uplink sends again"),
            }
            self.uplink_fails = !failure.is_empty();
        }
        Ok(snapshot)
    }

    fn keep_state(&self) -> Result<(), NodeError> {
        let Some(file) = &self.state_file else {
            return Ok(());
        };
        let state = State {
            configured_gates: self.configured_gates.clone(),
            gates: self.gates.clone(),
            pods: self
                .pods
                .values()
                .filter(|entry| matches!(entry.origin, Origin::Request))
                .map(|entry| entry.pod.clone())
                .collect(),
        };
        file.store(&state).map_err(NodeError::State)
    }
}
