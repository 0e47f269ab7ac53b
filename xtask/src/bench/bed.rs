//! What forwards frames, and the network that it does so in.
//!
//! ```text
//!  pod namespace    node `near`                        node `far`
//!  ┌──────┐         ┌─────────────────────────┐ wire   ┌─────────┐
//!  │ eth0 ├─────────┤ pod1 ── forwards ── uplink0 ├─────┤ uplink0 │ counted, time-stamped
//!  └──────┘         └─────────────────────────┘        └─────────┘
//! ```

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tsn_perf::talk::TalkSummary;
use tsn_tests::{
    backend::Backend,
    capture::Capture,
    clients,
    daemon::{Daemon, Home},
    footprint::Footprint,
    namespace::Namespace,
    process::Process,
    recorded::Recorded,
    topology::{Network, POD_INTERFACE, UPLINK},
};

use super::session::Session;
use crate::demo::plan::WORKER_PRIORITY;

/// The address at the wire's far end.
const FAR_ADDRESS: &str = "02:00:00:00:02:fe";
/// How much longer than planned a talker may take.
const TALKER_BOUND: Duration = Duration::from_secs(20);
/// With nothing more arriving for so long, what has not arrived is lost.
const SILENCE: Duration = Duration::from_millis(50);
/// But no longer than this is waited.
const ARRIVAL_BOUND: Duration = Duration::from_secs(5);

/// What forwards the frames from the pod to the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarder {
    /// The kernel's bridge.
    Bridge,
    /// XDP redirect by a device map, as tsnd's kernel program does for received frames.
    Devmap,
    /// tsnd: AF_XDP, one class, all gates open.
    Tsnd,
    /// The same, spinning all the time.
    TsndBusy,
    /// tsnd with the sign of life that it gives by default.
    TsndBeating,
    /// The same, with a second pod that comes and goes.
    TsndAttaching,
    /// As `Tsnd`, over DPDK: the uplink is a plain interface too.
    TsndDpdk,
}

/// The profile of the pod that comes and goes.
pub const ATTACHED_PROFILE: &str = "attached";

impl Forwarder {
    /// What the tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bridge => "kernel bridge",
            Self::Devmap => "XDP redirect (DEVMAP)",
            Self::Tsnd | Self::TsndBeating | Self::TsndAttaching => "tsnd",
            Self::TsndBusy => "tsnd, poll-mode busy",
            Self::TsndDpdk => "tsnd over DPDK",
        }
    }

    const fn backend(self) -> Backend {
        match self {
            Self::TsndDpdk => Backend::Dpdk,
            _ => Backend::Afxdp,
        }
    }

    /// The daemon's configuration, where one has a part in it.
    fn configuration(self, network: &Network) -> Option<String> {
        let (device, pod, interface, poll_mode) = match self {
            Self::Bridge => return None,
            // The pod's host end is the uplink, and the wire's far end the pod that it receives for.
            Self::Devmap => {
                let source = network.near.pods[0].host_end.as_str();
                (source, &network.far.namespace, UPLINK, "adaptive")
            }
            Self::Tsnd | Self::TsndBeating | Self::TsndAttaching | Self::TsndDpdk => (
                UPLINK,
                &network.near.pods[0].namespace,
                POD_INTERFACE,
                "adaptive",
            ),
            Self::TsndBusy => (
                UPLINK,
                &network.near.pods[0].namespace,
                POD_INTERFACE,
                "busy",
            ),
        };
        // Without a sign of life for so long the kernel's path steps in, which is not to be measured unseen.
        let heartbeat = match self {
            Self::TsndBeating | Self::TsndAttaching => "10ms",
            _ => "10s",
        };
        // A link that is never the limit.
        Some(format!(
            "uplinks:
  - device: {device}
    link-speed: 100000
    traffic-classes: [ {{ number: 0, capacity: 4096 }} ]
pods:
  - name: pod
    netns: {}
    interface: {interface}
    frame-quota: 4096
    streams: [ {{ name: all, match: {{}}, traffic-class: 0, late: send }} ]
worker: {{ poll-mode: {poll_mode}, realtime-priority: {WORKER_PRIORITY}, heartbeat-timeout: {heartbeat} }}
profiles:
  - name: {ATTACHED_PROFILE}
    streams: [ {{ name: all, match: {{}}, traffic-class: 0 }} ]
",
            pod.path().display()
        ))
    }
}

/// A network with one forwarder at work.
pub struct Bed {
    daemon: Option<Daemon>,
    network: Network,
    home: Home,
}

impl Bed {
    /// Builds the network and starts the forwarder.
    ///
    /// # Errors
    ///
    /// When the network cannot be built or the daemon does not start.
    pub fn new(forwarder: Forwarder, session: &Session) -> Result<Self> {
        let network = Network::new(if forwarder == Forwarder::TsndAttaching {
            2
        } else {
            1
        })?;
        // The wire ends at the far uplink: nothing behind it takes part.
        network.far.namespace.batch(
            "ip",
            &format!("link set {UPLINK} nomaster\nlink set {UPLINK} address {FAR_ADDRESS}\n"),
        )?;
        network.near.namespace.batch(
            "bridge",
            &format!("fdb replace {FAR_ADDRESS} dev {UPLINK} master static\n"),
        )?;
        let home = Home::with_backend(forwarder.backend())?;
        let daemon = match forwarder.configuration(&network) {
            None => None,
            Some(configuration) => {
                let cpu = session.worker_cpu.to_string();
                let options = ["--cpu", &cpu];
                let near = &network.near.namespace;
                Some(Daemon::start(near, &home, &configuration, &options)?)
            }
        };
        Ok(Self {
            daemon,
            network,
            home,
        })
    }

    /// The node that forwards.
    pub fn node(&self) -> &Namespace {
        &self.network.near.namespace
    }

    /// The daemon, where one has a part in it.
    pub fn daemon(&self) -> Option<&Daemon> {
        self.daemon.as_ref()
    }

    /// The second pod as a CNI plugin would record it.
    ///
    /// # Errors
    ///
    /// When the bed has but one.
    pub fn second_pod(&self, container_id: &str) -> Result<Recorded> {
        let pod = self.network.near.pods.get(1).context("no second pod")?;
        Recorded::of(&self.home, pod, container_id, ATTACHED_PROFILE)
    }

    /// What the daemon holds.
    ///
    /// # Errors
    ///
    /// When the bed has none, or it has ended.
    pub fn footprint(&self) -> Result<Footprint> {
        Footprint::of(self.daemon.as_ref().context("no daemon")?, &self.home)
    }

    /// Watches the wire's far end.
    ///
    /// # Errors
    ///
    /// When the capture cannot be started.
    pub fn capture(&self) -> Result<Capture> {
        Capture::start(&self.network.far.namespace, UPLINK)
    }

    /// Lets the pod send raw frames to the wire's far end with these options of `tsn-perf talk`, until it ends.
    ///
    /// # Errors
    ///
    /// When the talker fails, or the user wants an end.
    pub fn talk(&self, options: &[&str], session: &Session) -> Result<TalkSummary> {
        let mut command = clients::tsn_perf(&self.network.near.pods[0].namespace)?;
        command
            .args(["talk", "--raw", POD_INTERFACE, "--destination", FAR_ADDRESS])
            .args(["--output", "json"])
            .args(options);
        let mut talker = Process::spawn("talk", command)?;
        let start = Instant::now();
        while talker.exited().is_none() && start.elapsed() < TALKER_BOUND {
            session.pause(Duration::from_millis(2))?;
        }
        let output = talker.finish(Duration::ZERO)?;
        session.pause(Duration::ZERO)?;
        serde_json::from_str(&output).context("read the talker's summary")
    }

    /// How many frames have arrived at the wire's far end so far.
    ///
    /// # Errors
    ///
    /// When the kernel's counters cannot be read.
    pub fn arrived(&self) -> Result<u64> {
        let devices = (self.network.far.namespace)
            .enter(|| fs::read_to_string("/proc/thread-self/net/dev"))?
            .context("read /proc/net/dev")?;
        let line = devices
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(UPLINK)?.strip_prefix(':'));
        // After the name: bytes and packets of reception first.
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .with_context(|| format!("no counter of {UPLINK} in /proc/net/dev"))
    }

    /// Waits until as many frames more than `before` have arrived as were sent, or no more come. How many arrived.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read, or the user wants an end.
    pub fn wait_for_arrivals(&self, before: u64, sent: u64, session: &Session) -> Result<u64> {
        let start = Instant::now();
        let mut last = (self.arrived()? - before, Instant::now());
        while last.0 < sent && last.1.elapsed() < SILENCE && start.elapsed() < ARRIVAL_BOUND {
            session.pause(Duration::from_millis(1))?;
            let now = self.arrived()? - before;
            if now > last.0 {
                last = (now, Instant::now());
            }
        }
        Ok(last.0)
    }
}
