use std::os::unix::ffi::OsStringExt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::*;

/// Values of a variable: none, good ones, and what no runtime would give.
fn variable(good: &'static [&'static str]) -> impl Strategy<Value = Option<OsString>> {
    prop_oneof![
        1 => Just(None),
        4 => select(good).prop_map(|text| Some(OsString::from(text))),
        1 => ".*".prop_map(|text| Some(OsString::from(text))),
        1 => vec(1..=255_u8, 0..16).prop_map(|bytes| Some(OsString::from_vec(bytes))),
    ]
}

/// A value that may be anywhere in a configuration.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        select(
            &[
                "open",
                "/no/such/path",
                "video",
                "0.3.1",
                "1.1.0",
                "0000:18:02.5"
            ][..]
        )
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key = select(
            &[
                "cni",
                "tsnd",
                "profile",
                "match",
                "containerID",
                "ifname",
                "interfaces",
                "ips",
                "deviceID",
            ][..],
        );
        let entry = (key.prop_map(str::to_owned), inner.clone());
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::from),
            vec(entry, 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// A good configuration, of which some fields are something else.
fn configuration() -> impl Strategy<Value = String> {
    let fields = [
        "cniVersion",
        "name",
        "profile",
        "selectableProfiles",
        "trafficClass",
        "match",
        "interface",
        "failurePolicy",
        "deadlineMs",
        "strictStatus",
        "prevResult",
        "args",
        "runtimeConfig",
        "cni.dev/valid-attachments",
        "cni.dev/attachments",
        "deviceID",
        "unknown",
    ];
    let changes = vec((select(fields.to_vec()), value()), 0..4);
    (select(Version::ALL.to_vec()), changes).prop_map(|(version, changes)| {
        let mut configuration = json!({
            "cniVersion": version.as_str(),
            "name": "no-such-network",
            "profile": "motion",
            "socket": "/no/such/socket",
            "recordDirectory": "/proc/no/such/directory",
            "prevResult": {"cniVersion": version.as_str(), "interfaces": [], "ips": [{"address": "::1/128"}]},
            "cni.dev/valid-attachments": [],
        });
        for (field, value) in changes {
            configuration[field] = value;
        }
        configuration.to_string()
    })
}

/// Input as it may arrive: whole, cut, changed in a byte, or nothing of the sort.
fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => configuration().prop_map(String::into_bytes),
        1 => (configuration(), any::<prop::sample::Index>()).prop_map(|(text, end)| {
            text.as_bytes()[..end.index(text.len())].to_vec()
        }),
        2 => (configuration(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        }),
        1 => vec(any::<u8>(), 0..256),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever comes in, an answer of the protocol goes out.
    #[test]
    fn no_call_is_too_strange_for_an_answer(
        command in variable(&["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"]),
        container_id in variable(&["no-such-container"]),
        interface in variable(&["eth0", "net1"]),
        netns in variable(&["/proc/self/ns/net", "/no/such/netns", ""]),
        arguments in variable(&["IgnoreUnknown=1;K8S_POD_NAME=p;;=;K8S_POD_NAMESPACE=n", "TSND_UDP_PORT=5-7"]),
        netns_override in variable(&["true", "1", ""]),
        input in input(),
    ) {
        let answer = answer(
            |name| match name {
                "CNI_COMMAND" => command.clone(),
                "CNI_CONTAINERID" => container_id.clone(),
                "CNI_IFNAME" => interface.clone(),
                "CNI_NETNS" => netns.clone(),
                "CNI_ARGS" => arguments.clone(),
                "CNI_NETNS_OVERRIDE" => netns_override.clone(),
                _ => None,
            },
            &input[..],
        );
        let output: Option<Value> = match answer.output.as_str() {
            "" => None,
            text => Some(serde_json::from_str(text).unwrap()),
        };
        match (answer.success, output) {
            (true, None) => {}
            (true, Some(result)) => {
                prop_assert!(Version::parse(result["cniVersion"].as_str().unwrap()).is_some());
            }
            (false, error) => {
                let error = error.expect("an error says why");
                let code = error["code"].as_u64().unwrap();
                prop_assert!(Code::ALL.iter().any(|known| u64::from(*known as u32) == code));
                prop_assert!(!error["msg"].as_str().unwrap().is_empty());
            }
        }
    }
}
