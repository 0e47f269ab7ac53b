//! Tells that the kernel's network state has changed.

use std::io;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep_until};

/// What ways depend on. Addresses come and go with routes of the table `local`.
const GROUPS: [MulticastGroup; 6] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

/// What changes within this time is told at once: an agent that joins a node to the network writes a route, a neighbour
/// and a forwarding entry, and the kernel tells each.
const COLLECTED_FOR: Duration = Duration::from_millis(20);

/// The pause after a look lasts so many times as long as the look did: where neighbours come and go all the time, the
/// daemon has time for other things than to read them.
const PAUSE_PER_LOOK: u32 = 10;

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Changes of devices, routes, rules, neighbours and forwarding entries in a network namespace.
#[derive(Debug)]
pub struct KernelChanges {
    told: mpsc::Receiver<()>,
    not_before: Instant,
}

impl KernelChanges {
    /// In the network namespace of the calling thread. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the netlink socket cannot be opened.
    pub fn watch() -> io::Result<Self> {
        Ok(Self {
            told: subscribe()?,
            not_before: Instant::now(),
        })
    }

    /// Waits until something has changed, or some changes may have been missed; after a look until its pause is over,
    /// too. What happens meanwhile is told once. May be dropped and called again.
    pub async fn changed(&mut self) {
        sleep_until(self.not_before).await;
        if self.told.recv().await.is_some() {
            return;
        }
        self.pause(LONGEST_PAUSE);
        match subscribe() {
            Ok(told) => {
                tracing::error!("rtnetlink has stopped telling of changes; subscribed anew");
                self.told = told;
            }
            Err(error) => tracing::error!(%error, "rtnetlink does not tell of changes"),
        }
    }

    /// To be told after each look at what has changed, and how long it took.
    pub fn looked(&mut self, took: Duration) {
        self.pause((took * PAUSE_PER_LOOK).min(LONGEST_PAUSE));
    }

    fn pause(&mut self, pause: Duration) {
        self.not_before = self.not_before.max(Instant::now() + pause);
    }
}

/// Tells that there were changes, until the receiver is dropped.
fn subscribe() -> io::Result<mpsc::Receiver<()>> {
    let (connection, _, mut messages) = new_multicast_connection(&GROUPS)?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(connection);
    tokio::spawn(async move {
        // A message says no more than that there was one, so one that tells of a full buffer is like any other.
        while messages.next().await.is_some() {
            tokio::time::sleep(COLLECTED_FOR).await;
            while messages.next().now_or_never().flatten().is_some() {}
            if let Err(TrySendError::Closed(())) = sender.try_send(()) {
                break;
            }
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> (mpsc::Sender<()>, KernelChanges) {
        let (sender, told) = mpsc::channel(1);
        let not_before = Instant::now();
        (sender, KernelChanges { told, not_before })
    }

    #[test]
    fn looks_take_a_small_part_of_the_time() {
        let (_sender, mut changes) = changes();
        for (took_ms, pause_ms) in [(3, 30), (30, 300), (500, 1_000)] {
            let before = Instant::now();
            changes.looked(Duration::from_millis(took_ms));
            let least = before + Duration::from_millis(pause_ms);
            let most = Instant::now() + Duration::from_millis(pause_ms);
            assert!((least..=most).contains(&changes.not_before), "{took_ms} ms");
        }
    }

    #[tokio::test]
    async fn when_nobody_tells_any_more_it_subscribes_anew() {
        let (sender, mut changes) = changes();
        drop(sender);
        // As a change: some may have been missed.
        changes.changed().await;
        assert!(!changes.told.is_closed());
    }
}
