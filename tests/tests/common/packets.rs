//! Frames of a pod, byte for byte the same each time they are sent.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use tsn_tests::{
    clients::python,
    overlay::Family,
    topology::{POD_INTERFACE, Pod},
};

use super::{BOUND, CONTROL};

const UDP: u8 = 17;
const FRAGMENT: u8 = 44;

/// A frame, and whether the pod's kernel hands it to the veth with only the pseudo-header's sum in its UDP checksum, as
/// it does with what sockets send.
pub struct PodFrame {
    /// From the destination address on.
    pub bytes: Vec<u8>,
    /// Whether it is so.
    pub checksum_is_partial: bool,
}

/// What a datagram's headers say; what is not given is as a socket would have it.
#[derive(Clone)]
pub struct Datagram {
    /// DS field with the bits of ECN, formerly TOS or traffic class.
    pub ds_field: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// IPv4: "do not fragment".
    pub dont_fragment: bool,
    /// IPv4: identification. IPv6: flow label.
    pub identification: u16,
    /// First fragment of a longer packet.
    pub is_first_fragment: bool,
    /// UDP source port.
    pub source_port: u16,
    /// UDP destination port.
    pub destination_port: u16,
    /// Bytes behind the UDP header.
    pub payload_bytes: usize,
    /// Its UDP checksum.
    pub checksum: Checksum,
}

/// What is in a UDP checksum field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// The sum.
    Whole,
    /// The sum of the pseudo-header alone.
    Partial,
    /// Zero: none.
    None,
}

impl Default for Datagram {
    fn default() -> Self {
        Self {
            ds_field: 0,
            hop_limit: 64,
            dont_fragment: true,
            identification: 0,
            is_first_fragment: false,
            source_port: 40_000,
            destination_port: CONTROL,
            payload_bytes: 50,
            checksum: Checksum::Partial,
        }
    }
}

/// From whom and to whom.
pub struct Ends {
    /// Of the pod's router and of the pod.
    pub link: [[u8; 6]; 2],
    /// Of the sender and of the receiver.
    pub addresses: (IpAddr, IpAddr),
}

impl Datagram {
    /// The frame.
    pub fn frame(&self, ends: &Ends) -> PodFrame {
        let udp_bytes = 8 + self.payload_bytes;
        let mut udp = [
            self.source_port.to_be_bytes(),
            self.destination_port.to_be_bytes(),
            (udp_bytes as u16).to_be_bytes(),
            [0; 2],
        ]
        .concat();
        udp.extend((0..self.payload_bytes).map(|index| (index * 7) as u8));
        let (header, pseudo) = match ends.addresses {
            (IpAddr::V4(from), IpAddr::V4(to)) => (
                self.ipv4_header(from, to, udp_bytes),
                [from.octets(), to.octets()].concat(),
            ),
            (IpAddr::V6(from), IpAddr::V6(to)) => (
                self.ipv6_header(from, to, udp_bytes),
                [from.octets(), to.octets()].concat(),
            ),
            _ => panic!("two families"),
        };
        let of_pseudo = sum(&pseudo, u32::from(UDP) + udp_bytes as u32);
        let checksum = match self.checksum {
            Checksum::None => 0,
            Checksum::Partial => of_pseudo,
            Checksum::Whole => !sum(&udp, u32::from(of_pseudo)),
        };
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());
        let ethertype: [u8; 2] = if ends.addresses.0.is_ipv4() {
            [8, 0]
        } else {
            [0x86, 0xdd]
        };
        PodFrame {
            bytes: [&ends.link.concat()[..], &ethertype, &header, &udp].concat(),
            checksum_is_partial: self.checksum == Checksum::Partial,
        }
    }

    fn ipv4_header(&self, from: Ipv4Addr, to: Ipv4Addr, payload_bytes: usize) -> Vec<u8> {
        let flags: u16 = match (self.dont_fragment, self.is_first_fragment) {
            (_, true) => 0x2000,
            (true, false) => 0x4000,
            (false, false) => 0,
        };
        let mut header = vec![0x45, self.ds_field];
        header.extend((20 + payload_bytes as u16).to_be_bytes());
        header.extend(self.identification.to_be_bytes());
        header.extend(flags.to_be_bytes());
        header.extend([self.hop_limit, UDP, 0, 0]);
        header.extend(from.octets());
        header.extend(to.octets());
        let checksum = !sum(&header, 0);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn ipv6_header(&self, from: Ipv6Addr, to: Ipv6Addr, payload_bytes: usize) -> Vec<u8> {
        let fragment: &[u8] = if self.is_first_fragment {
            &[UDP, 0, 0, 1, 0, 0, 0, 9]
        } else {
            &[]
        };
        let next = if self.is_first_fragment {
            FRAGMENT
        } else {
            UDP
        };
        let first = 6 << 28 | u32::from(self.ds_field) << 20 | u32::from(self.identification);
        let mut header = first.to_be_bytes().to_vec();
        header.extend(((payload_bytes + fragment.len()) as u16).to_be_bytes());
        header.extend([next, self.hop_limit]);
        header.extend(from.octets());
        header.extend(to.octets());
        header.extend(fragment);
        header
    }
}

/// Sends frames, each with its answer to whether its checksum is partial, from the lines of a file.
const SENDER: &str = r#"
import socket, struct, sys, time
SOL_PACKET, PACKET_VNET_HDR = 263, 15
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
s.bind((sys.argv[1], 0))
for line in open(sys.argv[2]):
    partial, start, frame = line.split()
    header = struct.pack("=BBHHHH", int(partial), 0, 0, 0, int(start), 6)
    s.send(header + bytes.fromhex(frame))
    time.sleep(0.001)
"#;

/// Sends frames from a pod, one a millisecond, past none of what sockets' frames pass. `file` is written for that.
pub fn send(pod: &Pod, frames: &[PodFrame], family: Family, file: &Path) {
    let udp_at = if family == Family::V4 { 34 } else { 54 };
    let line = |frame: &PodFrame| {
        let hex: String = frame
            .bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{} {udp_at} {hex}\n", u8::from(frame.checksum_is_partial))
    };
    let lines: String = frames.iter().map(line).collect();
    std::fs::write(file, lines).unwrap();
    let arguments = [POD_INTERFACE.to_owned(), file.display().to_string()];
    let sender = python(&pod.namespace, SENDER, &arguments).unwrap();
    sender.finish(BOUND).unwrap();
}

/// One's complement sum (RFC 1071).
fn sum(bytes: &[u8], start: u32) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from));
    let mut sum = start + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
