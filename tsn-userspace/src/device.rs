//! What happens to the network devices of this namespace, as rtnetlink tells it.

use std::io;

use futures_util::StreamExt;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::sync::mpsc;

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is new or has changed: its carrier, its speed, or something else.
    Changed,
    /// It is gone.
    Gone,
}

/// Tells of every change of the devices in this network namespace, until the receiver is dropped.
///
/// # Errors
///
/// When the netlink socket cannot be opened.
pub fn watch_links() -> io::Result<mpsc::UnboundedReceiver<LinkEvent>> {
    let (connection, _, mut messages) = new_multicast_connection(&[MulticastGroup::Link])?;
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(connection);
    tokio::spawn(async move {
        while let Some((message, _)) = messages.next().await {
            let event = match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(_)) => LinkEvent::Changed,
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(_)) => LinkEvent::Gone,
                _ => continue,
            };
            if sender.send(event).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}
