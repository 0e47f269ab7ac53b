//! Frames of other nodes' pods as they arrive at a node, in a tunnel or not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::lab::PORT;

pub const VNI: u32 = 0x01_0203;
pub const TUNNEL_PORT: u16 = 8472;
pub const TUNNEL_ADDRESS: [u8; 6] = [0x0e, 0, 0, 0, 0, 1];
/// The address of the tunnel's other end, of the frames' sender and of the sender's router: of no interest to us.
const REMOTE_ADDRESS: [u8; 6] = [0x0e, 0, 0, 0, 0, 2];

/// An Ethernet header.
pub fn ethernet(destination: [u8; 6], ethertype: u16) -> Vec<u8> {
    [&destination[..], &REMOTE_ADDRESS, &ethertype.to_be_bytes()].concat()
}

/// The packet in a frame of its own.
pub fn framed(destination: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let ethertype = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    [&ethernet(destination, ethertype)[..], packet].concat()
}

/// A UDP datagram in an IP packet, as long as `payload` makes it.
pub fn packet(source: IpAddr, destination: IpAddr, port: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut datagram = [
        &[0x1e, 0x6d][..],
        &port.to_be_bytes(),
        &length.to_be_bytes(),
    ]
    .concat();
    datagram.extend([0, 0]);
    datagram.extend(payload);
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => ipv4(source, destination, datagram),
        (IpAddr::V6(source), IpAddr::V6(destination)) => ipv6(source, destination, datagram),
        _ => panic!("{source} and {destination} are of two families"),
    }
}

fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, mut datagram: Vec<u8>) -> Vec<u8> {
    let addresses = [source.octets(), destination.octets()].concat();
    complete(&mut datagram, &addresses);
    let mut header = vec![0x45, 0];
    header.extend((20 + datagram.len() as u16).to_be_bytes());
    header.extend([0x12, 0x34, 0x40, 0, 64, 17, 0, 0]);
    header.extend(addresses);
    header.extend(datagram);
    summed(header)
}

fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, mut datagram: Vec<u8>) -> Vec<u8> {
    let addresses = [source.octets(), destination.octets()].concat();
    complete(&mut datagram, &addresses);
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((datagram.len() as u16).to_be_bytes());
    header.extend([17, 64]);
    header.extend(addresses);
    header.extend(datagram);
    header
}

/// An IPv4 packet with its header's checksum made right.
pub fn summed(mut packet: Vec<u8>) -> Vec<u8> {
    packet[10..12].fill(0);
    let checksum = !sum(&packet[..20]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// Writes a UDP checksum.
fn complete(datagram: &mut [u8], addresses: &[u8]) {
    let length = (datagram.len() as u16).to_be_bytes();
    let checksum = !sum(&[addresses, &[0, 17], &length, datagram].concat());
    datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
}

fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        odd => u32::from(odd[0]) << 8,
    });
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum + (sum >> 16)) as u16
}

/// The packet of a tunnel with a frame in it. Its UDP checksum is the datagram's own, which the node does not look at.
pub fn tunnelled(source: IpAddr, local: IpAddr, inner: &[u8]) -> Vec<u8> {
    let vni = (VNI << 8).to_be_bytes();
    packet(
        source,
        local,
        TUNNEL_PORT,
        &[&[8, 0, 0, 0][..], &vni, inner].concat(),
    )
}

/// What the pod gets of a frame: addressed to it by its router, and one hop older.
pub fn forwarded(frame: &[u8], pod: [u8; 6], router: [u8; 6]) -> Vec<u8> {
    let mut packet = frame[14..].to_vec();
    if packet[0] >> 4 == 4 {
        packet[8] -= 1;
        packet = summed(packet);
    } else {
        packet[7] -= 1;
    }
    [&pod[..], &router, &frame[12..14], &packet].concat()
}

/// A datagram that a pod of another node sends to the time-sensitive port.
pub fn datagram(source: IpAddr, destination: IpAddr) -> Vec<u8> {
    packet(source, destination, PORT, b"from another node's pod")
}
