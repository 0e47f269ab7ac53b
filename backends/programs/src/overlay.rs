//! The ways of overlay pods' frames, as the kernel programs look them up.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use aya::maps::MapError;
use aya::maps::lpm_trie::Key;
use ipnet::IpNet;
use tsn_common::{MAX_ROUTES, MAX_TUNNELS, RouteEntry, TunnelKey, mapped};
use tsn_port::{Overlay, Route, Tunnel};

use super::maps::map_error;
use super::{ProgramError, Programs};

/// Bits that an IPv4-mapped address has in front of the IPv4 address.
const MAPPED_PREFIX_BITS: u32 = 96;

impl Programs {
    /// As [`tsn_port::Backend::set_overlay`]. What the maps hold may be of an earlier run.
    ///
    /// # Errors
    ///
    /// When there are more routes or tunnels than the maps hold, or the kernel refuses to write a map. Every destination is
    /// left to the kernel then.
    pub fn set_overlay(&mut self, overlay: &Overlay) -> Result<(), ProgramError> {
        self.write_overlay(overlay).or_else(|error| {
            self.forget_routes()?;
            Err(error)
        })
    }

    fn write_overlay(&mut self, overlay: &Overlay) -> Result<(), ProgramError> {
        within("routes", overlay.routes.len(), MAX_ROUTES)?;
        within("tunnels", overlay.tunnels.len(), MAX_TUNNELS)?;
        self.set_tunnels(&overlay.tunnels)
            .map_err(map_error("TUNNELS"))?;
        self.set_routes(&overlay.routes)
            .map_err(map_error("ROUTES"))
    }

    /// Leaves every destination to the kernel.
    pub(super) fn forget_routes(&mut self) -> Result<(), ProgramError> {
        self.set_routes(&[]).map_err(map_error("ROUTES"))
    }

    fn set_tunnels(&mut self, tunnels: &[Tunnel]) -> Result<(), MapError> {
        let map = &mut self.maps.tunnels;
        let wanted = tunnels.iter().map(|tunnel| {
            let key = TunnelKey {
                local: ip_bytes(tunnel.local),
                vni: tunnel.vni,
                port: tunnel.port,
                vlan_id: tunnel.vlan_id.unwrap_or(0),
            };
            (key, tunnel.address.0)
        });
        let change = Change::between(map.iter(), wanted)?;
        // What is to come may need the room of what is to go.
        change.remove.iter().try_for_each(|key| map.remove(key))?;
        for (key, address) in change.write {
            map.insert(key, address, 0)?;
        }
        Ok(())
    }

    fn set_routes(&mut self, routes: &[(IpNet, Route)]) -> Result<(), MapError> {
        let map = &mut self.maps.routes;
        let there = map
            .iter()
            .map(|entry| entry.map(|(key, entry)| ((key.prefix_len(), key.data()), entry)));
        let wanted = routes
            .iter()
            .map(|(destination, route)| (prefix(destination), entry(route)));
        let mut change = Change::between(there, wanted)?;
        // A destination whose longest prefix goes has the next longest by then. What is an exception to a wider prefix
        // comes before that one, and goes after it.
        change
            .write
            .sort_unstable_by_key(|((bits, _), _)| Reverse(*bits));
        change.remove.sort_unstable_by_key(|(bits, _)| *bits);
        for ((bits, address), entry) in change.write {
            map.insert(&Key::new(bits, address), entry, 0)?;
        }
        change
            .remove
            .iter()
            .try_for_each(|&(bits, address)| map.remove(&Key::new(bits, address)))
    }
}

/// What a map needs to hold what it is to hold.
struct Change<K, V> {
    write: Vec<(K, V)>,
    remove: Vec<K>,
}

impl<K: Eq + Hash + Copy, V: PartialEq> Change<K, V> {
    fn between(
        there: impl Iterator<Item = Result<(K, V), MapError>>,
        wanted: impl Iterator<Item = (K, V)>,
    ) -> Result<Self, MapError> {
        let mut there = there.collect::<Result<HashMap<K, V>, _>>()?;
        let write = wanted
            .filter(|(key, value)| there.remove(key).as_ref() != Some(value))
            .collect();
        Ok(Self {
            write,
            remove: there.into_keys().collect(),
        })
    }
}

fn within(what: &'static str, count: usize, limit: u32) -> Result<(), ProgramError> {
    if count > limit as usize {
        return Err(ProgramError::OverlayTooLarge { what, count, limit });
    }
    Ok(())
}

fn prefix(destination: &IpNet) -> (u32, [u8; 16]) {
    let bits = u32::from(destination.prefix_len());
    let bits = match destination {
        IpNet::V4(_) => MAPPED_PREFIX_BITS + bits,
        IpNet::V6(_) => bits,
    };
    (bits, ip_bytes(destination.network()))
}

fn entry(route: &Route) -> RouteEntry {
    match *route {
        Route::Kernel => RouteEntry::default(),
        Route::NextHop { id, mtu_bytes } => RouteEntry {
            next_hop: id.0.get(),
            mtu_bytes,
        },
    }
}

/// An address as the maps have it.
pub fn ip_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => mapped(address.octets()),
        IpAddr::V6(address) => address.octets(),
    }
}
