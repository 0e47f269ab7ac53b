use serde_json::json;

use super::*;

fn offer() -> Offer {
    Offer {
        profile: "motion".to_owned(),
        selectable_profiles: vec!["video".to_owned(), "audio".to_owned()],
        traffic_class: None,
        selector: Map::new(),
    }
}

fn fixed() -> Offer {
    Offer {
        traffic_class: Some("7".to_owned()),
        selector: object(json!({"udp-destination-port": 4840, "dscp": 46})),
        ..offer()
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What `CNI_ARGS`, `args.cni.tsnd` and the annotations make of an offer.
fn choose(
    offer: &Offer,
    arguments: &str,
    argument: Option<Value>,
    annotations: Value,
) -> Result<Request, Error> {
    super::choose(
        offer,
        Sources {
            arguments: &Arguments(arguments.to_owned()),
            argument: argument.map(|value| serde_json::from_str(&value.to_string()).unwrap()),
            annotations: &serde_json::from_value(annotations).unwrap(),
            interface: "net1",
        },
    )
}

fn request(profile: &str, traffic_class: Option<&str>, selector: Value) -> Request {
    Request {
        profile: profile.to_owned(),
        traffic_class: traffic_class.map(str::to_owned),
        selector: object(selector),
    }
}

#[test]
fn a_pod_that_says_nothing_gets_what_the_network_configuration_says() {
    let others = json!({"kubernetes.io/config.source": "api", "tsnd.device/profile": "x"});
    let arguments = "IgnoreUnknown=1;K8S_POD_NAME=p;IgnoreUnknown=true;TSND";
    let chosen = choose(&fixed(), arguments, None, others).unwrap();
    assert_eq!(
        chosen,
        request(
            "motion",
            Some("7"),
            json!({"udp-destination-port": 4840, "dscp": 46})
        )
    );
}

#[test]
fn annotations_come_before_args_and_these_before_cni_args() {
    let arguments = "TSND_PROFILE=video;TSND_TRAFFIC_CLASS=1;TSND_UDP_PORT=1000";
    let argument = json!({"profile": "audio", "traffic-class": 2, "match": {"udp-destination-port": 2000, "pcp": 3}});
    let annotations = json!({
        "tsnd.dev/profile": "motion",
        "tsnd.dev/traffic-class": "radio",
        "tsnd.dev/udp-destination-port": "3000-3010",
    });
    let chosen = |argument: Option<&Value>, annotations: &Value| {
        choose(&offer(), arguments, argument.cloned(), annotations.clone()).unwrap()
    };
    assert_eq!(
        chosen(None, &json!({})),
        request("video", Some("1"), json!({"udp-destination-port": 1000}))
    );
    assert_eq!(
        chosen(Some(&argument), &json!({})),
        request(
            "audio",
            Some("2"),
            json!({"udp-destination-port": 2000, "pcp": 3})
        )
    );
    assert_eq!(
        chosen(Some(&argument), &annotations),
        request(
            "motion",
            Some("radio"),
            json!({"udp-destination-port": "3000-3010", "pcp": 3})
        )
    );
}

#[test]
fn an_annotation_for_the_interface_comes_before_one_for_all() {
    let annotations = json!({
        "tsnd.dev/profile": "video",
        "tsnd.dev/profile.net1": "audio",
        "tsnd.dev/profile.net2": "other's business",
        "tsnd.dev/udp-destination-port": "5000",
    });
    assert_eq!(
        choose(&offer(), "", None, annotations).unwrap(),
        request("audio", None, json!({"udp-destination-port": 5000}))
    );
}

#[test]
fn a_profile_that_is_not_offered_is_refused_with_those_that_are() {
    for (arguments, argument, annotations) in [
        ("TSND_PROFILE=root", None, json!({})),
        ("", Some(json!({"profile": "root"})), json!({})),
        ("", None, json!({"tsnd.dev/profile": "root"})),
        ("", None, json!({"tsnd.dev/profile.net1": "root"})),
    ] {
        let error = choose(&offer(), arguments, argument, annotations).unwrap_err();
        assert_eq!(error.code, Code::InvalidConfiguration);
        let message = error.to_string();
        assert!(
            message.contains("`root`") && message.contains("motion, video, audio"),
            "{message}"
        );
    }
}

#[test]
fn what_the_network_configuration_says_cannot_be_taken_back() {
    for (argument, field) in [
        (json!({"traffic-class": 6}), "`trafficClass` to be 6"),
        (
            json!({"match": {"udp-destination-port": 4841}}),
            "`match.udp-destination-port` to be 4841",
        ),
        (json!({"match": {"dscp": null}}), "`match.dscp` to be null"),
    ] {
        let error = choose(&fixed(), "", Some(argument), json!({})).unwrap_err();
        assert_eq!(error.code, Code::InvalidConfiguration);
        assert!(error.to_string().contains(field), "{error}");
    }
    // The same again, and what is left open, is no harm.
    let argument = json!({"traffic-class": "7", "match": {"udp-destination-port": 4840, "pcp": 5}});
    assert_eq!(
        choose(&fixed(), "", Some(argument), json!({})).unwrap(),
        request(
            "motion",
            Some("7"),
            json!({"udp-destination-port": 4840, "dscp": 46, "pcp": 5})
        )
    );
}

#[test]
fn class_and_match_of_the_network_configuration_belong_to_its_own_profile() {
    let argument = json!({"profile": "video", "traffic-class": 4});
    assert_eq!(
        choose(&fixed(), "", Some(argument), json!({})).unwrap(),
        request("video", Some("4"), json!({}))
    );
}

#[test]
fn words_that_do_not_exist_are_named() {
    for (arguments, argument, annotations, code, part) in [
        (
            "TSND_PORT=1",
            None,
            json!({}),
            Code::InvalidEnvironment,
            "`TSND_PORT` with the value `1`",
        ),
        (
            "",
            Some(json!({"class": 1})),
            json!({}),
            Code::UnsupportedField,
            "`args.cni.tsnd.class` with the value 1",
        ),
        (
            "",
            Some(json!({"profile": 1})),
            json!({}),
            Code::InvalidConfiguration,
            "`args.cni.tsnd.profile` is 1",
        ),
        (
            "",
            Some(json!({"traffic-class": []})),
            json!({}),
            Code::InvalidConfiguration,
            "`args.cni.tsnd.traffic-class` is []: a traffic class, by number or name",
        ),
        (
            "",
            None,
            json!({"tsnd.dev/profil": "x"}),
            Code::UnsupportedField,
            "`tsnd.dev/profil`",
        ),
        (
            "",
            None,
            json!({"tsnd.dev/.net1": "x"}),
            Code::UnsupportedField,
            "`tsnd.dev/.net1`",
        ),
        (
            "",
            None,
            json!({"tsnd.dev/profile": 7}),
            Code::InvalidConfiguration,
            "`tsnd.dev/profile` is 7",
        ),
    ] {
        let error = choose(&offer(), arguments, argument, annotations).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_choice_has_a_largest_size() {
    let argument = json!({"match": {"x": "y".repeat(REQUEST_BYTES)}});
    let error = choose(&offer(), "", Some(argument), json!({})).unwrap_err();
    assert_eq!(error.code, Code::InvalidConfiguration);
    assert!(error.to_string().contains("at most 16384"), "{error}");
}
