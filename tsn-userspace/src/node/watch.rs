//! What the node does by itself: the clock, the link, pods that come and go, and the end.

use std::time::Duration;

use tsn_core::LinkSpeed;
use tsn_port::{Backend, Link};

use super::{Node, NodeError};
use crate::clock::{ClockStatus, SyncState, tai_now};
use crate::config::OnSyncLoss;
use crate::device::LinkEvent;
use crate::worker::command::{ClockAction, Command};

/// How long frames may still come after they were diverted.
const DIVERT_TIME: Duration = Duration::from_millis(20);

impl<B: Backend> Node<B> {
    /// To be called about once a second.
    ///
    /// # Errors
    ///
    /// As [`look_at_link`](Self::look_at_link).
    pub async fn housekeeping(&mut self) -> Result<(), NodeError> {
        self.worker.free_retired();
        self.end_capture_without_reader();
        self.follow_clock().await;
        // A lost netlink message must not leave the uplink dead.
        self.look_at_link()?;
        self.keep_overlay().await;
        self.reconcile_pods().await;
        if let Some(recorded) = self.reconcile_records().await {
            self.sweep_leftovers(&recorded);
        }
        Ok(())
    }

    async fn follow_clock(&mut self) {
        let before = self.clock_status;
        let now = self.clock.sample();
        self.clock_status = now;
        if before.state != now.state {
            let max_error_us = now.max_error_us;
            tracing::warn!(before = ?before.state, now = ?now.state, max_error_us, "clock");
        }
        let action = |clock| {
            clock_action(
                clock,
                self.clock_settings.on_sync_loss,
                self.critical_classes,
            )
        };
        let (before, now) = (action(before), action(now));
        if before == now {
            return;
        }
        self.tell(Command::SetClockAction(now));
        // Gates that were opened have forgotten a change that was pending.
        let is_pending = self.gates.admin_base_time.instant() > tai_now();
        if before.open_gates && !now.open_gates && is_pending {
            let gates = self.gates.clone();
            if let Err(error) = self.change_gates(gates).await {
                tracing::error!(%error, "the pending gate control list is lost; apply it again");
            }
        }
    }

    fn set_carrier(&mut self, carrier: bool) {
        if self.carrier != carrier {
            self.carrier = carrier;
            tracing::info!(device = self.uplink.device, carrier, "uplink");
            self.tell(Command::SetCarrier(carrier));
        }
    }

    fn tell(&self, command: Command<B::Port>) {
        if let Err(error) = self.worker.tell(command) {
            tracing::error!(%error, "not told");
        }
    }

    /// A device of this namespace changed.
    ///
    /// # Errors
    ///
    /// As [`look_at_link`](Self::look_at_link).
    pub async fn link_changed(&mut self, event: LinkEvent) -> Result<(), NodeError> {
        self.look_at_link()?;
        if event == LinkEvent::Gone {
            self.reconcile_pods().await;
        }
        Ok(())
    }

    /// Asks the backend for the uplink's carrier and speed, and tells the worker what has changed. To be called where
    /// the link may have changed, and now and then for a device that the kernel does not know.
    ///
    /// # Errors
    ///
    /// [`NodeError::UplinkGone`]: nothing can be sent any more, and a frame whose time comes is dropped as for a link
    /// that is down.
    pub fn look_at_link(&mut self) -> Result<(), NodeError> {
        let link = self.backend.uplink_link(&self.uplink.device);
        self.set_carrier(matches!(link, Link::Up { .. }));
        match link {
            Link::Up {
                speed_mbps: Some(mbps),
            } if self.uplink.link_speed.is_none() => self.set_link_speed(mbps),
            Link::Up { .. } | Link::Down => {}
            Link::Gone => return Err(NodeError::UplinkGone(self.uplink.device.clone())),
        }
        Ok(())
    }

    fn set_link_speed(&mut self, mbps: u32) {
        if mbps != self.link_speed_mbps
            && let Some(speed) = LinkSpeed::from_mbps(mbps)
        {
            let (device, before) = (&self.uplink.device, self.link_speed_mbps);
            tracing::info!(device, before, now = mbps, "link speed in Mb/s");
            self.link_speed_mbps = mbps;
            self.tell(Command::SetLinkSpeed(speed));
        }
    }

    /// Ends: new frames take the kernel path, what is queued leaves in its time. What is pinned stays for the next
    /// start, unless `detach`. How many frames had to be dropped because their time was beyond `limit`.
    pub async fn stop(&mut self, limit: Duration, detach: bool) -> u64 {
        if let Err(error) = self.backend.divert() {
            tracing::error!(%error, "cannot divert to the kernel path");
        }
        // A kernel program that had looked just before may still be handing frames over.
        tokio::time::sleep(DIVERT_TIME).await;
        if detach {
            for name in self.pods.keys() {
                if let Err(error) = self.backend.detach_pod(name) {
                    tracing::warn!(pod = name, %error, "not detached");
                }
            }
        }
        let drained = self.worker.drain(limit).await;
        if detach {
            // Last, since a driver may reset its device, and what is queued could not leave meanwhile.
            if let Err(error) = self.backend.close_uplink(&self.uplink.device) {
                tracing::warn!(device = self.uplink.device, %error, "not detached");
            }
        }
        drained.unwrap_or_else(|error| {
            tracing::error!(%error, "not drained");
            0
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lost_clock_does_what_the_setting_says() {
        let action = |state, on_sync_loss| {
            let clock = ClockStatus {
                state,
                tai_utc_offset_s: 37,
                max_error_us: 0,
                estimated_error_us: 0,
                offset_ns: 0,
            };
            let action = clock_action(clock, on_sync_loss, 0x80);
            (action.open_gates, action.dropped_classes)
        };
        for state in [
            SyncState::FreeRun,
            SyncState::Locked,
            SyncState::Holdover,
            SyncState::Lost,
        ] {
            let is_lost = state == SyncState::Lost;
            assert_eq!(action(state, OnSyncLoss::Hold), (false, 0));
            assert_eq!(action(state, OnSyncLoss::Open), (is_lost, 0));
            let dropped = if is_lost { 0x80 } else { 0 };
            assert_eq!(action(state, OnSyncLoss::DropCritical), (false, dropped));
        }
    }
}
