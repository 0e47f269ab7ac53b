//! What the node does by itself: the clock, the link, pods that are gone, and the end.

use std::time::Duration;

use tsn_port::Backend;

use super::Node;
use crate::clock::{ClockStatus, SyncState};
use crate::config::OnSyncLoss;
use crate::device::{LinkEvent, link_speed_mbps};
use crate::worker::command::{ClockAction, Command};

impl<B: Backend> Node<B> {
    /// To be called about once a second.
    pub async fn housekeeping(&mut self) {
        self.worker.retired.try_iter().for_each(drop);
        self.follow_clock();
        self.reconcile_pods().await;
    }

    fn follow_clock(&mut self) {
        let before = self.clock_status;
        let now = self.clock.sample();
        self.clock_status = now;
        if before.state != now.state {
            tracing::warn!(before = ?before.state, now = ?now.state, "clock");
        }
        let action = |clock| clock_action(clock, self.on_sync_loss, self.critical_classes);
        if action(before) != action(now) {
            self.worker.tell(Command::SetClockAction(action(now)));
        }
    }

    /// A device of this namespace changed.
    pub async fn link_changed(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Present { device, carrier } if device == self.uplink.device => {
                self.worker.tell(Command::SetCarrier(carrier));
                tracing::info!(device, carrier, "uplink");
                if let (None, Ok(mbps)) = (self.uplink.link_speed, link_speed_mbps(&device))
                    && mbps != self.link_speed_mbps
                    && let Some(speed) = tsn_core::LinkSpeed::from_mbps(mbps)
                {
                    tracing::info!(
                        device,
                        before = self.link_speed_mbps,
                        now = mbps,
                        "link speed in Mb/s"
                    );
                    self.link_speed_mbps = mbps;
                    self.worker.tell(Command::SetLinkSpeed(speed));
                }
            }
            LinkEvent::Present { .. } => {}
            LinkEvent::Gone { .. } => self.reconcile_pods().await,
        }
    }

    /// Ends: new frames take the kernel path, what is queued leaves in its time. What is pinned stays for the next
    /// start, unless `detach`. How many frames had to be dropped because their time was beyond `limit`.
    pub async fn stop(&mut self, limit: Duration, detach: bool) -> u64 {
        if let Err(error) = self.backend.divert() {
            tracing::error!(%error, "cannot divert to the kernel path");
        }
        if detach {
            for name in self.pods.keys() {
                if let Err(error) = self.backend.detach_pod(name) {
                    tracing::warn!(pod = name, %error, "not detached");
                }
            }
        }
        match self.worker.drain(limit).await {
            Ok(dropped) => dropped,
            Err(error) => {
                tracing::error!(%error, "not drained");
                0
            }
        }
    }
}

/// What a state of the clock does to the frames.
pub(super) fn clock_action(
    clock: ClockStatus,
    on_sync_loss: OnSyncLoss,
    critical_classes: u8,
) -> ClockAction {
    let lost = clock.state == SyncState::Lost;
    ClockAction {
        open_gates: lost && on_sync_loss == OnSyncLoss::Open,
        dropped_classes: if lost && on_sync_loss == OnSyncLoss::DropCritical {
            critical_classes
        } else {
            0
        },
        tai_minus_utc_ns: clock.assumed_tai_utc_offset_ns(),
    }
}
