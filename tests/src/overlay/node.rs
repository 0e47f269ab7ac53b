//! A node as flanneld and its CNI plugins leave it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};

use super::{Family, Kind, VLAN_ID, router_host, underlay_address, underlay_prefix};
use crate::{
    namespace::{Namespace, run_batch},
    topology::{POD_INTERFACE, Pod, UPLINK},
};

/// The bridge of each node.
pub const BRIDGE: &str = "cni0";
/// MTU of pods and bridge: that of the uplink less Flannel's encapsulation.
pub const POD_MTU: u32 = 1_450;
/// Flannel's default VNI and Linux's default port.
const VNI: u8 = 1;
const VXLAN_PORT: u16 = 8472;

/// A node: a namespace with an uplink, a bridge, tunnels and the host's ends of its pods.
#[derive(Debug)]
pub struct Node {
    /// `near` or `far`.
    pub name: String,
    /// The node's network namespace.
    pub namespace: Namespace,
    /// Its pods, `pod1` first.
    pub pods: Vec<Pod>,
    number: u8,
    kind: Kind,
    /// How often its tunnels have been made: part of their Ethernet addresses.
    generation: u8,
}

impl Node {
    pub(super) fn new(name: &str, number: u8, kind: Kind) -> Result<Self> {
        let namespace = Namespace::new(name)?;
        let_forward(&namespace)?;
        // Says at once when its Ethernet address changes.
        namespace.set_sysctl("net/ipv4/conf/default/arp_notify", "1")?;
        namespace.set_sysctl("net/ipv6/conf/default/ndisc_notify", "1")?;
        Ok(Self {
            name: name.to_owned(),
            namespace,
            pods: Vec::new(),
            number,
            kind,
            generation: 0,
        })
    }

    /// The node's address in the underlay.
    pub fn address(&self, family: Family) -> IpAddr {
        underlay_address(self.number, family, self.kind)
    }

    /// The prefix of its pods, such as `10.244.1.0/24`.
    pub fn pod_subnet(&self, family: Family) -> String {
        let bits = if family == Family::V4 { 24 } else { 64 };
        format!("{}/{bits}", self.pod_address(family, 0))
    }

    /// Ethernet address of the bridge, to which its pods send what is to be routed.
    pub fn router_address(&self) -> String {
        format!("02:c0:00:00:00:{:02x}", self.number)
    }

    /// Forgets the neighbours that it has found on the underlay.
    ///
    /// # Errors
    ///
    /// When iproute2 refuses.
    pub fn forget_underlay(&self) -> Result<()> {
        let device = self.kind.underlay_device();
        self.namespace
            .batch("ip", &format!("neigh flush dev {device}\n"))
    }

    /// Gives the uplink another Ethernet address, of which the underlay is told.
    ///
    /// # Errors
    ///
    /// When iproute2 refuses.
    pub fn change_uplink_address(&self, address: &str) -> Result<()> {
        self.namespace
            .batch("ip", &format!("link set {UPLINK} address {address}\n"))
    }

    /// Installs what flanneld does when it hears of another node, in its order.
    ///
    /// # Errors
    ///
    /// When iproute2 refuses.
    pub fn learn(&self, other: &Self) -> Result<()> {
        for inner in Family::ALL {
            let (remote, subnet) = (other.pod_address(inner, 0), other.pod_subnet(inner));
            let Some(underlay) = self.kind.underlay(inner) else {
                let gateway = other.address(inner);
                let route = format!(
                    "route replace {subnet} via {gateway} dev {}\n",
                    self.kind.underlay_device()
                );
                self.namespace.batch("ip", &route)?;
                continue;
            };
            let (device, mac) = (tunnel_name(underlay), other.tunnel_mac(underlay));
            let neighbour =
                format!("neigh replace {remote} lladdr {mac} dev {device} nud permanent\n");
            self.namespace.batch("ip", &neighbour)?;
            let end = other.address(underlay);
            let entry = format!("fdb replace {mac} dev {device} dst {end} self permanent\n");
            self.namespace.batch("bridge", &entry)?;
            let route = format!("route replace {subnet} via {remote} dev {device} onlink\n");
            self.namespace.batch("ip", &route)?;
        }
        Ok(())
    }

    /// Removes the routes to another node's pods.
    ///
    /// # Errors
    ///
    /// When iproute2 refuses.
    pub fn withdraw_routes(&self, other: &Self) -> Result<()> {
        let lines = Family::ALL.map(|inner| format!("route delete {}\n", other.pod_subnet(inner)));
        self.namespace.batch("ip", &lines.concat())
    }

    pub(super) fn remake_tunnels(&mut self) -> Result<()> {
        for underlay in self.tunnels() {
            let device = tunnel_name(underlay);
            self.namespace
                .batch("ip", &format!("link delete {device}\n"))?;
        }
        self.generation += 1;
        self.make_tunnels()
    }

    /// Uplink, tunnels, bridge and pods.
    pub(super) fn connect(&mut self, pods: u8) -> Result<()> {
        let device = self.kind.underlay_device();
        let mut lines = format!("link set {UPLINK} up\n");
        if self.kind.has_vlan() {
            lines += &format!(
                "link add link {UPLINK} name {device} type vlan id {VLAN_ID}\nlink set {device} up\n"
            );
        }
        for family in Family::ALL {
            let address = underlay_prefix(self.address(family));
            lines += &format!("addr add {address} dev {device}{}\n", no_dad(family));
            if self.kind == Kind::VxlanThroughRouter {
                let via = router_host(self.number, family);
                lines += &format!("route add default via {via}\n");
            }
        }
        lines += &format!(
            "link add {BRIDGE} address {} mtu {POD_MTU} type bridge\nlink set {BRIDGE} up\n",
            self.router_address()
        );
        for family in Family::ALL {
            let address = self.in_pod_subnet(family, 1);
            lines += &format!("addr add {address} dev {BRIDGE}{}\n", no_dad(family));
        }
        self.namespace.batch("ip", &lines)?;
        self.make_tunnels()?;
        for pod in 1..=pods {
            let pod = self.new_pod(pod)?;
            self.pods.push(pod);
        }
        Ok(())
    }

    /// As flanneld makes them, each with an address for what the node itself sends.
    fn make_tunnels(&self) -> Result<()> {
        for underlay in self.tunnels() {
            let lower = self.kind.underlay_device();
            let (device, mac, local) = (
                tunnel_name(underlay),
                self.tunnel_mac(underlay),
                self.address(underlay),
            );
            let mtu = 1_500 - if underlay == Family::V4 { 50 } else { 70 };
            let inner = Family::ALL
                .into_iter()
                .find(|inner| self.kind.underlay(*inner) == Some(underlay));
            let inner = inner.context("each tunnel carries something")?;
            let (own, bits) = (
                self.pod_address(inner, 0),
                if inner == Family::V4 { 32 } else { 128 },
            );
            let checksum = match (self.kind, underlay) {
                (Kind::VxlanZeroChecksum, Family::V4) => " noudpcsum",
                (Kind::VxlanZeroChecksum, Family::V6) => " udp6zerocsumtx udp6zerocsumrx",
                _ => "",
            };
            self.namespace.batch(
                "ip",
                &format!(
                    "link add {device} address {mac} mtu {mtu} type vxlan id {VNI} dev {lower} local {local} \
                     dstport {VXLAN_PORT} nolearning{checksum}\n\
                     addr add {own}/{bits} dev {device}{}\n\
                     link set {device} up\n",
                    no_dad(inner)
                ),
            )?;
        }
        Ok(())
    }

    /// The families of the underlay that have a tunnel.
    fn tunnels(&self) -> Vec<Family> {
        Family::ALL
            .into_iter()
            .filter_map(|inner| self.kind.underlay(inner))
            .collect()
    }

    fn tunnel_mac(&self, underlay: Family) -> String {
        let family = if underlay == Family::V4 { 4 } else { 6 };
        format!(
            "02:f1:00:{:02x}:{:02x}:{family:02x}",
            self.generation, self.number
        )
    }

    fn new_pod(&self, number: u8) -> Result<Pod> {
        let pod = Pod {
            namespace: Namespace::new(&format!("{}-pod{number}", self.name))?,
            host_end: format!("pod{number}"),
            ipv4: pod_ipv4(self.number, number + 1),
            ipv6: pod_ipv6(self.number, number + 1),
            mac: format!("02:00:00:00:{:02x}:{number:02x}", self.number),
        };
        let Pod { host_end, mac, .. } = &pod;
        run_batch(
            std::process::Command::new("ip"),
            &format!(
                "link add name {host_end} netns {} mtu {POD_MTU} type veth peer name {POD_INTERFACE} netns {} \
                 mtu {POD_MTU} address {mac}\n",
                self.namespace.name(),
                pod.namespace.name()
            ),
        )?;
        self.namespace
            .batch("ip", &format!("link set {host_end} master {BRIDGE} up\n"))?;
        let mut lines = format!("link set {POD_INTERFACE} up\n");
        for family in Family::ALL {
            let address = self.in_pod_subnet(family, number + 1);
            let router = self.pod_address(family, 1);
            lines += &format!(
                "addr add {address} dev {POD_INTERFACE}{}\nroute add default via {router}\n",
                no_dad(family)
            );
        }
        pod.namespace.batch("ip", &lines)?;
        Ok(pod)
    }

    pub(super) fn has_forwarding_ports(&self) -> bool {
        let output = self
            .namespace
            .command("bridge")
            .args(["link", "show"])
            .output();
        let ports = output.map_or(0, |output| {
            String::from_utf8_lossy(&output.stdout)
                .matches("state forwarding")
                .count()
        });
        ports == self.pods.len()
    }

    fn pod_address(&self, family: Family, host: u8) -> IpAddr {
        match family {
            Family::V4 => pod_ipv4(self.number, host).into(),
            Family::V6 => pod_ipv6(self.number, host).into(),
        }
    }

    /// An address with the length of the subnet, such as `10.244.1.1/24`.
    fn in_pod_subnet(&self, family: Family, host: u8) -> String {
        let bits = if family == Family::V4 { 24 } else { 64 };
        format!("{}/{bits}", self.pod_address(family, host))
    }
}

/// Routes packets, and takes them from wherever they come.
pub(super) fn let_forward(namespace: &Namespace) -> Result<()> {
    for scope in ["all", "default"] {
        namespace.set_sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "0")?;
    }
    namespace.set_sysctl("net/ipv4/ip_forward", "1")?;
    namespace.set_sysctl("net/ipv6/conf/all/forwarding", "1")
}

/// What iproute2 needs to hear so that an address of this family can be used at once.
pub(super) const fn no_dad(family: Family) -> &'static str {
    match family {
        Family::V4 => "",
        Family::V6 => " nodad",
    }
}

const fn tunnel_name(underlay: Family) -> &'static str {
    match underlay {
        Family::V4 => "flannel.1",
        Family::V6 => "flannel-v6.1",
    }
}

const fn pod_ipv4(node: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, node, host)
}

const fn pod_ipv6(node: u8, host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x10, 0x244, node as u16, 0, 0, 0, host as u16)
}
