//! What the end-to-end tests of the daemon share: a network, a daemon's home, configurations, traffic and sums.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod cni;
pub mod counters;
pub mod launch;
pub mod openmetrics;
pub mod overlay;
pub mod overlay_frames;
pub mod packets;
pub mod runs;
pub mod shim;
pub mod stamp;
pub mod traffic;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use tsn_tests::{
    backend::Backend,
    capture::Capture,
    clients::binary,
    daemon::{Daemon, Home},
    topology::{Network, Pod, UPLINK},
    wait::wait_until,
};

use counters::Counters;

/// Bound of every wait.
pub const BOUND: Duration = Duration::from_secs(20);

/// UDP port of the stream `timed` in class 7, which may carry launch times.
pub const CONTROL: u16 = 5001;
/// UDP port of the stream `video` in class 5.
pub const VIDEO: u16 = 5005;
/// UDP port of the stream `rest` in class 0.
pub const BEST_EFFORT: u16 = 5009;
/// EtherType of the stream `raw` in class 7.
pub const RAW_ETHERTYPE: u16 = 0x88b6;

/// 300 µs for class 7, 200 µs for class 5, 500 µs for class 0.
pub const MILLISECOND_LIST: &str = r#"[
  { gate-states-value: [7], time-interval-value: 300us },
  { gate-states-value: [5], time-interval-value: 200us },
  { gate-states-value: [0], time-interval-value: 500us } ]"#;

/// What differs from test to test in a configuration.
pub struct Settings<'a> {
    /// Mb/s.
    pub link_speed: u32,
    /// Frames that a class queues at most.
    pub capacity: u32,
    /// Frames of a pod that may wait.
    pub frame_quota: u32,
    /// The gate control list as YAML.
    pub list: &'a str,
    /// Without a sign of life for so long the kernel takes over.
    pub heartbeat_timeout: &'a str,
    /// From which length on the worker's absence is a stall; frames end that much before their gate closes.
    pub stall_threshold: &'a str,
    /// What happens to late frames of the stream `timed`.
    pub late: &'a str,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            link_speed: 1_000,
            capacity: 1_024,
            frame_quota: 2_048,
            list: MILLISECOND_LIST,
            // A machine that others use may take the core away for long; only the fault tests want the kernel path.
            heartbeat_timeout: "10s",
            stall_threshold: "10us",
            late: "send",
        }
    }
}

/// Two nodes with pods, and the place where the near node's daemon lives.
pub struct Bed {
    /// The nodes.
    pub network: Network,
    /// Of the near node's daemon.
    pub home: Home,
}

impl Bed {
    /// With so many pods on each node.
    pub fn new(pods_per_node: u8) -> Self {
        Self {
            network: Network::new(pods_per_node).unwrap(),
            home: Home::new().unwrap(),
        }
    }

    /// A pod of the near node, by its number from 1 on.
    pub fn near(&self, number: usize) -> &Pod {
        &self.network.near.pods[number - 1]
    }

    /// A pod of the far node, by its number from 1 on.
    pub fn far(&self, number: usize) -> &Pod {
        &self.network.far.pods[number - 1]
    }

    /// A configuration with all pods of the near node.
    pub fn configuration(&self, settings: &Settings<'_>) -> String {
        let pods: Vec<String> = self
            .network
            .near
            .pods
            .iter()
            .map(|pod| format!("  - {}\n", pod_settings(pod, settings)))
            .collect();
        format!(
            "{}pods:\n{}",
            configuration_without_pods(settings),
            pods.concat()
        )
    }

    /// Starts the near node's daemon.
    pub fn start(&self, configuration: &str) -> Daemon {
        self.start_with(configuration, &[])
    }

    /// Starts it with more options.
    pub fn start_with(&self, configuration: &str, options: &[&str]) -> Daemon {
        let options = [&["--cpu", "1"], options].concat();
        Daemon::start(
            &self.network.near.namespace,
            &self.home,
            configuration,
            &options,
        )
        .unwrap()
    }

    /// The near node's daemon as a command, for tests of its start and end; it has the bed's home.
    pub fn daemon_command(&self, configuration: &Path) -> Command {
        let mut command = self.network.near.namespace.command(binary("tsnd").unwrap());
        command.args(["--backend", self.home.backend().name(), "--config"]);
        command.arg(configuration);
        command.arg("--control").arg(self.home.file("control.sock"));
        command.arg("--pin-dir").arg(self.home.pin_directory());
        command.arg("--state-dir").arg(self.home.file("state"));
        command.arg("--cni-dir").arg(self.home.file("cni"));
        command
    }

    /// Sees everything that comes out of the wire.
    pub fn capture(&self) -> Capture {
        Capture::start(&self.network.far.namespace, UPLINK).unwrap()
    }
}

/// A configuration that names no pods.
pub fn configuration_without_pods(settings: &Settings<'_>) -> String {
    let Settings {
        link_speed,
        capacity,
        list,
        heartbeat_timeout,
        stall_threshold,
        ..
    } = settings;
    format!(
        "worker: {{ heartbeat-timeout: {heartbeat_timeout}, stall-threshold: {stall_threshold} }}
uplinks:
  - device: {UPLINK}
    link-speed: {link_speed}
    traffic-classes:
      - {{ number: 7, name: control, critical: true, capacity: {capacity} }}
      - {{ number: 5, name: video, capacity: {capacity} }}
      - {{ number: 0, name: best-effort, capacity: {capacity} }}
    gate-parameters: {{ admin-control-list: {list} }}
{}",
        Backend::of_run().unwrap().settings()
    )
}

/// A pod as an element of `pods` and as a body of `POST /v1/pods`: JSON, which is YAML too.
pub fn pod_settings(pod: &Pod, settings: &Settings<'_>) -> String {
    format!(
        r#"{{ "name": "{}", "netns": "{}", "frame-quota": {}, "streams": [
      {{ "name": "timed", "match": {{ "udp-destination-port": {CONTROL} }}, "traffic-class": 7, "late": "{}" }},
      {{ "name": "video", "match": {{ "udp-destination-port": {VIDEO} }}, "traffic-class": 5 }},
      {{ "name": "raw", "match": {{ "ethertype": {RAW_ETHERTYPE} }}, "traffic-class": 7, "late": "send" }},
      {{ "name": "rest", "match": {{ "udp-destination-port": {BEST_EFFORT} }}, "traffic-class": 0 }} ] }}"#,
        pod.host_end,
        pod.namespace.path().display(),
        settings.frame_quota,
        settings.late
    )
}

/// Waits until nothing of what the pods sent is still on its way: for a tenth of a second the daemon has received
/// nothing, and nothing is queued.
pub fn wait_at_rest(daemon: &Daemon) {
    const QUIET: Duration = Duration::from_millis(100);
    let mut received = None;
    let mut quiet_since = Instant::now();
    wait_until("the traffic to be at rest", BOUND, || {
        let counters = Counters::of(daemon);
        let now = Some(counters.all_received());
        if counters.all_queued() > 0 || received != now {
            received = now;
            quiet_since = Instant::now();
        }
        quiet_since.elapsed() > QUIET
    })
    .unwrap();
}
