//! One destination after the other: route, tunnel, remote end, neighbour.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use tsn_port::{MacAddress, Tunnel};

use super::table::RoutingTable;
use super::{Reason, Way};
use crate::overlay::kernel::{
    ForwardingEntry, KernelRoute, KernelState, Link, LinkKind, RouteAction, VxlanDevice,
};
use crate::overlay::next_hop::{LinkAddresses, NextHop, Setting, Vxlan};

/// What VXLAN puts in front of an IP packet over IPv4: IP, UDP, VXLAN and inner Ethernet header.
const IPV4_OVERHEAD_BYTES: u32 = 20 + 8 + 8 + 14;
/// The same over IPv6.
const IPV6_OVERHEAD_BYTES: u32 = 40 + 8 + 8 + 14;
/// The entry of a VXLAN device for all inner destinations without one of their own.
const ALL_OTHERS: MacAddress = MacAddress([0; 6]);

/// Looks destinations up in one state of the kernel.
pub struct Lookup<'a> {
    state: &'a KernelState,
    uplink: &'a str,
    main: &'a RoutingTable<'a>,
    local: &'a RoutingTable<'a>,
    stale_neighbours: BTreeSet<(u32, IpAddr)>,
}

/// How a packet leaves by the uplink, without its tunnel.
struct Exit {
    addresses: LinkAddresses,
    vlan_id: Option<u16>,
    mtu_bytes: u32,
    hop_limit: u8,
}

impl<'a> Lookup<'a> {
    /// In this state, whose routing tables are given too.
    pub fn new(
        state: &'a KernelState,
        uplink: &'a str,
        main: &'a RoutingTable<'a>,
        local: &'a RoutingTable<'a>,
    ) -> Self {
        Self {
            state,
            uplink,
            main,
            local,
            stale_neighbours: BTreeSet::new(),
        }
    }

    /// Stale neighbours on the ways that were found.
    pub fn into_stale_neighbours(self) -> BTreeSet<(u32, IpAddr)> {
        self.stale_neighbours
    }

    /// Whether a host is a neighbour of its own on a device that leads to other nodes.
    pub fn is_on_link(&self, host: IpNet) -> bool {
        let route = self.main.longest_match(host);
        let action = route.map(|route| route.action);
        let Some(RouteAction::Forward {
            device,
            gateway: None,
        }) = action
        else {
            return false;
        };
        let link = self.state.links.get(&device);
        self.state.neighbours.contains_key(&(device, host.addr()))
            && link.is_some_and(|link| match link.kind {
                LinkKind::Vxlan(_) => true,
                _ => self.vlan_id(link).is_ok(),
            })
    }

    /// The tunnel of a VXLAN device, if frames that arrive in it need nothing but to be unpacked.
    pub fn tunnel_end(&self, link: &Link) -> Option<Tunnel> {
        let LinkKind::Vxlan(device) = &link.kind else {
            return None;
        };
        let local = device.local?;
        let of_address = self.state.addresses.get(&local);
        let holder = of_address.and_then(|index| self.state.links.get(index));
        (link.is_up && device.special_setting.is_none()).then_some(Tunnel {
            local,
            port: device.port,
            // An address of another device is reached by the uplink itself, if at all.
            vlan_id: holder.and_then(|link| self.vlan_id(link).ok().flatten()),
            vni: device.vni,
            address: link.address?,
        })
    }

    /// Whether this node is a router for the family of a network, and by nothing but the destination.
    pub fn check_router(&self, network: IpNet) -> Result<(), Reason> {
        let sysctls = &self.state.sysctls;
        let (forwards, sysctl) = match network {
            IpNet::V4(_) => (sysctls.forwards_ipv4, "net.ipv4.ip_forward"),
            IpNet::V6(_) => (sysctls.forwards_ipv6, "net.ipv6.conf.all.forwarding"),
        };
        match forwards {
            true => self.check_rules(network),
            false => Err(Reason::ForwardingOff { sysctl }),
        }
    }

    fn check_rules(&self, network: IpNet) -> Result<(), Reason> {
        let has_rules = match network {
            IpNet::V4(_) => self.state.has_ipv4_rules,
            IpNet::V6(_) => self.state.has_ipv6_rules,
        };
        match has_rules {
            true => Err(Reason::PolicyRules),
            false => Ok(()),
        }
    }

    /// How packets of pods to this destination leave.
    pub fn way_to(&mut self, destination: IpNet) -> Result<Way, Reason> {
        self.check_router(destination)?;
        let route = self.route_to(destination)?;
        let (device, link, gateway) = self.forwarding(route)?;
        if !matches!(link.kind, LinkKind::Vxlan(_)) {
            self.vlan_id(link)?;
        }
        let is_host = destination.prefix_len() == destination.max_prefix_len();
        if gateway.is_none() && !is_host {
            return Err(Reason::OnLink(link.name.clone()));
        }
        let (next_hop, mtu_bytes) = match &link.kind {
            LinkKind::Vxlan(tunnel) => {
                let neighbour = gateway.unwrap_or(destination.addr());
                let (next_hop, inside) = self.tunnel(device, link, tunnel, neighbour)?;
                (next_hop, inside.min(mtu_of(route, link)))
            }
            _ => {
                let exit = self.exit(route, destination.addr())?;
                let next_hop = NextHop {
                    link: exit.addresses,
                    vlan_id: exit.vlan_id,
                    tunnel: None,
                };
                (next_hop, exit.mtu_bytes)
            }
        };
        Ok(Way {
            device: link.name.clone(),
            next_hop,
            mtu_bytes: u16::try_from(mtu_bytes).unwrap_or(u16::MAX),
        })
    }

    /// The route that decides, if the destination alone does.
    fn route_to(&self, destination: IpNet) -> Result<&'a KernelRoute, Reason> {
        self.check_rules(destination)?;
        if self.local.longest_match(destination).is_some() {
            return Err(Reason::Local);
        }
        self.main.longest_match(destination).ok_or(Reason::NoRoute)
    }

    fn forwarding(&self, route: &KernelRoute) -> Result<(u32, &'a Link, Option<IpAddr>), Reason> {
        match route.action {
            RouteAction::Forward { device, gateway } => {
                // A device that came after the devices were read; the next reading has it.
                let link = self.state.links.get(&device).ok_or(Reason::NoRoute)?;
                Ok((device, link, gateway))
            }
            RouteAction::Special(what) => Err(Reason::Special(what)),
            RouteAction::Conditional(what) => Err(Reason::Conditional(what)),
        }
    }

    /// The way of packets with this route, by the uplink itself or a VLAN of it.
    fn exit(&mut self, route: &KernelRoute, destination: IpAddr) -> Result<Exit, Reason> {
        let (device, link, gateway) = self.forwarding(route)?;
        let vlan_id = self.vlan_id(link)?;
        let source = link
            .address
            .ok_or_else(|| Reason::OtherDevice(link.name.clone()))?;
        let neighbour = gateway.unwrap_or(destination);
        let of_device = match destination {
            IpAddr::V4(_) => self.state.sysctls.default_ttl,
            IpAddr::V6(_) => link.ipv6_hop_limit,
        };
        Ok(Exit {
            addresses: LinkAddresses {
                destination: self.neighbour(device, link, neighbour)?,
                source,
            },
            vlan_id,
            mtu_bytes: mtu_of(route, link),
            hop_limit: route.hop_limit.unwrap_or(of_device),
        })
    }

    /// The VLAN that a device is of the uplink; `None` for the uplink itself.
    fn vlan_id(&self, link: &Link) -> Result<Option<u16>, Reason> {
        if link.name == self.uplink {
            return Ok(None);
        }
        if let LinkKind::Vlan {
            lower: Some(lower),
            id,
            is_customer,
        } = link.kind
            && self
                .state
                .links
                .get(&lower)
                .is_some_and(|lower| lower.name == self.uplink)
        {
            return match is_customer {
                true => Ok(Some(id)),
                false => Err(Reason::ServiceVlan(link.name.clone())),
            };
        }
        Err(Reason::OtherDevice(link.name.clone()))
    }

    fn neighbour(
        &mut self,
        device: u32,
        link: &Link,
        address: IpAddr,
    ) -> Result<MacAddress, Reason> {
        let Some(neighbour) = self.state.neighbours.get(&(device, address)) else {
            return Err(Reason::NoNeighbour {
                address,
                device: link.name.clone(),
            });
        };
        if neighbour.is_stale {
            self.stale_neighbours.insert((device, address));
        }
        Ok(neighbour.address)
    }

    /// The way through a VXLAN device, and the longest packet that it has room for.
    fn tunnel(
        &mut self,
        device: u32,
        link: &Link,
        vxlan: &VxlanDevice,
        neighbour: IpAddr,
    ) -> Result<(NextHop, u32), Reason> {
        let name = || link.name.clone();
        if let Some(setting) = vxlan.special_setting {
            return Err(Reason::TunnelSetting {
                device: name(),
                setting,
            });
        }
        let local = vxlan.local.ok_or_else(|| Reason::NoLocalAddress(name()))?;
        let source = link.address.ok_or_else(|| Reason::OtherDevice(name()))?;
        let destination = self.neighbour(device, link, neighbour)?;
        let entry = self.forwarding_entry(device, link, destination)?;
        let no_single = || Reason::NoSingleRemote {
            address: destination,
            device: name(),
        };
        let remote = entry.remote.filter(|remote| {
            !remote.is_multicast()
                && !remote.is_unspecified()
                && remote.is_ipv4() == local.is_ipv4()
        });
        let remote = remote.ok_or_else(no_single)?;
        let exit = self
            .underlay(remote, entry.device)
            .map_err(|reason| Reason::Underlay {
                remote,
                reason: Box::new(reason),
            })?;
        let (overhead_bytes, has_checksum) = match remote {
            IpAddr::V4(_) => (IPV4_OVERHEAD_BYTES, vxlan.has_ipv4_checksum),
            IpAddr::V6(_) => (IPV6_OVERHEAD_BYTES, vxlan.has_ipv6_checksum),
        };
        let local_ports = &self.state.sysctls.local_ports;
        let tunnel = Vxlan {
            local,
            remote,
            hop_limit: vxlan.hop_limit.unwrap_or(Setting::Fixed(exit.hop_limit)),
            ds_field: vxlan.ds_field,
            dont_fragment: vxlan.dont_fragment,
            flow_label: vxlan.flow_label,
            vni: entry.vni.unwrap_or(vxlan.vni),
            destination_port: entry.port.unwrap_or(vxlan.port),
            source_ports: match &vxlan.source_ports {
                Some(ports) => ports.clone(),
                // As in a device's own range, the kernel never chooses the upper end.
                None => *local_ports.start()..=local_ports.end().saturating_sub(1),
            },
            has_checksum,
            inner: LinkAddresses {
                destination,
                source,
            },
        };
        let next_hop = NextHop {
            link: exit.addresses,
            vlan_id: exit.vlan_id,
            tunnel: Some(tunnel),
        };
        Ok((next_hop, exit.mtu_bytes.saturating_sub(overhead_bytes)))
    }

    /// The one entry that the kernel would send by.
    fn forwarding_entry(
        &self,
        device: u32,
        link: &Link,
        address: MacAddress,
    ) -> Result<ForwardingEntry, Reason> {
        let entries = &self.state.forwarding_entries;
        let of_address = entries.get(&(device, address));
        let found = of_address.or_else(|| entries.get(&(device, ALL_OTHERS)));
        match found.map(Vec::as_slice) {
            Some([entry]) if entry.is_learned => Err(Reason::LearnedRemote {
                address,
                device: link.name.clone(),
            }),
            Some([entry]) => Ok(*entry),
            Some([_, ..]) => Err(Reason::NoSingleRemote {
                address,
                device: link.name.clone(),
            }),
            Some([]) | None => Err(Reason::NoForwardingEntry {
                address,
                device: link.name.clone(),
            }),
        }
    }

    /// The way of the tunnel's own packets to the remote end.
    fn underlay(&mut self, remote: IpAddr, bound_to: Option<u32>) -> Result<Exit, Reason> {
        let route = self.route_to(IpNet::from(remote))?;
        let (device, ..) = self.forwarding(route)?;
        if bound_to.is_some_and(|bound_to| bound_to != device) {
            return Err(Reason::Conditional("dev"));
        }
        self.exit(route, remote)
    }
}

/// Longest packet in bytes that a route and its device take.
fn mtu_of(route: &KernelRoute, link: &Link) -> u32 {
    let of_link = match route.destination {
        IpNet::V4(_) => link.mtu_bytes,
        IpNet::V6(_) => link.ipv6_mtu_bytes,
    };
    route.mtu_bytes.unwrap_or(u32::MAX).min(of_link)
}
