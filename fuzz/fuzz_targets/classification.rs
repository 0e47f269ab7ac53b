//! Classification of hostile frames by hostile rules: never reads beyond the frame, and the first match is one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsn_common::{Rule, RuleFields, first_match, parse};

const RULE_BYTES: usize = 14;
const ALL_FIELDS: u16 = RuleFields::ETHERTYPE
    | RuleFields::VLAN_ID
    | RuleFields::PCP
    | RuleFields::DSCP
    | RuleFields::UDP_PORT
    | RuleFields::PRIORITY;
/// Ethernet header with two VLAN tags.
const HEADER_BYTES: usize = 14 + 2 * 4;

fn rule(bytes: &[u8]) -> Rule {
    let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    Rule {
        fields: word(0),
        ethertype: word(2),
        vlan_id: word(4),
        udp_port_first: word(6),
        udp_port_last: word(8),
        pcp: bytes[10],
        dscp: bytes[11],
        priority: bytes[12],
        traffic_class: bytes[13],
        reserved: 0,
    }
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>, u8, u8)| {
    let (frame, rules, priority, start) = input;
    let rules: Vec<Rule> = rules.chunks_exact(RULE_BYTES).map(rule).collect();
    let start = usize::from(start);
    let Some(key) = parse(&frame[..], start, priority) else {
        assert!(
            frame.len() < start + HEADER_BYTES,
            "a whole header was refused"
        );
        return;
    };
    assert_eq!(key.priority, priority);
    let found = first_match(&rules, rules.len(), &key);
    let before = found.unwrap_or(rules.len());
    assert!(rules[..before].iter().all(|rule| !rule.matches(&key)));
    if let Some(index) = found {
        assert!(rules[index].matches(&key));
        let compared = rules[index].fields & ALL_FIELDS;
        assert_eq!(
            compared & !key.fields,
            0,
            "matched by a field that the frame does not have"
        );
        // Fewer rules never bring an earlier match to light.
        assert_eq!(first_match(&rules, index, &key), None);
    }
});
