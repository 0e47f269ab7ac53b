//! Tells that the kernel's network state has changed.

use std::io;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

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

/// Tells of changes of devices, routes, rules, neighbours and forwarding entries in this network namespace, and when some
/// may have been missed, until the receiver is dropped. What happens while nobody listens is told once.
///
/// # Errors
///
/// When the netlink socket cannot be opened.
pub fn watch_kernel() -> io::Result<mpsc::Receiver<()>> {
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
