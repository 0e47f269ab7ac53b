use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;

fn read(json: Value) -> Result<Configuration, Error> {
    Configuration::read(Input::decode(json.to_string().as_bytes()).unwrap())
}

/// A small configuration with a field of one's own.
fn with(field: &str, value: Value) -> Value {
    let mut json =
        json!({"cniVersion": "1.1.0", "name": "n", "type": "tsn-cni", "profile": "motion"});
    json[field] = value;
    json
}

#[test]
fn every_field_arrives() {
    let configuration = read(json!({
        "cniVersion": "1.1.0",
        "cniVersions": ["1.0.0", "1.1.0"],
        "name": "plant",
        "type": "tsn-cni",
        "capabilities": {"CNIDeviceInfoFile": true, "no-such": false},
        "args": {"cni": {"tsnd": {"profile": "video"}, "labels": []}, "other": 1},
        "runtimeConfig": {
            "deviceID": "0000:18:02.5",
            "CNIDeviceInfoFile": "/run/d.json",
            "io.kubernetes.cri.pod-annotations": {"a": "b"},
            "portMappings": [{}],
        },
        "prevResult": {"cniVersion": "1.1.0"},
        "ipMasq": true,
        "ipam": {"type": "host-local"},
        "dns": {},
        "disableCheck": false,
        "disableGC": false,
        "loadOnlyInlinedPlugins": true,
        "deviceID": "not this one",
        "pciBusID": "0000:18:02.5",
        "cni.dev/valid-attachments": [{"containerID": "c", "ifname": "eth0", "more": 1}],
        "cni.dev/attachments": [{"containerID": "d", "ifname": "net1"}],
        "cni.dev/future": 1,
        "profile": "motion",
        "selectableProfiles": ["video"],
        "trafficClass": 7,
        "match": {"pcp": 5},
        "interface": "eth0",
        "failurePolicy": "closed",
        "deadlineMs": 500,
        "socket": "/run/other.sock",
        "recordDirectory": "/run/other",
        "strictStatus": true,
    }))
    .unwrap();

    assert_eq!(configuration.network, "plant");
    assert_eq!(
        configuration.offer,
        Offer {
            profile: "motion".to_owned(),
            selectable_profiles: vec!["video".to_owned()],
            traffic_class: Some("7".to_owned()),
            selector: json!({"pcp": 5}).as_object().unwrap().clone(),
        }
    );
    assert_eq!(configuration.failure_policy, FailurePolicy::Closed);
    assert_eq!(
        configuration.argument.unwrap()["profile"].get(),
        "\"video\""
    );
    assert_eq!(configuration.annotations["a"], "b");
    assert_eq!(
        configuration.device,
        DeviceHints {
            id: Some("0000:18:02.5".to_owned()),
            information: Some("/run/d.json".into()),
        }
    );
    assert!(configuration.previous_result.is_some());
    let valid = configuration.valid_attachments.unwrap();
    let valid: Vec<_> = valid
        .iter()
        .map(|one| (one.container_id.as_str(), one.interface.as_str()))
        .collect();
    assert_eq!(valid, [("c", "eth0"), ("d", "net1")]);
    let site = configuration.site;
    assert_eq!(site.interface.as_deref(), Some("eth0"));
    assert_eq!(site.deadline, Duration::from_millis(500));
    assert_eq!(site.socket, Path::new("/run/other.sock"));
    assert_eq!(site.records.path(), Path::new("/run/other"));
    assert!(site.strict_status);
}

#[test]
fn what_is_not_said_has_its_default() {
    let configuration = read(with("trafficClass", Value::Null)).unwrap();
    assert_eq!(configuration.offer.traffic_class, None);
    assert_eq!(configuration.failure_policy, FailurePolicy::Open);
    assert_eq!(configuration.valid_attachments, None);
    assert_eq!(configuration.device, DeviceHints::default());
    let site = configuration.site;
    assert_eq!(site.deadline, Duration::from_secs(3));
    assert_eq!(site.socket, Path::new("/run/tsnd/control.sock"));
    assert_eq!(site.records.path(), Path::new("/run/tsnd/cni"));
    assert!(!site.strict_status && site.interface.is_none());
}

#[test]
fn the_device_that_multus_writes_beside_the_fields_is_taken() {
    let configuration = read(with("deviceID", json!("0000:18:02.5"))).unwrap();
    assert_eq!(configuration.device.id.as_deref(), Some("0000:18:02.5"));
}

#[test]
fn a_list_of_attachments_without_entries_is_not_no_list() {
    for name in VALID_ATTACHMENTS {
        for nothing in [json!([]), Value::Null] {
            assert_eq!(
                read(with(name, nothing)).unwrap().valid_attachments,
                Some(Vec::new())
            );
        }
    }
}

#[test]
fn wrong_fields_are_named_with_their_value_and_the_way_out() {
    for (field, value, code, parts) in [
        (
            "profil",
            json!("x"),
            Code::UnsupportedField,
            ["`profil` with the value \"x\"", "selectableProfiles"],
        ),
        (
            "profile",
            json!(7),
            Code::InvalidConfiguration,
            ["`profile` is 7", "expected a string"],
        ),
        (
            "profile",
            Value::Null,
            Code::InvalidConfiguration,
            ["`profile` is missing", "tsnd's configuration"],
        ),
        (
            "name",
            Value::Null,
            Code::InvalidConfiguration,
            ["`name` is missing", ""],
        ),
        (
            "selectableProfiles",
            json!("x"),
            Code::InvalidConfiguration,
            ["`selectableProfiles`", "sequence"],
        ),
        (
            "trafficClass",
            json!(300),
            Code::InvalidConfiguration,
            ["`trafficClass` is 300", "by number or name"],
        ),
        (
            "match",
            json!([]),
            Code::InvalidConfiguration,
            ["`match` is []", "map"],
        ),
        (
            "failurePolicy",
            json!("half"),
            Code::InvalidConfiguration,
            ["`half`", "`open` or `closed`"],
        ),
        (
            "deadlineMs",
            json!(99),
            Code::InvalidConfiguration,
            ["`deadlineMs` is 99", "100 to 60000"],
        ),
        (
            "deadlineMs",
            json!(60_001),
            Code::InvalidConfiguration,
            ["is 60001", "100 to 60000"],
        ),
        (
            "deadlineMs",
            json!(-1),
            Code::InvalidConfiguration,
            ["`deadlineMs` is -1", "u64"],
        ),
        (
            "socket",
            json!("x.sock"),
            Code::InvalidConfiguration,
            ["`socket` is `x.sock`", "absolute path"],
        ),
        (
            "recordDirectory",
            json!(""),
            Code::InvalidConfiguration,
            ["`recordDirectory` is ``", "absolute path"],
        ),
        (
            "strictStatus",
            json!("yes"),
            Code::InvalidConfiguration,
            ["`strictStatus` is \"yes\"", "boolean"],
        ),
        (
            "args",
            json!([]),
            Code::InvalidConfiguration,
            ["`args` is []", "map"],
        ),
        (
            "args",
            json!({"cni": {"tsnd": 1}}),
            Code::InvalidConfiguration,
            ["`args.cni.tsnd` is 1", "map"],
        ),
        (
            "runtimeConfig",
            json!({"deviceID": 1}),
            Code::InvalidConfiguration,
            ["`runtimeConfig.deviceID` is 1", "string"],
        ),
        (
            "cni.dev/attachments",
            json!([{"containerID": 1}]),
            Code::InvalidConfiguration,
            ["`cni.dev/attachments`", "string"],
        ),
    ] {
        let error = read(with(field, value)).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        let message = error.to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn the_page_has_all_fields() {
    let page = include_str!("../../../docs/cni.md");
    let (_, configuration) = page.split_once("\n## Configuration\n").unwrap();
    let (configuration, _) = configuration.split_once("\n## ").unwrap();
    let rows = configuration
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let mut documented: Vec<_> = rows
        .filter_map(|row| Some(row.split_once('`')?.0))
        .collect();

    let error = read(with("no-such-field", json!(1)))
        .unwrap_err()
        .to_string();
    let (_, fields) = error.split_once("; there are ").unwrap();
    let mut fields: Vec<_> = fields.split(", ").collect();
    documented.sort_unstable();
    fields.sort_unstable();
    assert_eq!(documented, fields);
}

#[test]
fn versions_that_are_not_spoken_are_refused_with_those_that_are() {
    for (asked, refused) in [
        (json!("0.2.0"), "0.2.0"),
        (json!("1.2.0"), "1.2.0"),
        (Value::Null, "0.1.0"),
    ] {
        let json = with("cniVersion", asked).to_string();
        let error = Input::decode(json.as_bytes())
            .unwrap()
            .version()
            .unwrap_err();
        assert_eq!(error.code, Code::IncompatibleVersion);
        let expected =
            format!("cniVersion {refused} is not supported; there are 0.3.1, 0.4.0, 1.0.0, 1.1.0");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn anything_but_an_object_is_undecodable() {
    for input in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"\"x\"",
        b"{} {}",
        b"\xff\xfe",
        b"{\"a\":}",
    ] {
        assert_eq!(Input::decode(input).unwrap_err().code, Code::Undecodable);
    }
}

#[test]
fn del_makes_do_with_what_it_can_read() {
    let json = json!({
        "name": "n",
        "no such field": 1,
        "socket": 7,
        "deadlineMs": 1,
        "recordDirectory": "/run/other",
        "interface": [],
    });
    let mut input = Input::decode(json.to_string().as_bytes()).unwrap();
    let errors = std::cell::Cell::new(0);
    let site = Site::take(&mut input, |_| {
        errors.set(errors.get() + 1);
        Ok(())
    })
    .unwrap();
    assert_eq!(errors.get(), 3);
    assert_eq!(site.network.as_deref(), Some("n"));
    assert_eq!(site.records.path(), Path::new("/run/other"));
    assert_eq!(site.socket, Path::new("/run/tsnd/control.sock"));
    assert_eq!(
        (site.deadline, site.interface),
        (Duration::from_secs(3), None)
    );
}
