//! Why frames for a destination keep the kernel's path.

use std::fmt;
use std::net::IpAddr;

use tsn_port::MacAddress;

/// Why frames for a destination keep the kernel's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The kernel is no router.
    ForwardingOff {
        /// The setting that makes it one.
        sysctl: &'static str,
    },
    /// More than the destination decides.
    PolicyRules,
    /// An address of this node.
    Local,
    /// Nothing but a route of another table could match.
    NoRoute,
    /// The route does something else than to forward to one neighbour.
    Special(&'static str),
    /// More than the destination decides which route it is.
    Conditional(&'static str),
    /// The device is neither the uplink, nor a VLAN of it, nor a VXLAN device.
    OtherDevice(String),
    /// A VLAN whose tag is another than that of a customer VLAN.
    ServiceVlan(String),
    /// Each destination is a neighbour of its own.
    OnLink(String),
    /// The address of a neighbour is not known, or no longer.
    NoNeighbour {
        /// The neighbour.
        address: IpAddr,
        /// The device that it is asked for on.
        device: String,
    },
    /// A VXLAN device whose frames depend on more than is read from it.
    TunnelSetting {
        /// The device.
        device: String,
        /// iproute2's name of the setting.
        setting: &'static str,
    },
    /// A VXLAN device without a source address of its own.
    NoLocalAddress(String),
    /// A VXLAN device knows no remote end for an Ethernet address.
    NoForwardingEntry {
        /// The address.
        address: MacAddress,
        /// The device.
        device: String,
    },
    /// A VXLAN device would send to several remote ends, or to a group.
    NoSingleRemote {
        /// The inner destination.
        address: MacAddress,
        /// The device.
        device: String,
    },
    /// A VXLAN device has learned the remote end.
    LearnedRemote {
        /// The inner destination.
        address: MacAddress,
        /// The device.
        device: String,
    },
    /// The tunnel's packets cannot leave by the fast path.
    Underlay {
        /// The remote end.
        remote: IpAddr,
        /// Why.
        reason: Box<Reason>,
    },
    /// All numbers of next hops are taken.
    TooManyNextHops,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForwardingOff { sysctl } => write!(f, "{sysctl} is 0, so this node is no router"),
            Self::PolicyRules => write!(f, "`ip rule` has more rules than the kernel begins with"),
            Self::Local => write!(f, "an address of this node"),
            Self::NoRoute => write!(f, "no route"),
            Self::Special(what) => write!(f, "the route is `{what}`"),
            Self::Conditional(what) => write!(f, "there is a route with `{what}`"),
            Self::OtherDevice(device) => {
                write!(
                    f,
                    "by {device}, which is neither the uplink, nor a VLAN of it, nor a VXLAN device"
                )
            }
            Self::ServiceVlan(device) => write!(f, "{device} is a VLAN of 802.1ad"),
            Self::OnLink(device) => {
                write!(
                    f,
                    "on {device} each destination is a neighbour of its own; none is known that is not listed"
                )
            }
            Self::NoNeighbour { address, device } => {
                write!(
                    f,
                    "the address of neighbour {address} on {device} is not known; the kernel asks for it with the next frame"
                )
            }
            Self::TunnelSetting { device, setting } => write!(f, "{device} has `{setting}`"),
            Self::NoLocalAddress(device) => write!(f, "{device} has no `local` address"),
            Self::NoForwardingEntry { address, device } => {
                write!(
                    f,
                    "no remote end for {address} in `bridge fdb show dev {device}`"
                )
            }
            Self::NoSingleRemote { address, device } => {
                write!(
                    f,
                    "not one remote end for {address} in `bridge fdb show dev {device}`, but a group"
                )
            }
            Self::LearnedRemote { address, device } => {
                write!(
                    f,
                    "the remote end for {address} in `bridge fdb show dev {device}` is learned and may age"
                )
            }
            Self::Underlay { remote, reason } => write!(f, "to the remote end {remote}: {reason}"),
            Self::TooManyNextHops => write!(f, "there are 65535 next hops already"),
        }
    }
}
