//! A node with two pods whose uplink is a card, and the far end of its wire.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tsn_tests::{
    capture::Capture,
    clients::binary,
    daemon::{Daemon, Home},
    namespace::Namespace,
    topology::{BRIDGE, POD_INTERFACE, UPLINK},
    wait::wait_until,
};

use crate::{
    card::{Card, ip},
    function,
};

/// Address of the node, on the bridge that the card is a port of.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 71, 0, 10);
/// Address of the far end.
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 71, 0, 20);

/// UDP port of the streams with launch times, in class 7.
pub const TIMED: u16 = 5007;
/// UDP port of best effort, in class 0.
pub const BEST_EFFORT: u16 = 5000;

/// For how long the gate of each class is open, one after the other, from each full millisecond on: class 7's first.
pub const WINDOW_NS: u64 = 500_000;

/// A card's link comes up some seconds after it was reset.
const LINK_BOUND: Duration = Duration::from_secs(20);

/// The namespaces, and the home of the node's daemon.
pub struct Bed {
    /// Has the card under test, as `uplink0`, and the pods.
    pub node: Namespace,
    /// Has the other card, as `uplink0`.
    pub far: Namespace,
    /// `pod1` and `pod2`.
    pub pods: [Namespace; 2],
    home: Home,
    /// Whether the card under test says how fast it is.
    tells_speed: bool,
}

impl Bed {
    /// Builds it, and waits until both cards have their link.
    pub fn new(near: &Card, far: &Card) -> Result<Self> {
        let [node_space, far_space, pod1, pod2] =
            ["node", "far", "near-pod1", "near-pod2"].map(Namespace::new);
        let bed = Self {
            node: node_space?,
            far: far_space?,
            pods: [pod1?, pod2?],
            home: Home::new()?,
            tells_speed: ["igb", "e1000e"].contains(&near.driver()),
        };
        for namespace in [&bed.node, &bed.far, &bed.pods[0], &bed.pods[1]] {
            // What is not sent by a test would be in the way of its sums.
            for scope in ["all", "default"] {
                namespace.set_sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "1")?;
            }
        }
        for (card, namespace) in [(near, &bed.node), (far, &bed.far)] {
            ip(&["link", "set", card.name(), "down"])?;
            ip(&[
                "link",
                "set",
                card.name(),
                "netns",
                namespace.name(),
                "name",
                UPLINK,
            ])?;
        }
        bed.far.batch(
            "ip",
            &format!("addr add {FAR}/24 dev {UPLINK}\nlink set {UPLINK} up\n"),
        )?;
        // A virtual function receives what is for its own address, so the node has that.
        let address = bed.link(&bed.node)?["address"]
            .as_str()
            .context("an address")?
            .to_owned();
        bed.node.batch(
            "ip",
            &format!(
                "link add {BRIDGE} address {address} type bridge stp_state 0 mcast_snooping 0\n\
                 link set {UPLINK} master {BRIDGE} up\nlink set {BRIDGE} up\naddr add {NODE}/24 dev {BRIDGE}\n"
            ),
        )?;
        for number in 1..=2 {
            bed.connect(number)?;
            if near.driver() == function::DRIVER {
                function::hear(&bed.node, &bed.pods[number - 1])?;
            }
        }
        bed.wait_for_links()?;
        // The moment of arrival is not to be that of a moderated interrupt.
        let mut ethtool = bed.far.command("ethtool");
        let status = ethtool.args(["-C", UPLINK, "rx-usecs", "0"]).status()?;
        ensure!(status.success(), "ethtool -C: {status}");
        Ok(bed)
    }

    fn connect(&self, number: usize) -> Result<()> {
        let pod = &self.pods[number - 1];
        let far_address = self.link(&self.far)?["address"]
            .as_str()
            .context("an address")?
            .to_owned();
        self.node.batch(
            "ip",
            &format!(
                "link add pod{number} type veth peer name {POD_INTERFACE} netns {}\n\
                 link set pod{number} master {BRIDGE} up\n",
                pod.name()
            ),
        )?;
        pod.batch(
            "ip",
            &format!(
                "link set {POD_INTERFACE} up\naddr add 10.71.0.{number}/24 dev {POD_INTERFACE}\n\
                 neigh add {FAR} lladdr {far_address} dev {POD_INTERFACE} nud permanent\n"
            ),
        )
    }

    /// Waits until both cards have their link.
    pub fn wait_for_links(&self) -> Result<()> {
        wait_until("both cards' links", LINK_BOUND, || {
            [&self.node, &self.far].iter().all(|namespace| {
                self.link(namespace)
                    .is_ok_and(|link| link["operstate"] == "UP")
            })
        })
    }

    /// What `ip` tells of a namespace's uplink.
    pub fn link(&self, namespace: &Namespace) -> Result<Value> {
        let mut command = namespace.command("ip");
        command.args(["-j", "-s", "-d", "link", "show", "dev", UPLINK]);
        let output = command.output()?;
        let said: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(said[0].clone())
    }

    /// Frames that the card's driver counts as sent.
    pub fn card_sent(&self) -> Result<u64> {
        self.link(&self.node)?["stats64"]["tx"]["packets"]
            .as_u64()
            .context("a count of frames sent")
    }

    /// How often the driver of a virtio device has told it that there are frames to send.
    pub fn kicks(&self) -> Result<u64> {
        let output = self.node.command("ethtool").args(["-S", UPLINK]).output()?;
        let counters = String::from_utf8_lossy(&output.stdout).into_owned();
        let kicks = counters.lines().filter_map(|line| {
            let (name, value) = line.trim().split_once(": ")?;
            (name.starts_with("tx") && name.ends_with("kicks"))
                .then(|| value.parse::<u64>().ok())?
        });
        Ok(kicks.sum())
    }

    /// Starts the node's daemon, and waits until the card has its link again: some drivers reset it for XDP.
    pub fn start(&self, zero_copy: bool) -> Result<Daemon> {
        let pods: Vec<String> = (1..=2)
            .map(|number| {
                format!(
                    r#"  - {{ "name": "pod{number}", "netns": "{}", "streams": [
      {{ "name": "timed", "match": {{ "udp-destination-port": {TIMED} }}, "traffic-class": 7, "late": "send" }},
      {{ "name": "rest", "match": {{ "udp-destination-port": {BEST_EFFORT} }}, "traffic-class": 0 }} ] }}
"#,
                    self.pods[number - 1].path().display()
                )
            })
            .collect();
        let link_speed = if self.tells_speed {
            ""
        } else {
            "    link-speed: 1000\n"
        };
        let configuration = format!(
            "worker: {{ heartbeat-timeout: 10s, realtime-priority: 40, zero-copy: {zero_copy} }}
uplinks:
  - device: {UPLINK}
{link_speed}    traffic-classes:
      - {{ number: 7, name: control, critical: true }}
      - {{ number: 0, name: best-effort }}
    gate-parameters:
      admin-control-list:
        - {{ gate-states-value: [7], time-interval-value: {WINDOW_NS}ns }}
        - {{ gate-states-value: [0], time-interval-value: {WINDOW_NS}ns }}
pods:
{}",
            pods.concat()
        );
        let options = ["--backend", "afxdp", "--cpu", "0"];
        let daemon = Daemon::start(&self.node, &self.home, &configuration, &options)?;
        self.wait_for_links()?;
        Ok(daemon)
    }

    /// What `tsnctl doctor` says of where the card's program runs.
    pub fn doctor_on_xdp(&self) -> Result<String> {
        let mut doctor = self.node.command(binary("tsnctl")?);
        doctor.args(["doctor", "--output", "json", "--control"]);
        doctor.arg(self.home.control().socket());
        doctor.arg("--pin-dir").arg(self.home.pin_directory());
        let output = doctor.output()?;
        let said: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let findings = said["findings"].as_array().context("findings")?;
        let found = findings
            .iter()
            .find(|finding| finding["code"] == "xdp-generic");
        let found = found.and_then(|finding| finding["what"].as_str());
        Ok(found
            .with_context(|| format!("nothing of XDP: {said:#}"))?
            .to_owned())
    }

    /// Sees everything that comes out of the wire.
    pub fn capture(&self) -> Result<Capture> {
        Capture::start(&self.far, UPLINK)
    }
}
