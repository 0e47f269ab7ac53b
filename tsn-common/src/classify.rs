//! Which frames are time-sensitive, decided in the same way in the kernel programs and in user space.

/// EtherType of an IEEE 802.1Q customer tag.
pub(crate) const ETHERTYPE_VLAN: u16 = 0x8100;
/// EtherType of an IEEE 802.1ad service tag.
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;
pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
const PROTOCOL_TCP: u8 = 6;
pub(crate) const PROTOCOL_UDP: u8 = 17;
/// Next header of an IPv6 fragment.
const PROTOCOL_FRAGMENT: u8 = 44;
const IPV6_HEADER_BYTES: usize = 40;
const FRAGMENT_HEADER_BYTES: usize = 8;
/// Destination, source and EtherType of a frame, in bytes.
pub const ETHERNET_HEADER_BYTES: usize = 14;
/// One IEEE 802.1Q tag, in bytes.
pub const VLAN_TAG_BYTES: usize = 4;

/// Reads bytes of a frame, wherever it lies: a slice in user space, a helper call in a kernel program.
pub trait Load {
    /// `N` bytes at `offset` of the frame; `None` beyond its end.
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

impl Load for [u8] {
    #[inline]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }
}

/// Which fields a [`Rule`] compares; a field that is absent matches anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleFields;

impl RuleFields {
    /// `ethertype`.
    pub const ETHERTYPE: u16 = 1 << 0;
    /// `vlan_id`.
    pub const VLAN_ID: u16 = 1 << 1;
    /// `pcp`.
    pub const PCP: u16 = 1 << 2;
    /// `dscp`.
    pub const DSCP: u16 = 1 << 3;
    /// `udp_port_first..=udp_port_last`.
    pub const UDP_PORT: u16 = 1 << 4;
    /// `priority`.
    pub const PRIORITY: u16 = 1 << 5;
}

/// One rule of a pod's traffic selection: all the fields in `fields` must be equal.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rule {
    /// Set of [`RuleFields`].
    pub fields: u16,
    /// EtherType after any VLAN tags, host byte order.
    pub ethertype: u16,
    /// VLAN id, 0 to 4094.
    pub vlan_id: u16,
    /// First UDP destination port, host byte order.
    pub udp_port_first: u16,
    /// Last UDP destination port, inclusive.
    pub udp_port_last: u16,
    /// Priority code point, 0 to 7.
    pub pcp: u8,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
    /// `SO_PRIORITY`.
    pub priority: u8,
    /// The traffic class of frames that match, 0 to 7. The kernel programs do not look at it.
    pub traffic_class: u8,
    /// Zero.
    pub reserved: u16,
}

const _: () = assert!(size_of::<Rule>() == 16);

/// What rules compare.
///
/// No `Option`s: their unset halves would be uninitialised registers, which the kernel's verifier refuses.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameKey {
    /// Set of [`RuleFields`] that the frame has; a value that it does not have is 0.
    pub fields: u16,
    /// EtherType after any VLAN tags.
    pub ethertype: u16,
    /// The outer tag's control information (PCP, DEI, VLAN id).
    pub vlan_tci: u16,
    /// Of a UDP datagram's first or only fragment.
    pub udp_destination: u16,
    /// Of IPv4's or IPv6's traffic class.
    pub dscp: u8,
    /// The IP protocol, also of a fragment; 0 (a hop-by-hop header) also for what is not IP.
    pub protocol: u8,
    /// `SO_PRIORITY`, as carried by a stamp.
    pub priority: u8,
    /// Zero.
    pub reserved: u8,
}

impl FrameKey {
    #[inline(always)]
    fn set_tag(&mut self, tci: u16) {
        self.fields |= RuleFields::VLAN_ID | RuleFields::PCP;
        self.vlan_tci = tci;
    }

    /// What is in front of the mac_service_data_unit of a frame that has its tag in it: the Ethernet header and the outer
    /// tag, in bytes. A second tag belongs to the data.
    #[inline(always)]
    pub fn header_bytes(&self) -> usize {
        if self.fields & RuleFields::VLAN_ID == 0 {
            ETHERNET_HEADER_BYTES
        } else {
            ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES
        }
    }

    /// Whether the socket's time stamp is a launch time. TCP always has one, and it is none.
    #[inline(always)]
    pub fn carries_launch_time(&self) -> bool {
        self.protocol != PROTOCOL_TCP
    }
}

/// Reads what rules compare out of a frame that begins with its Ethernet header at `start`; `None` if it is too short
/// to be one.
#[inline(always)]
pub fn parse<L: Load + ?Sized>(frame: &L, start: usize, priority: u8) -> Option<FrameKey> {
    parse_offloaded(frame, start, None, priority)
}

/// The same of a frame whose outer VLAN tag the kernel keeps beside it (`skb->vlan_tci`), not in it.
#[inline(always)]
pub fn parse_offloaded<L: Load + ?Sized>(
    frame: &L,
    start: usize,
    offloaded_tci: Option<u16>,
    priority: u8,
) -> Option<FrameKey> {
    let mut key = FrameKey {
        priority,
        ..FrameKey::default()
    };
    key.fields = RuleFields::ETHERTYPE | RuleFields::PRIORITY;
    if let Some(tci) = offloaded_tci {
        key.set_tag(tci);
    }
    key.ethertype = u16::from_be_bytes(frame.load::<2>(start + 12)?);
    let mut network = start + ETHERNET_HEADER_BYTES;
    // Two tags at most (IEEE 802.1ad); unrolled, since each has its own place.
    if key.ethertype == ETHERTYPE_VLAN || key.ethertype == ETHERTYPE_SERVICE_VLAN {
        let tag = frame.load::<4>(network)?;
        if offloaded_tci.is_none() {
            key.set_tag(u16::from_be_bytes([tag[0], tag[1]]));
        }
        key.ethertype = u16::from_be_bytes([tag[2], tag[3]]);
        network += VLAN_TAG_BYTES;
        if key.ethertype == ETHERTYPE_VLAN {
            let tag = frame.load::<4>(network)?;
            key.ethertype = u16::from_be_bytes([tag[2], tag[3]]);
            network += VLAN_TAG_BYTES;
        }
    }
    if key.ethertype == ETHERTYPE_IPV4 {
        parse_ipv4(frame, network, &mut key);
    } else if key.ethertype == ETHERTYPE_IPV6 {
        parse_ipv6(frame, network, &mut key);
    }
    Some(key)
}

#[inline(always)]
fn parse_ipv4<L: Load + ?Sized>(frame: &L, network: usize, key: &mut FrameKey) {
    let Some(header) = frame.load::<10>(network) else {
        return;
    };
    key.fields |= RuleFields::DSCP;
    key.dscp = header[1] >> 2;
    key.protocol = header[9];
    let header_bytes = usize::from(header[0] & 0x0f) * 4;
    let fragment_offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    if fragment_offset == 0 {
        parse_udp(frame, network + header_bytes, key);
    }
}

#[inline(always)]
fn parse_ipv6<L: Load + ?Sized>(frame: &L, network: usize, key: &mut FrameKey) {
    let Some(header) = frame.load::<8>(network) else {
        return;
    };
    key.fields |= RuleFields::DSCP;
    key.dscp = ((header[0] << 4) | (header[1] >> 4)) >> 2;
    key.protocol = header[6];
    let mut transport = network + IPV6_HEADER_BYTES;
    if key.protocol == PROTOCOL_FRAGMENT {
        let Some(fragment) = frame.load::<4>(transport) else {
            return;
        };
        key.protocol = fragment[0];
        if u16::from_be_bytes([fragment[2], fragment[3]]) >> 3 != 0 {
            return;
        }
        transport += FRAGMENT_HEADER_BYTES;
    }
    parse_udp(frame, transport, key);
}

#[inline(always)]
fn parse_udp<L: Load + ?Sized>(frame: &L, transport: usize, key: &mut FrameKey) {
    if key.protocol == PROTOCOL_UDP
        && let Some(port) = frame.load::<2>(transport + 2)
    {
        key.fields |= RuleFields::UDP_PORT;
        key.udp_destination = u16::from_be_bytes(port);
    }
}

impl Rule {
    /// Whether a frame matches: it has every field that the rule compares, with that value.
    #[inline(always)]
    pub fn matches(&self, key: &FrameKey) -> bool {
        let compares = |field| self.fields & field != 0;
        self.fields & !key.fields == 0
            && !(compares(RuleFields::ETHERTYPE) && key.ethertype != self.ethertype)
            && !(compares(RuleFields::PRIORITY) && key.priority != self.priority)
            && !(compares(RuleFields::VLAN_ID) && key.vlan_tci & 0x0fff != self.vlan_id)
            && !(compares(RuleFields::PCP) && (key.vlan_tci >> 13) as u8 != self.pcp)
            && !(compares(RuleFields::DSCP) && key.dscp != self.dscp)
            && !(compares(RuleFields::UDP_PORT)
                && (key.udp_destination < self.udp_port_first
                    || key.udp_destination > self.udp_port_last))
    }
}

/// The index of the first of the first `count` rules that matches.
#[inline(always)]
pub fn first_match(rules: &[Rule], count: usize, key: &FrameKey) -> Option<usize> {
    rules.iter().take(count).position(|rule| rule.matches(key))
}

/// Whether any of the first `count` rules selects a datagram that arrives for the pod. It does so by the fields of the
/// datagram alone, of which it must compare one (DSCP or UDP destination port): what a pod receives has no `SO_PRIORITY`.
#[inline(always)]
pub fn matches_received(rules: &[Rule], count: usize, key: &FrameKey) -> bool {
    rules.iter().take(count).any(|rule| {
        let of_datagram = RuleFields::DSCP | RuleFields::UDP_PORT;
        let received = Rule {
            fields: rule.fields & !RuleFields::PRIORITY,
            ..*rule
        };
        rule.fields & of_datagram != 0 && received.matches(key)
    })
}
