//! Overlay mode: has worker and backend send by the ways that the kernel has.

use std::time::Instant;

use tsn_port::{Backend, Overlay, Route};

use super::{Node, NodeError};
use crate::config::{Mode, OverlaySettings, Pod};
use crate::control::api::{OverlayStatus, WayStatus};
use crate::overlay::encapsulation::NextHops;
use crate::overlay::follow::{Follower, Found};
use crate::overlay::ids::NextHopIds;
use crate::overlay::next_hop::NextHop;
use crate::overlay::resolve::{Reason, Way};
use crate::sources::with_sources;

/// The ways that the kernel had at the latest look, and what has become of them.
#[derive(Debug)]
pub(super) struct Ways {
    follower: Follower,
    found: Found,
    ids: NextHopIds,
    /// Whether the worker lacks a next hop that has a number, or has one that has none any more.
    is_worker_behind: bool,
    /// Whether the backend has what was found.
    is_in_force: bool,
    /// Why there are no ways, or why they are not in force.
    failure: Option<String>,
}

impl Ways {
    pub(super) fn new(device: &str, settings: OverlaySettings) -> Self {
        Self {
            follower: Follower::new(device, settings),
            found: Found::default(),
            ids: NextHopIds::default(),
            is_worker_behind: false,
            is_in_force: false,
            failure: None,
        }
    }

    pub(super) fn settings(&self) -> &OverlaySettings {
        self.follower.settings()
    }

    /// What the backend is to know.
    fn overlay(&self) -> Overlay {
        let route = |way: &Result<Way, Reason>| match way {
            Ok(way) => match self.ids.get(&way.next_hop) {
                Some(id) => Route::NextHop {
                    id,
                    mtu_bytes: way.mtu_bytes,
                },
                None => Route::Kernel,
            },
            Err(_) => Route::Kernel,
        };
        let resolved = &self.found.resolved;
        let destinations = resolved.destinations.iter();
        Overlay {
            routes: destinations.map(|(to, way)| (*to, route(way))).collect(),
            tunnels: resolved.tunnels.iter().copied().collect(),
        }
    }
}

/// The next hops that frames may be given.
fn next_hops(found: &Found) -> impl Iterator<Item = &NextHop> {
    let ways = found.resolved.destinations.values().flatten();
    ways.map(|way| &way.next_hop)
}

impl<B: Backend> Node<B> {
    /// Destinations of overlay pods and how their frames leave.
    pub fn overlay(&self) -> OverlayStatus {
        let Ways { found, ids, .. } = &self.ways;
        let destinations = found.resolved.destinations.iter();
        OverlayStatus {
            waits_for: self.ways.failure.clone(),
            pod_networks: found.pod_networks.iter().map(ToString::to_string).collect(),
            destinations: destinations
                .map(|(destination, way)| {
                    let numbered = way.as_ref().map_err(ToString::to_string).and_then(|way| {
                        let id = ids.get(&way.next_hop);
                        id.map(|id| (id, way))
                            .ok_or_else(|| Reason::TooManyNextHops.to_string())
                    });
                    WayStatus::new(*destination, numbered)
                })
                .collect(),
            tunnels: found.resolved.tunnels.iter().map(Into::into).collect(),
        }
    }

    /// Looks at the kernel's network state, if there is a pod that it matters to. To be called when it may have changed.
    pub async fn look_at_overlay(&mut self) {
        let mut pods = self.pods.values();
        let is_wanted = pods.any(|entry| entry.pod.mode == Mode::Overlay);
        self.follow_kernel(is_wanted).await;
    }

    /// Makes sure that the frames of a pod that is to be attached have their ways.
    pub(super) async fn prepare_overlay(&mut self, pod: &Pod) -> Result<(), NodeError> {
        if pod.mode != Mode::Overlay {
            return Ok(());
        }
        // What has changed since is told, and then looked at for all pods at once.
        let is_known = self.ways.is_in_force && self.ways.failure.is_none();
        if !is_known || self.ways.follower.is_due() {
            self.follow_kernel(true).await;
        }
        match &self.ways.failure {
            Some(reason) => Err(NodeError::Overlay(reason.clone())),
            None => Ok(()),
        }
    }

    /// The part of housekeeping: what nobody tells of, what has failed, and numbers that are free again.
    pub(super) async fn keep_overlay(&mut self) {
        // Numbers that the backend may still give with frames are not free.
        if self.ways.is_in_force && self.ways.ids.forget_unused(Instant::now()) {
            self.ways.is_worker_behind = true;
        }
        if self.ways.follower.is_due() || !self.ways.is_in_force || self.ways.is_worker_behind {
            self.look_at_overlay().await;
        }
    }

    async fn follow_kernel(&mut self, is_wanted: bool) {
        let found = match is_wanted {
            true => self.ways.follower.look().await,
            false => {
                self.ways.follower.forget();
                Ok(Found::default())
            }
        };
        let mut failure = None;
        let found = found.unwrap_or_else(|error| {
            failure = Some(error.to_string());
            Found::default()
        });
        self.ways.is_in_force &= found.resolved == self.ways.found.resolved;
        self.ways.found = found;
        if let Err(error) = self.put_ways_in_force().await {
            failure.get_or_insert(error.to_string());
            self.leave_all_to_kernel();
        }
        if let Some(reason) = &failure
            && self.ways.failure != failure
        {
            tracing::warn!(reason, "overlay pods' frames keep the kernel's path");
        }
        self.ways.failure = failure;
    }

    /// Takes back what may be in force of ways that are older or not whole.
    fn leave_all_to_kernel(&mut self) {
        self.ways.is_in_force = false;
        if let Err(error) = self.backend.set_overlay(&Overlay::default()) {
            let error = with_sources(&error);
            tracing::error!(error, "overlay pods' frames may take ways that are old");
        }
    }

    /// The worker knows each next hop before a frame can come with its number, and as long as one can.
    async fn put_ways_in_force(&mut self) -> Result<(), NodeError> {
        let ways = &mut self.ways;
        if !ways.is_in_force {
            ways.is_worker_behind |= ways.ids.assign(next_hops(&ways.found));
        }
        if ways.is_worker_behind {
            let numbered = ways.ids.iter().map(|(id, next_hop)| (id, next_hop.clone()));
            self.worker.set_next_hops(NextHops::new(numbered)).await?;
            ways.is_worker_behind = false;
        }
        if !ways.is_in_force {
            let overlay = ways.overlay();
            self.backend
                .set_overlay(&overlay)
                .map_err(|error| NodeError::Backend(with_sources(&error)))?;
            ways.ids
                .release_others(next_hops(&ways.found), Instant::now());
            ways.is_in_force = true;
            let (destinations, tunnels) = (overlay.routes.len(), overlay.tunnels.len());
            tracing::debug!(destinations, tunnels, "ways of overlay pods' frames");
        }
        Ok(())
    }
}
