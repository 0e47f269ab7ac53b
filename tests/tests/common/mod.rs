//! What the end-to-end tests of the daemon share: a network, a daemon's home, and configurations.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::time::Duration;

use serde_json::Value;
use tsn_tests::capture::Capture;
use tsn_tests::daemon::{Daemon, Home};
use tsn_tests::topology::{Network, UPLINK};
use tsn_tests::wait::wait_until;

/// Bound of every wait.
pub const BOUND: Duration = Duration::from_secs(20);

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

    /// A 1 ms cycle: 300 µs for class 7, 200 µs for class 5, 500 µs for class 0; every pod with a stream in each.
    pub fn configuration(&self) -> String {
        self.configuration_with(
            "        - { gate-states-value: [7], time-interval-value: 300us }
        - { gate-states-value: [5], time-interval-value: 200us }
        - { gate-states-value: [0], time-interval-value: 500us }
",
        )
    }

    /// The same with another gate control list.
    pub fn configuration_with(&self, list: &str) -> String {
        let mut text = format!(
            "uplinks:
  - device: {UPLINK}
    link-speed: 1000
    traffic-classes:
      - {{ number: 7, name: control, critical: true }}
      - {{ number: 5, name: video }}
      - {{ number: 0, name: best-effort }}
    gate-parameters:
      admin-control-list:
{list}pods:
"
        );
        for pod in &self.network.near.pods {
            text += &format!(
                "  - name: {}
    netns: {}
    streams:
      - {{ name: timed, match: {{ udp-destination-port: 5001 }}, traffic-class: control, late: send }}
      - {{ name: video, match: {{ udp-destination-port: 5005 }}, traffic-class: video, late: send }}
      - {{ name: raw, match: {{ ethertype: 0x88b6 }}, traffic-class: control, late: send }}
      - {{ name: rest, match: {{ udp-destination-port: 5009 }}, traffic-class: best-effort }}
",
                pod.host_end,
                pod.namespace.path().display()
            );
        }
        text + "worker: { heartbeat-timeout: 50ms }\n"
    }

    /// Starts the near node's daemon.
    pub fn start(&self, configuration: &str) -> Daemon {
        Daemon::start(
            &self.network.near.namespace,
            &self.home,
            configuration,
            &["--cpu", "1"],
        )
        .unwrap()
    }

    /// Sees everything that comes out of the wire.
    pub fn capture(&self) -> Capture {
        Capture::start(&self.network.far.namespace, UPLINK).unwrap()
    }

    /// Waits until a pod's stream has sent so many frames.
    pub fn wait_sent(&self, daemon: &Daemon, pod: &str, stream: usize, frames: u64) {
        let path = format!("/v1/pods/{pod}");
        wait_until(&format!("{frames} frames of {pod}"), BOUND, || {
            daemon
                .control
                .get(&path)
                .is_ok_and(|pod| number(&pod["streams"][stream]["sent"]) >= frames)
        })
        .unwrap_or_else(|error| panic!("{error}: {}", daemon.control.get("/v1/pods").unwrap()));
    }
}

/// A JSON value as a number.
pub fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}
