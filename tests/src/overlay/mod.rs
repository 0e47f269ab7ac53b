//! Two nodes whose pods reach each other as Flannel connects them.
//!
//! ```text
//!  pod namespace   node `near`                         node `far`                   pod namespace
//!  ┌──────┐        ┌─────────────────────────┐       ┌─────────────────────────┐        ┌──────┐
//!  │ eth0 ├────────┤ pod1 ─┐                 │ wire  │                 ┌─ pod1 ├────────┤ eth0 │
//!  └──────┘        │      cni0 ·· flannel.1  │       │  flannel.1 ·· cni0      │        └──────┘
//!  ┌──────┐        │       │         ··      │       │      ··         │       │        ┌──────┐
//!  │ eth0 ├────────┤ pod2 ─┘       uplink0 ──┼───────┼── uplink0       └─ pod2 ├────────┤ eth0 │
//!  └──────┘        └─────────────────────────┘       └─────────────────────────┘        └──────┘
//! ```
//!
//! `··` is routed, by exactly the devices, addresses, routes, neighbours and forwarding entries that flanneld installs
//! (its `backend/vxlan` and `backend/hostgw`) and that its CNI plugin has the bridge plugin make. Node 1 is `near`, node 2
//! `far`; pods of node N are in `10.244.N.0/24` and `fd00:10:244:N::/64`. Neighbours of the underlay are not static: a wire
//! also carries what resolves them. Not every kernel has the VLAN devices of [`Kind::VxlanOverVlan`].

mod frame;
mod node;

use std::{
    net::{IpAddr, Ipv6Addr},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

pub use frame::{Tunnelled, untagged, unwrapped, without_what_may_differ};
pub use node::{BRIDGE, Node, POD_MTU};

use crate::{
    capture::Capture,
    namespace::{Namespace, run_batch},
    topology::UPLINK,
    wait::wait_until,
};

/// All pods of a cluster, as flanneld's `Network` and `IPv6Network`.
pub const POD_NETWORKS: [&str; 2] = ["10.244.0.0/16", "fd00:10:244::/48"];

/// Identifier of the VLAN that some kinds have.
pub const VLAN_ID: u16 = 7;

const VLAN_DEVICE: &str = "uplink0.7";

const LINK_BOUND: Duration = Duration::from_secs(10);

/// Version of the Internet Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];
}

/// How packets get from node to node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Flannel's `vxlan`: `flannel.1` carries IPv4 over IPv4, `flannel-v6.1` IPv6 over IPv6.
    Vxlan,
    /// As `Vxlan`, with tunnels that compute no UDP checksum, as older ones did.
    VxlanZeroChecksum,
    /// The same two devices, each with the other's routes: IPv6 over IPv4 and IPv4 over IPv6.
    VxlanCrossed,
    /// As `Vxlan`, with a router between the nodes.
    VxlanThroughRouter,
    /// As `Vxlan`, with the underlay's addresses on a VLAN of the uplink.
    VxlanOverVlan,
    /// Flannel's `host-gw`: routes without a tunnel.
    HostGateway,
    /// As `HostGateway`, with the underlay's addresses on a VLAN of the uplink.
    HostGatewayOverVlan,
}

impl Kind {
    /// The family of the outer packet that carries such an inner one; `None` where there is no outer packet.
    pub const fn underlay(self, inner: Family) -> Option<Family> {
        match (self, inner) {
            (Self::HostGateway | Self::HostGatewayOverVlan, _) => None,
            (Self::VxlanCrossed, Family::V4) => Some(Family::V6),
            (Self::VxlanCrossed, Family::V6) => Some(Family::V4),
            (_, inner) => Some(inner),
        }
    }

    /// Whether the underlay's addresses are on [`VLAN_ID`].
    pub const fn has_vlan(self) -> bool {
        matches!(self, Self::VxlanOverVlan | Self::HostGatewayOverVlan)
    }

    /// The device with the underlay's addresses.
    const fn underlay_device(self) -> &'static str {
        if self.has_vlan() { VLAN_DEVICE } else { UPLINK }
    }
}

/// Both nodes. By custom the tests send from `near` to `far`.
#[derive(Debug)]
pub struct Network {
    /// The node whose uplink is under test.
    pub near: Node,
    /// The other one.
    pub far: Node,
    router: Option<Namespace>,
}

/// The router's devices.
const ROUTER_ENDS: [&str; 2] = ["near0", "far0"];

impl Network {
    /// Builds everything and waits until frames can pass.
    ///
    /// # Errors
    ///
    /// When the caller is not root, iproute2 or ethtool is missing, or more than 9 pods are asked for.
    pub fn new(kind: Kind, pods_per_node: u8) -> Result<Self> {
        if pods_per_node > 9 {
            bail!("{pods_per_node} pods on a node; 9 is the limit");
        }
        let mut near = Node::new("near", 1, kind)?;
        let mut far = Node::new("far", 2, kind)?;
        let router = match kind {
            Kind::VxlanThroughRouter => Some(router_between(&near, &far)?),
            _ => {
                wire((&near.namespace, UPLINK), (&far.namespace, UPLINK))?;
                None
            }
        };
        for node in [&mut near, &mut far] {
            node.connect(pods_per_node)?;
        }
        near.learn(&far)?;
        far.learn(&near)?;
        let network = Self { near, far, router };
        network.wait_for_links()?;
        Ok(network)
    }

    /// Sees everything that leaves the near node, whole, where it first arrives.
    ///
    /// # Errors
    ///
    /// When the capture cannot be started.
    pub fn capture(&self) -> Result<Capture> {
        match &self.router {
            Some(router) => Capture::start_whole(router, ROUTER_ENDS[0]),
            None => Capture::start_whole(&self.far.namespace, UPLINK),
        }
    }

    /// Removes the near node's tunnels and makes them anew with other Ethernet addresses, which the far node learns, as
    /// flanneld does when its device has changed.
    ///
    /// # Errors
    ///
    /// When iproute2 refuses.
    pub fn remake_near_tunnels(&mut self) -> Result<()> {
        self.near.remake_tunnels()?;
        self.near.learn(&self.far)?;
        self.far.learn(&self.near)
    }

    fn wait_for_links(&self) -> Result<()> {
        for node in [&self.near, &self.far] {
            let what = format!("all bridge ports of node {} to forward", node.name);
            wait_until(&what, LINK_BOUND, || node.has_forwarding_ports())?;
        }
        Ok(())
    }
}

/// A node's address in the underlay.
fn underlay_address(number: u8, family: Family, kind: Kind) -> IpAddr {
    let network = if kind == Kind::VxlanThroughRouter {
        number
    } else {
        0
    };
    underlay_host(network, number, family)
}

/// An address of an underlay network: 198.18.0.0/15 is for tests of devices (RFC 2544).
fn underlay_host(network: u8, host: u8, family: Family) -> IpAddr {
    match family {
        Family::V4 => [198, 18, network, host].into(),
        Family::V6 => Ipv6Addr::new(0xfd18, 0, 0, network.into(), 0, 0, 0, host.into()).into(),
    }
}

/// The router's address in a node's network.
fn router_host(number: u8, family: Family) -> IpAddr {
    underlay_host(number, 254, family)
}

/// Length of the underlay's prefixes, as iproute2 writes it behind an address.
fn underlay_prefix(address: IpAddr) -> String {
    let bits = if address.is_ipv4() { 24 } else { 64 };
    format!("{address}/{bits}")
}

fn wire(one: (&Namespace, &str), other: (&Namespace, &str)) -> Result<()> {
    run_batch(
        Command::new("ip"),
        &format!(
            "link add name {} netns {} type veth peer name {} netns {}\n",
            one.1,
            one.0.name(),
            other.1,
            other.0.name()
        ),
    )?;
    // Checksums are complete and tags in their places on the wire, as behind a real device.
    for (namespace, device) in [one, other] {
        let output = namespace
            .command("ethtool")
            .args(["--offload", device, "tx", "off", "txvlan", "off"])
            .output()
            .context("run ethtool (package ethtool)")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    Ok(())
}

fn router_between(near: &Node, far: &Node) -> Result<Namespace> {
    let router = Namespace::new("router")?;
    node::let_forward(&router)?;
    for ((number, node), end) in [(1, near), (2, far)].into_iter().zip(ROUTER_ENDS) {
        wire((&node.namespace, UPLINK), (&router, end))?;
        let mut lines = format!("link set {end} up\n");
        for family in Family::ALL {
            let address = underlay_prefix(router_host(number, family));
            lines += &format!("addr add {address} dev {end}{}\n", node::no_dad(family));
        }
        router.batch("ip", &lines)?;
    }
    Ok(router)
}
