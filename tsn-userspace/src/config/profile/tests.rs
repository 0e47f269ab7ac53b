//! Whatever is asked for, what comes out is a part of the profile, and each frame is treated as the whole profile would.

use proptest::option;
use proptest::prelude::*;
use serde_json::json;
use tsn_common::{FrameKey, RuleFields, first_match};

use super::super::{Configuration, LateAction, PortRange, compile_rules};
use super::*;

const NAMES: [Option<String>; 8] = [const { None }; 8];

fn profile() -> Profile {
    serde_json::from_value(json!({
        "name": "motion",
        "frame-quota": 64,
        "streams": [
            { "name": "loop", "match": { "udp-destination-port": "5000-5010" }, "traffic-class": 7, "late": "send" },
            { "name": "film", "match": { "ethertype": 0x22f0, "pcp": 5 }, "traffic-class": 5 },
            { "name": "rest", "match": { "priority": 2, "pcp": 1 }, "traffic-class": 7 },
        ],
    }))
    .unwrap()
}

fn request(traffic_class: Option<u8>, selector: serde_json::Value) -> Narrowing {
    Narrowing {
        traffic_class: traffic_class.map(ClassReference::Number),
        selector: serde_json::from_value(selector).unwrap(),
    }
}

fn left(request: &Narrowing) -> Result<Vec<(String, serde_json::Value)>, String> {
    let streams = profile().narrowed(request, &NAMES);
    let streams = streams.map_err(|error| error.to_string())?;
    Ok(streams
        .into_iter()
        .map(|stream| (stream.name, serde_json::to_value(stream.selector).unwrap()))
        .collect())
}

#[test]
fn nothing_asked_for_leaves_the_profile() {
    assert_eq!(
        profile().narrowed(&Narrowing::default(), &NAMES),
        Ok(profile().streams)
    );
}

#[test]
fn a_class_keeps_its_streams_and_a_match_those_that_allow_it() {
    let of_class = left(&request(Some(7), json!({}))).unwrap();
    assert_eq!(of_class.len(), 2);
    assert_eq!((&*of_class[0].0, &*of_class[1].0), ("loop", "rest"));
    assert_eq!(
        left(&request(None, json!({ "udp-destination-port": 5004 }))).unwrap(),
        [
            ("loop".into(), json!({ "udp-destination-port": "5004" })),
            (
                "film".into(),
                json!({ "ethertype": 0x22f0, "pcp": 5, "udp-destination-port": "5004" })
            ),
            (
                "rest".into(),
                json!({ "priority": 2, "pcp": 1, "udp-destination-port": "5004" })
            ),
        ]
    );
    let of_priority = json!({ "udp-destination-port": "5011-5020", "priority": 2, "pcp": 1 });
    assert_eq!(
        left(&request(Some(7), of_priority.clone())).unwrap(),
        [("rest".into(), of_priority)]
    );
}

#[test]
fn more_than_the_profile_allows_is_refused_with_what_it_allows() {
    for (refused, said) in [
        (
            request(Some(6), json!({})),
            "traffic-class: no stream of profile `motion` has class `6`; it has [7, 5]",
        ),
        (
            request(None, json!({ "udp-destination-port": "5009-5011" })),
            "match: stream rest of profile `motion` would get frames that are loop's, which the request leaves out; ask \
             with `match` for what loop does not match, or leave loop in",
        ),
        (
            request(Some(5), json!({ "pcp": 6 })),
            "match: a request can set what a stream leaves open, or a part of its ports, and no more; of profile `motion`, \
             film matches {\"ethertype\":8944,\"pcp\":5}",
        ),
    ] {
        assert_eq!(left(&refused).unwrap_err(), said);
    }
    let unknown = Narrowing {
        traffic_class: Some(ClassReference::Name("\u{1b}[2J".to_owned())),
        ..Narrowing::default()
    };
    let error = left(&unknown).unwrap_err();
    assert!(error.contains("has class `\u{fffd}[2J`"), "{error:?}");
}

/// Otherwise whoever makes a pod would have frames of a metered stream sent in another class, without the meter.
#[test]
fn no_stream_gets_the_frames_of_an_earlier_one_that_the_request_leaves_out() {
    let profile: Profile = serde_json::from_value(json!({
        "name": "tiers",
        "streams": [
            { "name": "bulk", "match": { "udp-destination-port": "5000-5100" }, "traffic-class": 0 },
            { "name": "rest", "match": {}, "traffic-class": 7 },
        ],
    }))
    .unwrap();
    let narrowed = |class, selector| profile.narrowed(&request(class, selector), &NAMES);
    for (class, selector, place) in [
        (Some(7), json!({}), "traffic-class"),
        (
            Some(7),
            json!({ "udp-destination-port": 5050 }),
            "traffic-class",
        ),
        (
            None,
            json!({ "udp-destination-port": "4999-5101" }),
            "match",
        ),
    ] {
        let error = narrowed(class, selector).unwrap_err();
        assert_eq!(error.place, place, "{error}");
    }
    for (selector, left) in [
        (json!({ "udp-destination-port": 5050 }), 2),
        (json!({ "udp-destination-port": 5101 }), 1),
        // No UDP in it.
        (json!({ "ethertype": 0x22f0 }), 2),
    ] {
        assert_eq!(narrowed(None, selector).unwrap().len(), left);
    }
    let other = json!({ "ethertype": 0x22f0 });
    assert_eq!(narrowed(Some(7), other).unwrap().len(), 1);
}

#[test]
fn profiles_are_checked_as_pods_are() {
    let refused = |profiles: &str, said: &str| {
        let text = format!("uplinks: [{{ device: a }}]\nprofiles: {profiles}\n");
        let error = Configuration::from_yaml(&text)
            .expect_err(profiles)
            .to_string();
        assert!(error.contains(said), "{error}");
    };
    let stream = "{ name: s, match: {}, traffic-class: 0 }";
    let good = format!("name: a, streams: [{stream}]");
    refused(
        &format!("[{{ {good} }}, {{ {good} }}]"),
        "2:86: profiles[1].name: `a` is taken by an earlier profile",
    );
    refused(
        &format!("[{{ name: a/b, streams: [{stream}] }}]"),
        "profiles[0].name: `a/b`; 1 to 63",
    );
    refused(
        "[{ name: a, streams: [] }]",
        "profiles[0].streams: there are 0; 1 to 16",
    );
    refused(
        "[{ name: a, streams: [{ name: s, match: {}, traffic-class: x }] }]",
        "profiles[0].streams[0].traffic-class: there is no traffic class `x`",
    );
    refused(
        &format!("[{{ {good}, frame-quota: 0 }}]"),
        "profiles[0].frame-quota: 0 frames",
    );
    refused(
        &format!("[{{ {good}, netns: /run/netns/a }}]"),
        "profiles[0].netns: unknown field `netns`",
    );
}

/// One of IP and another.
fn any_ethertype() -> impl Strategy<Value = u16> {
    proptest::sample::select(&[0x86dd, 0x22f0][..])
}

fn any_match() -> impl Strategy<Value = Match> {
    // Few values, so that they meet.
    let port = (5_000..5_003_u16, 0..3_u16).prop_map(|(first, more)| PortRange {
        first,
        last: first + more,
    });
    let fields = (
        option::of(any_ethertype()),
        option::of(1..3_u16),
        option::of(1..3_u8),
        option::of(1..3_u8),
        option::of(port),
        option::of(1..3_u8),
    );
    fields.prop_map(
        |(ethertype, vlan_id, pcp, dscp, udp_destination_port, priority)| Match {
            ethertype,
            vlan_id,
            pcp,
            dscp,
            udp_destination_port,
            priority,
        },
    )
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let streams = proptest::collection::vec((any_match(), 0..3_u8, any::<bool>()), 1..5);
    streams.prop_map(|streams| Profile {
        streams: streams
            .into_iter()
            .enumerate()
            .map(|(index, (selector, class, is_sent))| StreamSelection {
                name: index.to_string(),
                selector,
                traffic_class: ClassReference::Number(class),
                late: match is_sent {
                    true => LateAction::Send,
                    false => LateAction::Drop,
                },
                ..profile().streams[0].clone()
            })
            .collect(),
        ..profile()
    })
}

fn any_frame() -> impl Strategy<Value = FrameKey> {
    let values = (
        any_ethertype(),
        1..3_u16,
        1..3_u16,
        1..3_u8,
        5_000..5_005_u16,
        1..3_u8,
        0..64_u16,
    );
    values.prop_map(
        |(ethertype, vlan_id, pcp, dscp, udp_destination, priority, fields)| {
            let of_ip = RuleFields::DSCP | RuleFields::UDP_PORT;
            let fields = if ethertype == 0x86dd {
                fields
            } else {
                fields & !of_ip
            };
            FrameKey {
                fields: fields | RuleFields::ETHERTYPE | RuleFields::PRIORITY,
                ethertype,
                vlan_tci: pcp << 13 | vlan_id,
                udp_destination,
                dscp,
                priority,
                ..FrameKey::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn whatever_is_asked_for_is_a_part_of_the_profile_and_treated_as_it_says(
        profile in any_profile(),
        traffic_class in option::of(0..3_u8),
        selector in any_match(),
        frames in proptest::collection::vec(any_frame(), 1..100),
    ) {
        let by = Narrowing {
            traffic_class: traffic_class.map(ClassReference::Number),
            selector: selector.clone(),
        };
        let Ok(streams) = profile.narrowed(&by, &NAMES) else {
            return Ok(());
        };
        let rules = compile_rules("", &streams, &NAMES).unwrap();
        let of_profile = compile_rules("", &profile.streams, &NAMES).unwrap();
        let wanted = StreamSelection { selector, ..profile.streams[0].clone() };
        let wanted = compile_rules("", &[wanted], &NAMES).unwrap();
        for frame in frames {
            let Some(index) = first_match(&rules, rules.len(), &frame) else {
                continue;
            };
            let stream = &streams[index];
            let origin = profile.streams.iter().position(|other| other.name == stream.name);
            let first = first_match(&of_profile, of_profile.len(), &frame);
            prop_assert_eq!(origin, first, "not the stream that the profile gives the frame to");
            let origin = origin.expect("a stream of the profile");
            prop_assert!(wanted[0].matches(&frame), "more than was asked for");
            let treated = StreamSelection { selector: Match::default(), ..stream.clone() };
            let as_profile = StreamSelection { selector: Match::default(), ..profile.streams[origin].clone() };
            prop_assert_eq!(treated, as_profile);
            if let Some(class) = traffic_class {
                prop_assert_eq!(&stream.traffic_class, &ClassReference::Number(class));
            }
        }
    }
}
