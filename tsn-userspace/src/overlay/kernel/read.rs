//! Reads the kernel's network state by rtnetlink dumps.

use std::io;
use std::net::IpAddr;

use futures_util::{Stream, TryStreamExt};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::LinkExtentMask;
use rtnetlink::packet_route::neighbour::{NeighbourFlags, NeighbourState};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::{Handle, IpVersion};

use super::sysctls::has_ipv6;
use super::{KernelState, Sysctls, attributes, links};

/// Why the state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The kernel refused a dump.
    #[error("rtnetlink does not tell the {what}: {cause}")]
    Dump {
        /// What was asked for.
        what: &'static str,
        /// Why.
        cause: rtnetlink::Error,
    },
    /// A file of `/proc/sys`.
    #[error("/proc/sys/{name}: {reason}")]
    Sysctl {
        /// Its path below `/proc/sys`.
        name: &'static str,
        /// Why.
        reason: String,
    },
}

/// Asks the kernel of the network namespace that the rtnetlink connection was made in.
#[derive(Debug, Clone)]
pub struct KernelReader {
    handle: Handle,
}

impl KernelReader {
    /// Over a connection of its own, in the network namespace of the calling thread. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the netlink socket cannot be opened.
    pub fn connect() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// Reads everything. The parts are read one after the other: what changes meanwhile is told by rtnetlink's groups,
    /// and must be read again.
    ///
    /// # Errors
    ///
    /// When a part cannot be read.
    pub async fn read(&self) -> Result<KernelState, ReadError> {
        let mut state = KernelState {
            sysctls: Sysctls::read()?,
            ..KernelState::default()
        };
        let filter = vec![LinkExtentMask::SkipStats];
        let links = self.handle.link().get();
        let links = links.set_filter_mask(AddressFamily::Unspec, filter);
        each("devices", links.execute(), |link| {
            state.links.extend(links::link(&link));
        })
        .await?;
        let addresses = self.handle.address().get();
        each("addresses", addresses.execute(), |address| {
            state.addresses.extend(attributes::address(&address));
        })
        .await?;
        self.read_family(AddressFamily::Inet, IpVersion::V4, &mut state)
            .await?;
        if has_ipv6() {
            self.read_family(AddressFamily::Inet6, IpVersion::V6, &mut state)
                .await?;
        }
        let request = self.handle.neighbours().get();
        let request = request.set_address_family(AddressFamily::Bridge);
        each("forwarding entries", request.execute(), |entry| {
            if let Some((key, entry)) = attributes::forwarding_entry(&entry) {
                state.forwarding_entries.entry(key).or_default().push(entry);
            }
        })
        .await?;
        Ok(state)
    }

    async fn read_family(
        &self,
        family: AddressFamily,
        version: IpVersion,
        state: &mut KernelState,
    ) -> Result<(), ReadError> {
        let mut rules = Vec::new();
        let request = self.handle.rule().get(version);
        each("rules", request.execute(), |rule| rules.push(rule)).await?;
        let has_own_rules = !attributes::are_default_rules(&rules);
        match family {
            AddressFamily::Inet => state.has_ipv4_rules = has_own_rules,
            _ => state.has_ipv6_rules = has_own_rules,
        }
        let request = self.handle.route().get(routes_of(family));
        each("routes", request.execute(), |route| {
            state.routes.extend(attributes::route(&route));
        })
        .await?;
        let request = self.handle.neighbours().get().set_address_family(family);
        each("neighbours", request.execute(), |neighbour| {
            state.neighbours.extend(attributes::neighbour(&neighbour));
        })
        .await
    }

    /// Has the kernel verify a neighbour's address as if it had sent to it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses: it has no such device any more, or no room for another neighbour. One that is gone it
    /// makes anew.
    pub async fn use_neighbour(
        &self,
        device: u32,
        address: IpAddr,
    ) -> Result<(), rtnetlink::Error> {
        let request = self.handle.neighbours().add(device, address);
        let request = request.state(NeighbourState::None);
        request.flags(NeighbourFlags::Use).replace().execute().await
    }
}

/// A dump of all tables.
fn routes_of(family: AddressFamily) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message
}

async fn each<T>(
    what: &'static str,
    dump: impl Stream<Item = Result<T, rtnetlink::Error>>,
    mut take: impl FnMut(T),
) -> Result<(), ReadError> {
    dump.try_for_each(|item| {
        take(item);
        futures_util::future::ready(Ok(()))
    })
    .await
    .map_err(|cause| ReadError::Dump { what, cause })
}
