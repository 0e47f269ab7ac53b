//! What rtnetlink says of a network device.

use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, InfoData, InfoKind, InfoVlan, InfoVxlan, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage, VlanProtocol, VxlanDf,
};

use super::attributes::mac_address;
use super::{Link, LinkKind, VxlanDevice};
use crate::overlay::next_hop::Setting;

/// TOS of a VXLAN device that means the inner packet's.
const TOS_INHERIT: u8 = 1;
/// Label policy of a VXLAN device that means the inner packet's (`VXLAN_LABEL_INHERIT`).
const LABEL_INHERIT: u32 = 1;

/// A device with its index; `None` if it has no name.
pub fn link(message: &LinkMessage) -> Option<(u32, Link)> {
    let mut name = None;
    let (mut address, mut mtu_bytes, mut ipv6_mtu_bytes) = (None, 0, None);
    let mut ipv6_hop_limit = 64;
    let (mut lower, mut is_lower_elsewhere) = (None, false);
    let mut has_master = false;
    let (mut kind, mut data) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Address(bytes) => address = mac_address(bytes),
            LinkAttribute::Mtu(bytes) => mtu_bytes = *bytes,
            LinkAttribute::Link(index) => lower = Some(*index),
            LinkAttribute::LinkNetNsId(_) => is_lower_elsewhere = true,
            LinkAttribute::Controller(_) => has_master = true,
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(is) => kind = Some(is),
                        LinkInfo::Data(of_kind) => data = Some(of_kind),
                        _ => {}
                    }
                }
            }
            LinkAttribute::AfSpecUnspec(families) => {
                let of_ipv6 = families.iter().filter_map(|family| match family {
                    AfSpecUnspec::Inet6(attributes) => Some(attributes),
                    _ => None,
                });
                for attribute in of_ipv6.flatten() {
                    if let AfSpecInet6::DevConf(settings) = attribute {
                        ipv6_mtu_bytes = u32::try_from(settings.mtu6).ok();
                        ipv6_hop_limit = u8::try_from(settings.hoplimit).unwrap_or(ipv6_hop_limit);
                    }
                }
            }
            _ => {}
        }
    }
    let kind = match (kind, data) {
        (Some(InfoKind::Vlan), Some(InfoData::Vlan(attributes))) => {
            vlan(attributes, lower.filter(|_| !is_lower_elsewhere))
        }
        (Some(InfoKind::Vxlan), Some(InfoData::Vxlan(attributes))) => {
            let mut device = vxlan(attributes, is_lower_elsewhere);
            if has_master {
                // What it receives is for a bridge, or for the routing table of a VRF.
                device.special_setting = Some("master");
            }
            LinkKind::Vxlan(Box::new(device))
        }
        _ => LinkKind::Other,
    };
    let link = Link {
        name: name?,
        is_up: message.header.flags.contains(LinkFlags::Up),
        address,
        mtu_bytes,
        ipv6_mtu_bytes: ipv6_mtu_bytes.unwrap_or(mtu_bytes),
        ipv6_hop_limit,
        kind,
    };
    Some((message.header.index, link))
}

fn vlan(attributes: &[InfoVlan], lower: Option<u32>) -> LinkKind {
    let (mut id, mut is_customer) = (0, true);
    for attribute in attributes {
        match attribute {
            InfoVlan::Id(number) => id = *number,
            InfoVlan::Protocol(protocol) => is_customer = *protocol == VlanProtocol::Ieee8021Q,
            _ => {}
        }
    }
    LinkKind::Vlan {
        lower,
        id,
        is_customer,
    }
}

fn vxlan(attributes: &[InfoVxlan], is_lower_elsewhere: bool) -> VxlanDevice {
    let mut device = VxlanDevice {
        vni: 0,
        local: None,
        port: 0,
        source_ports: None,
        hop_limit: None,
        ds_field: Setting::Fixed(0),
        dont_fragment: Setting::Fixed(false),
        flow_label: 0,
        has_ipv4_checksum: true,
        has_ipv6_checksum: true,
        special_setting: is_lower_elsewhere.then_some("link-netns"),
    };
    for attribute in attributes {
        match *attribute {
            InfoVxlan::Id(vni) => device.vni = vni,
            InfoVxlan::Local(address) => device.local = Some(address.into()),
            InfoVxlan::Local6(address) => device.local = Some(address.into()),
            InfoVxlan::Port(port) => device.port = port,
            // The kernel never chooses the upper end (`udp_flow_src_port`).
            InfoVxlan::PortRange((low, high)) if low < high => {
                device.source_ports = Some(low..=high - 1);
            }
            InfoVxlan::Ttl(ttl) if ttl != 0 => {
                device.hop_limit.get_or_insert(Setting::Fixed(ttl));
            }
            InfoVxlan::TtlInherit(inherits) if inherits != 0 => {
                device.hop_limit = Some(Setting::Inherit);
            }
            InfoVxlan::Tos(TOS_INHERIT) => device.ds_field = Setting::Inherit,
            InfoVxlan::Tos(tos) => device.ds_field = Setting::Fixed(tos),
            InfoVxlan::Df(VxlanDf::Set) => device.dont_fragment = Setting::Fixed(true),
            InfoVxlan::Df(VxlanDf::Inherit) => device.dont_fragment = Setting::Inherit,
            InfoVxlan::Label(label) => device.flow_label = label,
            InfoVxlan::UDPCsum(has) => device.has_ipv4_checksum = has,
            InfoVxlan::UDPZeroCsumTX(is_zero) => device.has_ipv6_checksum = !is_zero,
            InfoVxlan::CollectMetadata(true) => device.special_setting = Some("external"),
            InfoVxlan::Vnifilter(true) => device.special_setting = Some("vnifilter"),
            InfoVxlan::Gbp => device.special_setting = Some("gbp"),
            InfoVxlan::Gpe => device.special_setting = Some("gpe"),
            InfoVxlan::RemCsumTX(true) => device.special_setting = Some("remcsumtx"),
            InfoVxlan::Rsc(true) => device.special_setting = Some("rsc"),
            InfoVxlan::LabelPolicy(LABEL_INHERIT) => {
                device.special_setting = Some("flowlabel inherit");
            }
            _ => {}
        }
    }
    device
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a VLAN device, which not every kernel that tests run on can make.
    #[test]
    fn a_vlan_is_known_by_its_tag_and_the_device_below() {
        let of = |protocol, more: Option<LinkAttribute>| {
            let mut message = LinkMessage::default();
            message.header.index = 9;
            message.attributes = vec![
                LinkAttribute::IfName("eth0.7".into()),
                LinkAttribute::Mtu(1496),
                LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]),
                LinkAttribute::Link(2),
                LinkAttribute::LinkInfo(vec![
                    LinkInfo::Kind(InfoKind::Vlan),
                    LinkInfo::Data(InfoData::Vlan(vec![
                        InfoVlan::Protocol(protocol),
                        InfoVlan::Id(7),
                    ])),
                ]),
            ];
            message.attributes.extend(more);
            link(&message).unwrap().1.kind
        };
        let vlan = |lower, is_customer| LinkKind::Vlan {
            lower,
            id: 7,
            is_customer,
        };
        assert_eq!(of(VlanProtocol::Ieee8021Q, None), vlan(Some(2), true));
        assert_eq!(of(VlanProtocol::Ieee8021Ad, None), vlan(Some(2), false));
        let elsewhere = LinkAttribute::LinkNetNsId(0);
        assert_eq!(
            of(VlanProtocol::Ieee8021Q, Some(elsewhere)),
            vlan(None, true)
        );
    }
}
