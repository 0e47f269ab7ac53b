//! Classification of frames as slices: every header that a rule looks at, and every frame that is cut short.

use tsn_common::{FrameKey, Rule, RuleFields, first_match, parse, parse_offloaded};

const UDP: u8 = 17;
const TCP: u8 = 6;
const PORT: u16 = 7788;
const HEADER: u16 = RuleFields::ETHERTYPE | RuleFields::PRIORITY;
const TAGGED: u16 = HEADER | RuleFields::VLAN_ID | RuleFields::PCP;

/// Addresses, tags, EtherType, payload.
fn frame(tags: &[(u16, u16)], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x02; 12];
    for (ethertype, control) in tags {
        frame.extend(ethertype.to_be_bytes());
        frame.extend(control.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

fn ipv4(option_words: u8, fragment_offset: u16, protocol: u8) -> Vec<u8> {
    let mut packet = vec![0x45 + option_words, 46 << 2, 0, 0, 0, 0];
    packet.extend(fragment_offset.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(vec![1; usize::from(option_words) * 4]);
    packet.extend(transport());
    packet
}

fn ipv6(next_header: u8, extension: &[u8]) -> Vec<u8> {
    // Traffic class 46 << 2 = 0xb8, split between two bytes.
    let mut packet = vec![0x6b, 0x80, 0, 0, 0, 0, next_header, 64];
    packet.extend([0xfd; 32]);
    packet.extend(extension);
    packet.extend(transport());
    packet
}

/// Source and destination port, length, checksum, payload.
fn transport() -> Vec<u8> {
    [
        &5000u16.to_be_bytes()[..],
        &PORT.to_be_bytes(),
        &[0, 12, 0, 0],
        b"data",
    ]
    .concat()
}

fn key(frame: &[u8]) -> FrameKey {
    parse(frame, 0, 0).unwrap()
}

#[test]
fn udp_over_ipv4_with_any_number_of_options() {
    for option_words in 0..=10 {
        let key = key(&frame(&[], 0x0800, &ipv4(option_words, 0, UDP)));
        assert_eq!(key.fields, HEADER | RuleFields::DSCP | RuleFields::UDP_PORT);
        assert_eq!(
            (key.ethertype, key.dscp, key.udp_destination),
            (0x0800, 46, PORT)
        );
        assert!(key.carries_launch_time());
    }
}

#[test]
fn udp_over_ipv6() {
    let key = key(&frame(&[], 0x86dd, &ipv6(UDP, &[])));
    assert_eq!(key.fields, HEADER | RuleFields::DSCP | RuleFields::UDP_PORT);
    assert_eq!(
        (key.ethertype, key.dscp, key.udp_destination),
        (0x86dd, 46, PORT)
    );
}

#[test]
fn only_the_first_fragment_has_a_port() {
    let more_fragments = 0x2000;
    let first = key(&frame(&[], 0x0800, &ipv4(0, more_fragments, UDP)));
    assert_eq!((first.protocol, first.udp_destination), (UDP, PORT));
    let later = key(&frame(&[], 0x0800, &ipv4(0, more_fragments | 185, UDP)));
    assert_eq!(
        (later.protocol, later.fields & RuleFields::UDP_PORT),
        (UDP, 0)
    );

    let first = key(&frame(&[], 0x86dd, &ipv6(44, &[UDP, 0, 0, 1, 0, 0, 0, 7])));
    assert_eq!((first.protocol, first.udp_destination), (UDP, PORT));
    let later = key(&frame(
        &[],
        0x86dd,
        &ipv6(44, &[UDP, 0, 0x05, 0xc8, 0, 0, 0, 7]),
    ));
    assert_eq!(
        (later.protocol, later.fields & RuleFields::UDP_PORT),
        (UDP, 0)
    );
}

#[test]
fn tcp_has_neither_a_udp_port_nor_a_launch_time() {
    let packets = [
        (0x0800, ipv4(0, 0, TCP)),
        (0x0800, ipv4(3, 185, TCP)),
        (0x86dd, ipv6(TCP, &[])),
        (0x86dd, ipv6(44, &[TCP, 0, 0, 1, 0, 0, 0, 7])),
    ];
    for (ethertype, packet) in packets {
        let key = key(&frame(&[], ethertype, &packet));
        assert_eq!(key.fields, HEADER | RuleFields::DSCP);
        assert!(!key.carries_launch_time());
    }
    assert!(key(&frame(&[], 0x88b5, &[TCP; 60])).carries_launch_time());
}

#[test]
fn the_outer_of_two_tags_counts() {
    let packet = ipv4(0, 0, UDP);
    let one = key(&frame(&[(0x8100, 0xa005)], 0x0800, &packet));
    assert_eq!(
        (one.fields & TAGGED, one.vlan_tci, one.udp_destination),
        (TAGGED, 0xa005, PORT)
    );
    let none = key(&frame(&[], 0x0800, &packet));
    assert_eq!([none.header_bytes(), one.header_bytes()], [14, 18]);
    for outer in [0x8100, 0x88a8] {
        let two = key(&frame(
            &[(outer, 0x6007), (0x8100, 0xa005)],
            0x0800,
            &packet,
        ));
        assert_eq!(
            (two.vlan_tci, two.ethertype, two.udp_destination),
            (0x6007, 0x0800, PORT)
        );
        assert_eq!(two.header_bytes(), 18); // the inner tag is data
    }
}

#[test]
fn a_tag_beside_the_frame_is_the_outer_one() {
    let packet = ipv4(0, 0, UDP);
    for tags in [&[][..], &[(0x8100, 0xa005)]] {
        let frame = frame(tags, 0x0800, &packet);
        let key = parse_offloaded(&frame[..], 0, Some(0x6007), 3).unwrap();
        assert_eq!(
            (key.vlan_tci, key.priority, key.udp_destination),
            (0x6007, 3, PORT)
        );
        assert_eq!(key.fields & TAGGED, TAGGED);
    }
}

#[test]
fn the_frame_may_begin_anywhere() {
    let whole = frame(&[(0x8100, 5)], 0x86dd, &ipv6(UDP, &[]));
    let shifted = [&[0xff; 24][..], &whole].concat();
    assert_eq!(parse(&shifted[..], 24, 0), Some(key(&whole)));
    assert_eq!(parse(&whole[..], usize::MAX - 20, 0), None);
}

#[test]
fn what_is_cut_off_is_not_there() {
    let frames = [
        frame(&[], 0x0800, &ipv4(10, 0, UDP)),
        frame(&[(0x88a8, 1), (0x8100, 2)], 0x0800, &ipv4(0, 0, UDP)),
        frame(
            &[(0x8100, 2)],
            0x86dd,
            &ipv6(44, &[UDP, 0, 0, 1, 0, 0, 0, 7]),
        ),
    ];
    for frame in frames {
        let whole = key(&frame);
        for length in 0..frame.len() {
            match parse(&frame[..length], 0, 0) {
                // A prefix has a part of the fields, and what it has is right.
                Some(cut) => {
                    assert_eq!(cut.fields & !whole.fields, 0);
                    for (field, of_cut, of_whole) in [
                        (RuleFields::VLAN_ID, cut.vlan_tci, whole.vlan_tci),
                        (RuleFields::DSCP, cut.dscp.into(), whole.dscp.into()),
                        (
                            RuleFields::UDP_PORT,
                            cut.udp_destination,
                            whole.udp_destination,
                        ),
                    ] {
                        assert!(cut.fields & field == 0 || of_cut == of_whole);
                    }
                }
                None => assert!(length < 14 + 8),
            }
        }
    }
}

#[test]
fn every_header_byte_may_be_anything() {
    let frames = [
        frame(&[(0x8100, 2)], 0x0800, &ipv4(2, 0, UDP)),
        frame(&[], 0x86dd, &ipv6(44, &[UDP, 0, 0, 1, 0, 0, 0, 7])),
    ];
    for frame in frames {
        for position in 0..frame.len() {
            for value in 0..=u8::MAX {
                let mut changed = frame.clone();
                changed[position] = value;
                assert!(parse(&changed[..], 0, 0).is_some());
            }
        }
    }
}

#[test]
fn a_rule_compares_each_of_its_fields() {
    let frame = frame(&[(0x8100, 0xa005)], 0x0800, &ipv4(0, 0, UDP));
    let key = parse(&frame[..], 0, 3).unwrap();
    let all = Rule {
        fields: 0x3f,
        ethertype: 0x0800,
        vlan_id: 5,
        udp_port_first: PORT - 1,
        udp_port_last: PORT + 1,
        pcp: 5,
        dscp: 46,
        priority: 3,
        ..Rule::default()
    };
    assert!(all.matches(&key));
    let others = [
        Rule {
            ethertype: 0x86dd,
            ..all
        },
        Rule { vlan_id: 6, ..all },
        Rule {
            udp_port_first: PORT + 1,
            ..all
        },
        Rule {
            udp_port_last: PORT - 1,
            ..all
        },
        Rule { pcp: 4, ..all },
        Rule { dscp: 45, ..all },
        Rule { priority: 4, ..all },
    ];
    for other in others {
        assert!(!other.matches(&key), "{other:?}");
    }
    assert!(
        Rule::default().matches(&key),
        "a rule without fields matches everything"
    );
}

#[test]
fn a_field_that_the_frame_lacks_never_matches() {
    let frame = frame(&[], 0x88b5, b"no tag, no IP");
    let key = key(&frame);
    for fields in [
        RuleFields::VLAN_ID,
        RuleFields::PCP,
        RuleFields::DSCP,
        RuleFields::UDP_PORT,
        1 << 6,
    ] {
        assert!(
            !Rule {
                fields,
                ..Rule::default()
            }
            .matches(&key)
        );
    }
}

#[test]
fn the_first_rule_wins_and_only_the_used_ones_count() {
    let key = key(&frame(&[], 0x88b5, &[]));
    let ours = Rule {
        fields: RuleFields::ETHERTYPE,
        ethertype: 0x88b5,
        ..Rule::default()
    };
    let other = Rule {
        ethertype: 0x88b6,
        ..ours
    };
    assert_eq!(first_match(&[other, ours, ours], 3, &key), Some(1));
    assert_eq!(first_match(&[other, ours, ours], 1, &key), None);
    assert_eq!(first_match(&[], 16, &key), None);
}
