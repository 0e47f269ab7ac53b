//! The configuration file: one YAML document in the words of IEEE 802.1Q.
//!
//! [`Configuration::from_file`] reads and checks it; nothing of a file that has an error takes effect. The same types
//! are the bodies of the control API.

mod compile;
mod dpdk;
mod faults;
mod locate;
mod names;
mod overlay;
mod pod;
mod profile;
mod text;
mod units;
mod uplink;
mod vhost_user;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use compile::{
    CompiledGates, CompiledPod, CompiledUplink, Marking, Treatment, compile_gates, compile_pod,
    compile_rules, compile_uplink,
};
pub use dpdk::{DpdkSettings, HugepageSize};
pub use faults::{ConfigurationError, Faults};
pub use locate::{Position, Positions};
pub use names::printable;
pub use overlay::{OverlaySettings, PodNetwork};
pub use pod::{
    FlowMeterSettings, LateAction, LaunchTimeUse, Match, Mode, Pod, PortRange, StreamSelection,
};
pub(crate) use profile::ETHERTYPES_OF_IP;
pub use profile::{Narrowing, Profile};
pub use text::{FileError, TextError};
pub use units::{BaseTime, ClassReference, CycleTimeSetting, GateStatesValue, Interval};
pub use uplink::{GateControlEntry, GateParameters, TrafficClassSettings, Uplink};
pub use vhost_user::VhostUser;

/// A node's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Configuration {
    /// The device that frames leave by. One for each daemon: run another daemon, with its own sockets and pins, for
    /// another device.
    pub uplinks: Vec<Uplink>,
    /// Pods that are attached from the start; others come and go through the control API.
    #[serde(default)]
    pub pods: Vec<Pod>,
    /// What pods may have that the CNI plugin attaches.
    #[serde(default)]
    pub profiles: Vec<Profile>,
    /// The thread that schedules.
    #[serde(default)]
    pub worker: WorkerSettings,
    /// The clock.
    #[serde(default)]
    pub clock: ClockSettings,
    /// What the DPDK backend takes of the machine.
    #[serde(default)]
    pub dpdk: DpdkSettings,
    /// What pods of the overlay mode need to know of the cluster.
    #[serde(default)]
    pub overlay: OverlaySettings,
}

/// How the worker waits for its next moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PollMode {
    /// Spins all the time; for an isolated core.
    Busy,
    /// Sleeps until shortly before something can happen, then spins.
    Adaptive,
}

/// The thread that schedules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct WorkerSettings {
    /// `adaptive` (default) or `busy`. An adaptive worker sleeps until a frame arrives; where a port cannot wake it
    /// (a vhost-user socket, a poll-mode device), it looks every 100 µs.
    pub poll_mode: PollMode,
    /// Adaptive mode: how long before a moment the worker stops to sleep (default 250 µs; a wake-up from sleep takes
    /// 50 to 90 µs on a common kernel).
    pub spin_before: Interval,
    /// `SCHED_FIFO` priority of the worker, 1 to 99; none by default.
    pub realtime_priority: Option<u8>,
    /// A worker that did not come back to its clock for longer than this was stalled; what it touched is counted apart.
    /// Frames also end this much before their gate closes, so that an unstalled frame never crosses it (default 10 µs).
    pub stall_threshold: Interval,
    /// Without a sign of life from the worker for so long, the kernel programs use the kernel path (default 10 ms).
    pub heartbeat_timeout: Interval,
    /// Frame buffers shared by all ports (default 16384). Each pod keeps 512 of them ready to receive into.
    pub frame_buffers: u32,
    /// Bytes of a frame buffer: 2048 (default) for an MTU of up to 1770, 4096 beyond it.
    pub frame_buffer_bytes: u32,
    /// AF_XDP: whether the uplink's device is to read frames from the buffers itself, where its driver can (default
    /// `false`). It saves a copy and takes up to 512 buffers more, and a frame leaves in an interrupt of the device instead
    /// of in the worker's wake-up: with some devices 0.1 ms later, and after its gate has closed. DPDK has no use for it.
    pub zero_copy: bool,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            poll_mode: PollMode::Adaptive,
            spin_before: Interval::from_us(250),
            realtime_priority: None,
            stall_threshold: Interval::from_us(10),
            heartbeat_timeout: Interval::from_us(10_000),
            frame_buffers: 16_384,
            frame_buffer_bytes: 2_048,
            zero_copy: false,
        }
    }
}

/// What happens to the gates when the clock loses its synchronisation for longer than `holdover`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnSyncLoss {
    /// The schedule runs on, on the free-running clock.
    Hold,
    /// All gates open.
    Open,
    /// Frames of the classes marked `critical` are dropped; the schedule runs on for the others.
    DropCritical,
}

/// The clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ClockSettings {
    /// `hold` (default), `open` or `drop-critical`.
    pub on_sync_loss: OnSyncLoss,
    /// The kernel's bound on the clock's error up to which the clock follows a source, 1 ms to 16 s (default 2 ms). The
    /// kernel adds 500 µs to it in every second in which no source has set it back.
    pub max_error: Interval,
    /// How long a clock that was synchronised counts as good without its source (default 10 s).
    pub holdover: Interval,
}

impl Default for ClockSettings {
    fn default() -> Self {
        Self {
            on_sync_loss: OnSyncLoss::Hold,
            max_error: Interval::from_us(2_000),
            holdover: Interval::from_us(10_000_000),
        }
    }
}

impl ClockSettings {
    fn find_faults(&self, faults: &mut Faults) {
        // Below, a source that sets the clock once a second would be lost and found all the time; from 16 s on the kernel
        // calls the clock unsynchronised itself.
        if !(1_000_000..=16_000_000_000).contains(&self.max_error.ns) {
            let reason = format!("{} ns is outside 1ms to 16s", self.max_error.ns);
            faults.add("clock.max-error", reason);
        }
    }
}

impl Configuration {
    /// Checks everything that can be checked without looking at the machine.
    ///
    /// # Errors
    ///
    /// The first value that cannot be used.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        Faults::none_in(|faults| self.find_faults(faults))
    }

    /// All the values that cannot be used, but for those that may only follow from another one.
    pub fn faults(&self) -> Vec<ConfigurationError> {
        let mut faults = Faults::default();
        self.find_faults(&mut faults);
        faults.into_vec()
    }

    fn find_faults(&self, faults: &mut Faults) {
        self.worker.find_faults(faults);
        self.clock.find_faults(faults);
        self.dpdk.find_faults(faults);
        self.overlay.find_faults(faults);
        let [uplink] = self.uplinks.as_slice() else {
            faults.add(
                "uplinks",
                format!(
                    "there are {}; a daemon serves one: run one tsnd for each device, each with its own \
                     --control, --pin-dir and --state-dir",
                    self.uplinks.len()
                ),
            );
            return;
        };
        let place = "uplinks[0]";
        compile::check_link(place, uplink, faults);
        let before = faults.count();
        let classes = compile::compile_classes(place, uplink, faults);
        if faults.count() > before {
            return; // what refers to these classes cannot be judged
        }
        let gates = format!("{place}.gate-parameters");
        compile::gates_in(&gates, &uplink.gate_parameters, &classes.names, faults);
        for (index, pod) in self.pods.iter().enumerate() {
            let place = format!("pods[{index}]");
            let earlier = self.pods[..index].iter().map(|pod| &pod.name);
            check_unique(&place, &pod.name, "pod", earlier, faults);
            compile::pod_in(&place, pod, &classes.names, faults);
        }
        for (index, profile) in self.profiles.iter().enumerate() {
            let place = format!("profiles[{index}]");
            let earlier = self.profiles[..index].iter().map(|profile| &profile.name);
            check_unique(&place, &profile.name, "profile", earlier, faults);
            compile::profile_in(&place, profile, &classes.names, faults);
        }
    }

    /// All streams, with what they belong to: the pods' in their order, then the profiles'.
    pub fn stream_lists(&self) -> impl Iterator<Item = StreamList<'_>> {
        let pods = self.pods.iter().enumerate().map(|(index, pod)| StreamList {
            place: format!("pods[{index}]"),
            owner: &pod.name,
            streams: &pod.streams,
        });
        let profiles = self.profiles.iter().enumerate();
        pods.chain(profiles.map(|(index, profile)| StreamList {
            place: format!("profiles[{index}]"),
            owner: &profile.name,
            streams: &profile.streams,
        }))
    }
}

/// The streams of a pod or a profile.
#[derive(Debug, Clone)]
pub struct StreamList<'a> {
    /// Path of the pod or profile.
    pub place: String,
    /// Its name.
    pub owner: &'a str,
    /// Its streams.
    pub streams: &'a [StreamSelection],
}

fn check_unique<'a>(
    place: &str,
    name: &str,
    what: &str,
    mut earlier: impl Iterator<Item = &'a String>,
    faults: &mut Faults,
) {
    if earlier.any(|other| other == name) {
        faults.add(
            format!("{place}.name"),
            format!(
                "`{}` is taken by an earlier {what}; names are unique on a node",
                printable(name)
            ),
        );
    }
}

impl WorkerSettings {
    fn find_faults(&self, faults: &mut Faults) {
        let mut wrong = |field: &str, reason: String| faults.add(format!("worker.{field}"), reason);
        if let Some(priority) = self.realtime_priority
            && !(1..=99).contains(&priority)
        {
            wrong(
                "realtime-priority",
                format!("{priority} is no SCHED_FIFO priority; 1 to 99, or leave it out"),
            );
        }
        if !(1_000_000..=10_000_000_000).contains(&self.heartbeat_timeout.ns) {
            wrong(
                "heartbeat-timeout",
                format!("{} ns is outside 1ms to 10s", self.heartbeat_timeout.ns),
            );
        }
        if !(1_000..=1_000_000).contains(&self.stall_threshold.ns) {
            wrong(
                "stall-threshold",
                format!("{} ns is outside 1us to 1ms", self.stall_threshold.ns),
            );
        }
        if ![2_048, 4_096].contains(&self.frame_buffer_bytes) {
            wrong(
                "frame-buffer-bytes",
                format!("{} is neither 2048 nor 4096", self.frame_buffer_bytes),
            );
        }
        if !(2_048..=1_048_576).contains(&self.frame_buffers) {
            wrong(
                "frame-buffers",
                format!("{} is outside 2048 to 1048576", self.frame_buffers),
            );
        }
    }
}
