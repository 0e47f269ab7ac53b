//! Two nodes with pods, joined by a wire.
//!
//! ```text
//!  pod namespace   node `near`                 node `far`        pod namespace
//!  ┌──────┐        ┌──────────────────┐       ┌────────────────┐       ┌──────┐
//!  │ eth0 ├────────┤ pod1 ─┐          │ wire  │         ┌ pod1 ├───────┤ eth0 │
//!  └──────┘        │      br0 ─ uplink0├───────┤uplink0 ─ br0   │       └──────┘
//!  ┌──────┐        │       │          │       │         │      │       ┌──────┐
//!  │ eth0 ├────────┤ pod2 ─┘          │       │         └ pod2 ├───────┤ eth0 │
//!  └──────┘        └──────────────────┘       └────────────────┘       └──────┘
//! ```
//!
//! All pods are in one layer-2 network. Neighbours and forwarding entries are static, so that a wire carries what the
//! tests send and nothing else. What a frame meets first behind the wire is the far node's `uplink0`: a
//! [`Capture`](crate::capture::Capture) there sees all frames in their order.

use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr},
    process::Command,
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{
    namespace::{Namespace, run_batch},
    wait::wait_until,
};

/// The device of each node that the wire ends at.
pub const UPLINK: &str = "uplink0";
/// The bridge of each node.
pub const BRIDGE: &str = "br0";
/// The device in each pod.
pub const POD_INTERFACE: &str = "eth0";

const LINK_BOUND: Duration = Duration::from_secs(10);

/// A pod: a namespace with one device.
#[derive(Debug)]
pub struct Pod {
    /// The pod's network namespace.
    pub namespace: Namespace,
    /// Name of the host's end in the node, such as `pod1`; also the pod's name.
    pub host_end: String,
    /// Address of `eth0`, in a /24.
    pub ipv4: Ipv4Addr,
    /// Address of `eth0`, in a /64.
    pub ipv6: Ipv6Addr,
    /// Hardware address of `eth0`.
    pub mac: String,
}

/// A node: a namespace with an uplink, a bridge and the host's ends of its pods.
#[derive(Debug)]
pub struct Node {
    /// `near` or `far`.
    pub name: String,
    /// The node's network namespace.
    pub namespace: Namespace,
    /// Its pods, `pod1` first.
    pub pods: Vec<Pod>,
}

/// Both nodes. By custom the tests send from `near` to `far`.
#[derive(Debug)]
pub struct Network {
    /// The node whose uplink is under test.
    pub near: Node,
    /// The node where the wire's frames are seen.
    pub far: Node,
}

impl Network {
    /// Builds everything and waits until frames can pass.
    ///
    /// # Errors
    ///
    /// When the caller is not root, iproute2 is missing, or more than 9 pods are asked for.
    pub fn new(pods_per_node: u8) -> Result<Self> {
        if pods_per_node > 9 {
            bail!("{pods_per_node} pods on a node; 9 is the limit");
        }
        let near = Node::new("near", 1, pods_per_node)?;
        let far = Node::new("far", 2, pods_per_node)?;
        run_batch(
            Command::new("ip"),
            &format!(
                "link add name {UPLINK} netns {} type veth peer name {UPLINK} netns {}\n",
                near.namespace.name(),
                far.namespace.name()
            ),
        )?;
        let network = Self { near, far };
        let nodes = [&network.near, &network.far];
        for node in nodes {
            node.namespace
                .batch("ip", &format!("link set {UPLINK} master {BRIDGE} up\n"))?;
        }
        for node in nodes {
            for pod in &node.pods {
                network.connect(node, pod)?;
            }
        }
        network.wait_for_links()?;
        Ok(network)
    }

    /// Removes a pod of `near` under everything that uses it: its namespace and with it both ends of its veth.
    pub fn delete_near_pod(&mut self, index: usize) {
        drop(self.near.pods.remove(index));
    }

    /// Moves a pod from `near` to `far`: its addresses stay, its veth is another.
    ///
    /// # Errors
    ///
    /// When iproute2 refuses.
    pub fn move_near_pod_to_far(&mut self, index: usize) -> Result<()> {
        let mut pod = self.near.pods.remove(index);
        pod.namespace
            .batch("ip", &format!("link delete {POD_INTERFACE}\n"))?;
        let uplink_entry =
            |action| format!("fdb {action} {} dev {UPLINK} master static\n", pod.mac);
        self.far
            .namespace
            .batch("bridge", &uplink_entry("delete"))?;
        self.near
            .namespace
            .batch("bridge", &uplink_entry("replace"))?;
        pod.host_end = format!("moved-{}", pod.host_end);
        self.attach(&self.far, &pod)?;
        self.far.pods.push(pod);
        self.wait_for_links()
    }

    /// All pods, those of `near` first.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.near.pods.iter().chain(&self.far.pods)
    }

    fn connect(&self, node: &Node, pod: &Pod) -> Result<()> {
        self.attach(node, pod)?;
        let other = if node.name == self.near.name {
            &self.far
        } else {
            &self.near
        };
        other.namespace.batch(
            "bridge",
            &format!("fdb replace {} dev {UPLINK} master static\n", pod.mac),
        )
    }

    /// The veth between a node and a pod, with all that is static about it. Forwarding entries are replaced, since a
    /// bridge may have learnt them before.
    fn attach(&self, node: &Node, pod: &Pod) -> Result<()> {
        let Pod {
            host_end,
            mac,
            ipv4,
            ipv6,
            ..
        } = pod;
        run_batch(
            Command::new("ip"),
            &format!(
                "link add name {host_end} netns {} type veth peer name {POD_INTERFACE} netns {} address {mac}\n",
                node.namespace.name(),
                pod.namespace.name()
            ),
        )?;
        node.namespace
            .batch("ip", &format!("link set {host_end} master {BRIDGE} up\n"))?;
        node.namespace.batch(
            "bridge",
            &format!("fdb replace {mac} dev {host_end} master static\n"),
        )?;
        let mut lines = format!(
            "link set {POD_INTERFACE} up\n\
             addr add {ipv4}/24 dev {POD_INTERFACE}\n\
             addr add {ipv6}/64 dev {POD_INTERFACE} nodad\n"
        );
        for neighbour in self.pods().filter(|other| other.mac != *mac) {
            let mac = &neighbour.mac;
            writeln!(
                lines,
                "neigh add {} lladdr {mac} dev {POD_INTERFACE} nud permanent",
                neighbour.ipv4
            )?;
            writeln!(
                lines,
                "neigh add {} lladdr {mac} dev {POD_INTERFACE} nud permanent",
                neighbour.ipv6
            )?;
        }
        pod.namespace.batch("ip", &lines)
    }

    /// A bridge forwards some time after its ports are up.
    fn wait_for_links(&self) -> Result<()> {
        for node in [&self.near, &self.far] {
            let what = format!("all bridge ports of node {} to forward", node.name);
            wait_until(&what, LINK_BOUND, || {
                node.forwarding_ports() == node.pods.len() + 1
            })?;
        }
        Ok(())
    }
}

impl Node {
    fn new(name: &str, number: u8, pods: u8) -> Result<Self> {
        let namespace = Namespace::new(name)?;
        // The bridge only bridges; without addresses it sends nothing of its own.
        namespace.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        namespace.batch(
            "ip",
            &format!(
                "link add {BRIDGE} type bridge stp_state 0 mcast_snooping 0\nlink set {BRIDGE} up\n"
            ),
        )?;
        let pods = (1..=pods)
            .map(|pod| Pod::new(name, number, pod))
            .collect::<Result<_>>()?;
        Ok(Self {
            name: name.to_owned(),
            namespace,
            pods,
        })
    }

    fn forwarding_ports(&self) -> usize {
        let output = self
            .namespace
            .command("bridge")
            .args(["link", "show"])
            .output();
        output.map_or(0, |output| {
            String::from_utf8_lossy(&output.stdout)
                .matches("state forwarding")
                .count()
        })
    }
}

impl Pod {
    fn new(node: &str, node_number: u8, number: u8) -> Result<Self> {
        let host = node_number * 10 + number;
        Ok(Self {
            namespace: Namespace::new(&format!("{node}-pod{number}"))?,
            host_end: format!("pod{number}"),
            ipv4: Ipv4Addr::new(10, 71, 0, host),
            ipv6: Ipv6Addr::new(0xfd71, 0, 0, 0, 0, 0, 0, host.into()),
            mac: format!("02:00:00:00:{node_number:02x}:{number:02x}"),
        })
    }
}
