//! The routing tables, looked up as the kernel does.

use std::collections::HashMap;

use ipnet::IpNet;

use crate::overlay::kernel::{KernelRoute, KernelState, RouteAction, Table};

/// The routes of one table that can be chosen, by destination.
#[derive(Debug)]
pub struct RoutingTable<'a>(HashMap<IpNet, &'a KernelRoute>);

impl<'a> RoutingTable<'a> {
    /// Of routes to the same destination, that with the least metric; of those with the same, the first.
    pub fn of(state: &'a KernelState, table: Table) -> Self {
        let mut best: HashMap<IpNet, &KernelRoute> = HashMap::new();
        for route in state.routes.iter().filter(|route| route.table == table) {
            let known = best.entry(route.destination).or_insert(route);
            if rank(route) < rank(known) {
                *known = route;
            }
        }
        Self(best)
    }

    /// The route that decides for all addresses of a network for which no longer prefix does.
    pub fn longest_match(&self, network: IpNet) -> Option<&'a KernelRoute> {
        longest_match(&self.0, network).copied()
    }

    /// Destinations that lie in one of these networks.
    pub fn inside<'b>(&'b self, networks: &'b [IpNet]) -> impl Iterator<Item = IpNet> + 'b {
        let destinations = self.0.keys().copied();
        destinations.filter(|destination| networks.iter().any(|all| all.contains(destination)))
    }
}

/// A route that does not match all packets makes the others of its destination no certain choice either.
fn rank(route: &KernelRoute) -> (bool, u32) {
    let is_certain = !matches!(route.action, RouteAction::Conditional(_));
    (is_certain, route.metric)
}

/// The value of the longest of these prefixes that covers a network.
pub fn longest_match<T>(map: &HashMap<IpNet, T>, network: IpNet) -> Option<&T> {
    let mut covering = std::iter::successors(Some(network), IpNet::supernet);
    covering.find_map(|prefix| map.get(&prefix))
}
