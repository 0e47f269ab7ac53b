//! The kernel's interfaces of a PCI device, and what they are used for.

use super::super::Machine;

/// An IPv4 address of nothing in particular, as /proc/net/route writes it.
const NO_IPV4: &str = "00000000";
/// Address and prefix length of the default route in /proc/net/ipv6_route.
const DEFAULT_IPV6: (&str, &str) = ("00000000000000000000000000000000", "00");
/// The scope of a link-local address in /proc/net/if_inet6. Every interface that is up has one.
const LINK_LOCAL: &str = "20";

/// The names of its interfaces. A virtio device has them one directory deeper.
pub fn of_pci_device(machine: &Machine, address: &str) -> Vec<String> {
    let device = format!("/sys/bus/pci/devices/{address}");
    let mut names = machine.names(&format!("{device}/net"));
    for inner in machine.names(&device) {
        if inner.starts_with("virtio") {
            names.extend(machine.names(&format!("{device}/{inner}/net")));
        }
    }
    names
}

/// What would be missed if the interface were gone; empty if nothing.
pub fn uses(machine: &Machine, name: &str) -> Vec<String> {
    let master = machine.link_target(&format!("/sys/class/net/{name}/master"));
    // One that has an IPv4 address has a route for its network.
    let ipv4 = rows(machine, "/proc/net/route", |fields| match *fields {
        [interface, destination, _, _, _, _, _, mask, ..] if interface == name => {
            Some((destination, mask) == (NO_IPV4, NO_IPV4))
        }
        _ => None,
    });
    let ipv6 = rows(machine, "/proc/net/ipv6_route", |fields| match *fields {
        [destination, prefix, .., interface] if interface == name => {
            Some((destination, prefix) == DEFAULT_IPV6)
        }
        _ => None,
    });
    let addresses = rows(machine, "/proc/net/if_inet6", |fields| match *fields {
        [_, _, _, scope, _, interface] if interface == name => Some(scope != LINK_LOCAL),
        _ => None,
    });
    let default = ipv4.contains(&true) || ipv6.contains(&true);
    [
        master.map(|master| format!("is a part of {master}")),
        default.then(|| "carries the default route".to_owned()),
        ipv4.contains(&false)
            .then(|| "has an IPv4 address or route".to_owned()),
        addresses
            .contains(&true)
            .then(|| "has an IPv6 address".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is made of the rows of a table of the kernel.
fn rows(machine: &Machine, path: &str, read: impl Fn(&[&str]) -> Option<bool>) -> Vec<bool> {
    let table = machine.text(path).unwrap_or_default();
    let row = |line: &str| read(&line.split_whitespace().collect::<Vec<_>>());
    table.lines().filter_map(row).collect()
}
