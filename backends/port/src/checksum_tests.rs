use proptest::prelude::*;

use super::*;

/// The sum as RFC 1071 defines it, word by word.
fn naive_sum(bytes: &[u8]) -> u16 {
    let mut total = 0u32;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

#[derive(Debug, Clone)]
struct Packet {
    tags: usize,
    ipv6: bool,
    tcp: bool,
    option_words: usize,
    addresses: [u8; 32],
    payload: Vec<u8>,
    padding: usize,
}

/// A frame built by hand, with 0 in its checksum field.
struct Built {
    frame: Vec<u8>,
    pseudo_header: Vec<u8>,
    transport: usize,
    transport_bytes: usize,
    field: usize,
}

impl Packet {
    fn build(&self) -> Built {
        let mut frame = vec![2; 12];
        for tag in 0..self.tags {
            frame.extend(if tag == 0 && self.tags == 2 {
                [0x88, 0xa8]
            } else {
                [0x81, 0x00]
            });
            frame.extend([0x60, 0x05]);
        }
        let mut transport = if self.tcp {
            vec![0x11; 20]
        } else {
            vec![0x11; 8]
        };
        let field = if self.tcp { 16 } else { 6 };
        transport[field..field + 2].fill(0);
        transport.extend(&self.payload);
        let transport_bytes = transport.len();
        if !self.tcp {
            transport[4..6].copy_from_slice(&(transport_bytes as u16).to_be_bytes());
        }
        let protocol = if self.tcp { 6 } else { 17 };
        let mut pseudo_header = Vec::new();
        if self.ipv6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((transport_bytes as u16).to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend(self.addresses);
            pseudo_header.extend(self.addresses);
            pseudo_header.extend((transport_bytes as u32).to_be_bytes());
            pseudo_header.extend([0, 0, 0, protocol]);
        } else {
            let header_bytes = 20 + 4 * self.option_words;
            frame.extend([0x08, 0x00, 0x40 | (header_bytes / 4) as u8, 0]);
            frame.extend(((header_bytes + transport_bytes) as u16).to_be_bytes());
            frame.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
            frame.extend(&self.addresses[..8]);
            frame.extend(vec![1; 4 * self.option_words]);
            pseudo_header.extend(&self.addresses[..8]);
            pseudo_header.extend([0, protocol]);
            pseudo_header.extend((transport_bytes as u16).to_be_bytes());
        }
        let start = frame.len();
        frame.extend(transport);
        frame.extend(vec![0xee; self.padding]);
        Built {
            frame,
            pseudo_header,
            transport: start,
            transport_bytes,
            field: start + field,
        }
    }
}

impl Built {
    fn set(&mut self, checksum: u16) {
        self.frame[self.field..self.field + 2].copy_from_slice(&checksum.to_be_bytes());
    }

    /// The checksum field's right value, computed the slow way.
    fn right(&self) -> u16 {
        let mut bytes = self.pseudo_header.clone();
        bytes.extend(&self.frame[self.transport..self.transport + self.transport_bytes]);
        let at = self.pseudo_header.len() + self.field - self.transport;
        bytes[at..at + 2].fill(0);
        match !naive_sum(&bytes) {
            0 => 0xffff,
            checksum => checksum,
        }
    }

    /// What `CHECKSUM_PARTIAL` leaves in the field.
    fn partial(&self) -> u16 {
        naive_sum(&self.pseudo_header)
    }
}

fn packets() -> impl Strategy<Value = Packet> {
    (
        0..3usize,
        any::<bool>(),
        any::<bool>(),
        0..11usize,
        any::<[u8; 32]>(),
        proptest::collection::vec(any::<u8>(), 0..1600),
        0..20usize,
    )
        .prop_map(
            |(tags, ipv6, tcp, option_words, addresses, payload, padding)| Packet {
                tags,
                ipv6,
                tcp,
                option_words,
                addresses,
                payload,
                padding,
            },
        )
}

fn plain() -> Packet {
    Packet {
        tags: 0,
        ipv6: false,
        tcp: false,
        option_words: 0,
        addresses: [10; 32],
        payload: b"payload".to_vec(),
        padding: 0,
    }
}

proptest! {
    #[test]
    fn the_sum_is_that_of_rfc_1071(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert_eq!(sum(&bytes), naive_sum(&bytes));
    }

    #[test]
    fn a_partial_checksum_is_completed(packet in packets()) {
        let mut built = packet.build();
        built.set(built.partial());
        let mut expected = built.frame.clone();
        expected[built.field..built.field + 2].copy_from_slice(&built.right().to_be_bytes());
        prop_assert!(complete(&mut built.frame));
        prop_assert_eq!(built.frame, expected, "only the field changes, and to the right value");
    }

    #[test]
    fn any_other_checksum_is_left_alone(packet in packets(), checksum: u16) {
        let mut built = packet.build();
        prop_assume!(checksum != built.partial());
        built.set(checksum);
        let before = built.frame.clone();
        prop_assert!(!complete(&mut built.frame));
        prop_assert_eq!(built.frame, before);
    }

    #[test]
    fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        complete(&mut bytes);
    }

    #[test]
    fn a_cut_or_corrupt_frame_is_survived(packet in packets(), cut: usize, at: usize, value: u8) {
        let mut frame = packet.build().frame;
        let index = at % frame.len();
        frame[index] = value;
        frame.truncate(cut % (frame.len() + 1));
        complete(&mut frame);
    }

    /// A finished checksum that happens to equal the pseudo-header's sum: the payload is chosen to make it so.
    #[test]
    fn a_checksum_that_looks_partial_by_chance_stays_right(mut packet in packets()) {
        packet.payload.resize(packet.payload.len() / 2 * 2 + 2, 0);
        let last = packet.payload.len() - 2;
        packet.payload[last..].fill(0);
        let built = packet.build();
        let partial = built.partial();
        // Wanted: !(sum of everything) == partial, so the last word must bring the sum to !partial.
        let mut rest = built.pseudo_header.clone();
        rest.extend(&built.frame[built.transport..built.transport + built.transport_bytes]);
        let missing = fold(u64::from(!partial) + u64::from(!naive_sum(&rest)));
        packet.payload[last..].copy_from_slice(&missing.to_be_bytes());
        let mut built = packet.build();
        prop_assume!(built.right() == partial);
        built.set(partial);
        let before = built.frame.clone();
        prop_assert!(complete(&mut built.frame), "it looks partial");
        prop_assert_eq!(built.frame, before, "and is right as it was");
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_its_other_zero() {
    // The last word is chosen so that everything sums up to 0xffff.
    let mut packet = Packet {
        payload: vec![0, 0],
        ..plain()
    };
    let built = packet.build();
    let mut all = built.pseudo_header.clone();
    all.extend(&built.frame[built.transport..]);
    packet.payload = (!naive_sum(&all)).to_be_bytes().to_vec();
    let mut built = packet.build();
    built.set(built.partial());
    assert!(complete(&mut built.frame));
    assert_eq!(built.frame[built.field..built.field + 2], [0xff, 0xff]);
}

#[test]
fn a_datagram_without_checksum_keeps_none() {
    let mut built = plain().build();
    assert!(!complete(&mut built.frame));
    assert_eq!(built.frame[built.field..built.field + 2], [0, 0]);
}

#[test]
fn fragments_are_left_alone() {
    for flags in [[0x20, 0], [0x00, 0x10], [0x3f, 0xff]] {
        let mut built = plain().build();
        built.set(built.partial());
        built.frame[20..22].copy_from_slice(&flags);
        assert!(!complete(&mut built.frame), "{flags:02x?}");
    }
    let mut built = Packet {
        ipv6: true,
        ..plain()
    }
    .build();
    built.set(built.partial());
    built.frame[20] = 44; // a fragment header
    assert!(!complete(&mut built.frame));
}
