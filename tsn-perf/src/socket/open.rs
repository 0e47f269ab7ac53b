//! Opening sockets: UDP and raw packet ones.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use anyhow::Context;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::options;
use crate::units::MacAddress;

/// Room for some 80 thousand small frames while the listener is not running.
const RECEIVE_BUFFER_BYTES: i32 = 64 << 20;

/// A UDP socket for sending, of the family of `destination`, perhaps bound to a device.
///
/// # Errors
///
/// When the kernel refuses the socket or the device, with the way out.
pub fn udp_talker(destination: SocketAddr, device: Option<&str>) -> anyhow::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(destination),
        Type::DGRAM,
        Some(Protocol::UDP),
    )
    .context("cannot open a UDP socket")?;
    if let Some(device) = device {
        socket
            .bind_device(Some(device.as_bytes()))
            .with_context(|| {
                format!("cannot bind to device {device} (ip link shows those there are)")
            })?;
    }
    Ok(socket)
}

/// A UDP socket that receives at `port` from IPv4 and IPv6 alike.
///
/// # Errors
///
/// When the port is taken, or an option is refused.
pub fn udp_listener(port: u16) -> anyhow::Result<Socket> {
    let dual = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).and_then(|socket| {
        socket.set_only_v6(false)?;
        Ok((socket, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))))
    });
    // A kernel without IPv6 has no dual-stack socket.
    let (socket, address) = dual.or_else(|_| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        io::Result::Ok((socket, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))))
    })?;
    options::set_receive_timestamps(socket.as_fd())?;
    options::set_receive_buffer(socket.as_fd(), RECEIVE_BUFFER_BYTES)?;
    socket
        .bind(&address.into())
        .with_context(|| format!("cannot bind to UDP port {port} (ss -lunp shows who has it)"))?;
    Ok(socket)
}

/// A raw packet socket for sending at `interface`. It receives nothing.
///
/// # Errors
///
/// When the interface does not exist, or the process may not open packet sockets.
pub fn raw_talker(interface: &str) -> anyhow::Result<Socket> {
    let socket = packet_socket()?;
    // Protocol 0 attaches no receive hook; the frame's own EtherType counts when it is sent.
    bind_packet(&socket, interface, interface_index(interface)?, 0)?;
    Ok(socket)
}

/// A raw packet socket that sees everything that arrives at `interface`.
///
/// # Errors
///
/// When the interface does not exist, or the process may not open packet sockets.
pub fn capture(interface: &str) -> anyhow::Result<Socket> {
    let index = interface_index(interface)?;
    let socket = packet_socket()?;
    options::set_receive_timestamps(socket.as_fd())?;
    options::set_receive_buffer(socket.as_fd(), RECEIVE_BUFFER_BYTES)?;
    options::set_capture(socket.as_fd(), index)?;
    bind_packet(&socket, interface, index, libc::ETH_P_ALL as u16)?;
    Ok(socket)
}

/// The hardware address of `interface`.
///
/// # Errors
///
/// When there is no such interface or it has no hardware address.
pub fn hardware_address(interface: &str) -> anyhow::Result<MacAddress> {
    getifaddrs()
        .context("cannot list the interfaces")?
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| entry.address?.as_link_addr()?.addr())
        .map(MacAddress)
        .with_context(|| format!("interface {interface} has no hardware address"))
}

fn interface_index(interface: &str) -> anyhow::Result<u32> {
    if_nametoindex(interface).with_context(|| {
        format!(
            "no interface {interface} in this network namespace (ip link shows those there are)"
        )
    })
}

fn packet_socket() -> anyhow::Result<Socket> {
    Socket::new(Domain::PACKET, Type::RAW, None)
        .context("cannot open a packet socket: it needs CAP_NET_RAW; use --udp without it")
}

fn bind_packet(socket: &Socket, interface: &str, index: u32, protocol: u16) -> anyhow::Result<()> {
    // SAFETY: the storage is zeroed, large enough and aligned for any address; it is filled as a whole
    // sockaddr_ll, whose family and length are set accordingly.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            storage
                .cast::<libc::sockaddr_ll>()
                .write(libc::sockaddr_ll {
                    sll_family: libc::AF_PACKET as u16,
                    sll_protocol: protocol.to_be(),
                    sll_ifindex: index as i32,
                    sll_hatype: 0,
                    sll_pkttype: 0,
                    sll_halen: 0,
                    sll_addr: [0; 8],
                });
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })
    }
    .context("cannot form a packet address")?;
    socket
        .bind(&address)
        .with_context(|| format!("cannot bind to interface {interface}"))
}
