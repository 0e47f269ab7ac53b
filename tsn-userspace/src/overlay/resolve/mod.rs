//! From the kernel's network state to the ways of overlay pods' frames: what the kernel would do with a packet that it
//! forwards for a pod, as far as the fast path can do the same.
//!
//! A pure function: [`resolve`].

mod reason;
mod table;
#[cfg(test)]
mod tests;
mod way;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use tsn_port::Tunnel;

use super::kernel::{KernelState, Table};
use super::next_hop::NextHop;
use table::{RoutingTable, longest_match};
use way::Lookup;

pub use reason::Reason;

/// How frames for a destination leave by the fast path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The device that the route leads to, for people.
    pub device: String,
    /// What is put around a packet.
    pub next_hop: NextHop,
    /// Longest IP packet in bytes; the kernel has to deal with longer ones.
    pub mtu_bytes: u16,
}

/// The ways of overlay pods' frames.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// By destination; the longest prefix decides, and what no prefix covers is left to the kernel.
    pub destinations: BTreeMap<IpNet, Result<Way, Reason>>,
    /// Tunnels that end at this node.
    pub tunnels: BTreeSet<Tunnel>,
    /// Neighbours on the way, by device and address, that the kernel would verify before long if it sent to them.
    pub stale_neighbours: BTreeSet<(u32, IpAddr)>,
}

/// What the kernel does with packets of pods to these networks. `uplink` is the name of the device that frames leave by.
pub fn resolve(state: &KernelState, uplink: &str, pod_networks: &[IpNet]) -> Resolved {
    let main = RoutingTable::of(state, Table::Main);
    let local = RoutingTable::of(state, Table::Local);
    let mut lookup = Lookup::new(state, uplink, &main, &local);
    let neighbours = state
        .neighbours
        .keys()
        .map(|(_, address)| IpNet::from(*address));
    let on_link = neighbours.filter(|host| {
        pod_networks.iter().any(|network| network.contains(host)) && lookup.is_on_link(*host)
    });
    let destinations: BTreeSet<IpNet> = pod_networks
        .iter()
        .copied()
        .chain(main.inside(pod_networks))
        .chain(on_link)
        .collect();
    let mut ways: HashMap<IpNet, Result<Way, Reason>> = HashMap::new();
    for destination in destinations {
        ways.insert(destination, lookup.way_to(destination));
    }
    // Of the node's own addresses, those that the ways of others would lead away.
    for own in local.inside(pod_networks) {
        if longest_match(&ways, own).is_some_and(Result::is_ok) {
            ways.insert(own, Err(Reason::Local));
        }
    }
    // What arrives in a tunnel is forwarded as well, to either family's pods.
    let mut networks = pod_networks.iter();
    let is_router = networks.all(|network| lookup.check_router(*network).is_ok());
    let links = state.links.values().filter(|_| is_router);
    Resolved {
        destinations: ways.into_iter().collect(),
        tunnels: links.filter_map(|link| lookup.tunnel_end(link)).collect(),
        stale_neighbours: lookup.into_stale_neighbours(),
    }
}
