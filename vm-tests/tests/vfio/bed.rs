//! A node whose uplink is a card that DPDK drives, and at the other end of the wire a card of the kernel.
//!
//! ```text
//!  pod namespace   node `near`                        node `far`
//!  ┌──────┐        ┌──────────────────────┐           ┌─────────────────┐
//!  │ eth0 ├────────┤ pod1    tsnd ─ vfio ─┼── wire ───┤ uplink0 (e1000e)│
//!  └──────┘        └──────────────────────┘           └─────────────────┘
//! ```

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};
use tsn_tests::{
    backend::Backend,
    capture::Capture,
    daemon::{Daemon, Home},
    namespace::Namespace,
    topology::{Network, Pod, UPLINK},
    wait::wait_until,
};

use crate::cards::{Card, interface_with};

/// UDP port of the frames with launch times, in class 7.
pub const TIMED: u16 = 5001;
/// UDP port of the frames without, in class 0.
pub const UNTIMED: u16 = 5009;

/// DPDK's libraries come over the guest's shared files. While a guest waits for its host, its virtual clock may run far.
const START_BOUND: Duration = Duration::from_secs(1200);
const LINK_BOUND: Duration = Duration::from_secs(60);

/// The network and the place of the near node's daemon.
pub struct Bed {
    /// The nodes; the near one has no uplink of the kernel.
    pub network: Network,
    /// Of the near node's daemon.
    pub home: Home,
}

impl Bed {
    /// Takes the guest's `e1000e` for the far end of the wire.
    pub fn new() -> Result<Self> {
        let network = Network::new(1)?;
        network
            .near
            .namespace
            .batch("ip", &format!("link delete {UPLINK}\n"))?;
        let card = interface_with("e1000e")?;
        let far = &network.far.namespace;
        ip(&["link", "set", &card, "down"])?;
        ip(&["link", "set", &card, "netns", far.name(), "name", UPLINK])?;
        far.batch("ip", &format!("link set {UPLINK} up\n"))?;
        // A frame is to be seen when it comes, not when some have. Not before the interface is up, which sets it anew.
        let mut ethtool = far.command("ethtool");
        let status = ethtool.args(["-C", UPLINK, "rx-usecs", "0"]).status()?;
        ensure!(status.success(), "ethtool: {status}");
        wait_for_link(far, UPLINK)?;
        Ok(Self {
            network,
            home: Home::with_backend(Backend::Dpdk)?,
        })
    }

    /// The pod whose frames leave by the card.
    pub fn pod(&self) -> &Pod {
        &self.network.near.pods[0]
    }

    /// Sees what comes out of the wire.
    pub fn wire(&self) -> Result<Capture> {
        Capture::start(&self.network.far.namespace, UPLINK)
    }

    /// Starts the daemon with a card as its uplink, and waits for nothing.
    pub fn spawn(&self, card: &Card) -> Result<Daemon> {
        let pod = self.pod();
        let configuration = format!(
            r#"
worker: {{ heartbeat-timeout: 10s, realtime-priority: 10 }}
dpdk: {{ hugepages: 2MB, memory: 128 }}
uplinks:
  - device: "{}"
    traffic-classes:
      - {{ number: 7, name: control, critical: true }}
      - {{ number: 0, name: best-effort }}
    gate-parameters:
      admin-control-list:
        - {{ gate-states-value: [7], time-interval-value: 300us }}
        - {{ gate-states-value: [], time-interval-value: 200us }}
        - {{ gate-states-value: [0], time-interval-value: 500us }}
pods:
  - name: {}
    netns: {}
    streams:
      - {{ name: timed, match: {{ udp-destination-port: {TIMED} }}, traffic-class: 7, late: send }}
      - {{ name: untimed, match: {{ udp-destination-port: {UNTIMED} }}, traffic-class: 0 }}
"#,
            card.address,
            pod.host_end,
            pod.namespace.path().display(),
        );
        let node = &self.network.near.namespace;
        let last = std::thread::available_parallelism()?.get() - 1;
        let cpu = last.to_string();
        Daemon::spawn(node, &self.home, &configuration, &["--cpu", &cpu])
    }

    /// Starts the daemon with a card as its uplink, and waits until it is ready and the link is up.
    pub fn start(&self, card: &Card) -> Result<Daemon> {
        let mut daemon = self.spawn(card)?;
        daemon.wait_notified("READY=1", START_BOUND)?;
        wait_until("the uplink's link", LINK_BOUND, || {
            let status = daemon.control.get("/v1/status");
            status.is_ok_and(|status| status["uplink"]["up"] == true)
        })?;
        Ok(daemon)
    }

    /// Starts the daemon, which must refuse to run. What it says.
    pub fn refusal(&self, card: &Card) -> Result<String> {
        let mut daemon = self.spawn(card)?;
        let status = daemon.process.wait(START_BOUND)?;
        ensure!(!status.success(), "tsnd has taken {}", card.address);
        Ok(daemon.process.log())
    }
}

/// Waits until an interface has a carrier.
pub fn wait_for_link(namespace: &Namespace, interface: &str) -> Result<()> {
    wait_until(&format!("the link of {interface}"), LINK_BOUND, || {
        let mut command = namespace.command("ip");
        let output = command.args(["link", "show", interface, "up"]).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("LOWER_UP"))
    })
}

/// Runs `ip` in the guest's first namespace, where its cards are.
pub fn ip(arguments: &[&str]) -> Result<()> {
    let status = Command::new("ip").args(arguments).status()?;
    ensure!(status.success(), "ip {}: {status}", arguments.join(" "));
    Ok(())
}
