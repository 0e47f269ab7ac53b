use proptest::prelude::*;

use super::*;
use crate::cni_install::FailurePolicy;

/// As Flannel writes it.
const FLANNEL: &str = r#"{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "flannel",
      "delegate": {
        "hairpinMode": true,
        "isDefaultGateway": true
      }
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      }
    }
  ]
}
"#;

fn entry(profile: &str) -> Entry {
    Entry {
        profile: profile.to_owned(),
        ..Entry::default()
    }
}

fn with(text: &str, entry: &Entry) -> String {
    PluginList::parse(text).unwrap().with(entry).unwrap()
}

fn without(text: &str) -> String {
    PluginList::parse(text).unwrap().without().unwrap()
}

#[test]
fn the_entry_comes_last_in_the_manner_of_the_others() {
    let text = with(FLANNEL, &entry("motion"));
    let added = r#"        "portMappings": true
      }
    },
    {
      "type": "tsn-cni",
      "profile": "motion",
      "capabilities": {
        "io.kubernetes.cri.pod-annotations": true
      }
    }
  ]
}
"#;
    assert!(text.ends_with(added), "{text}");
    assert_eq!(without(&text), FLANNEL);
    let one_line = r#"{"cniVersion":"1.1.0","name":"n","plugins":[{"type":"bridge"}]}"#;
    let text = with(one_line, &entry("motion"));
    assert_eq!(text.lines().count(), 1);
    assert_eq!(without(&text), one_line);
}

#[test]
fn what_is_there_already_is_left_where_it_is() {
    let text = with(FLANNEL, &entry("motion"));
    assert_eq!(with(&text, &entry("motion")), text);
    // Written in another manner, in front of what came later.
    let other = r#"{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"ptp"},
        {"capabilities":{"io.kubernetes.cri.pod-annotations":true},"profile":"motion","type":"tsn-cni"},{"type":"tuning"}]}"#;
    assert_eq!(with(other, &entry("motion")), other);
}

#[test]
fn other_settings_and_entries_too_many_are_replaced_by_one() {
    let text = with(FLANNEL, &entry("motion"));
    assert_eq!(with(&text, &entry("video")), with(FLANNEL, &entry("video")));
    // What came after it is called after it still.
    let between = r#"{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"ptp"}, {"type":"tsn-cni"},{"type":"tuning"}]}"#;
    let text = with(between, &entry("motion"));
    let list = PluginList::parse(&text).unwrap();
    assert_eq!(
        list.types().collect::<Vec<_>>(),
        ["ptp", "tsn-cni", "tuning"]
    );
    assert!(list.says(1, &entry("motion")).unwrap());
    let twice = r#"{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"tsn-cni"},{"type":"tsn-cni","profile":"a"},{"type":"ptp"},{"type":"tsn-cni"}]}"#;
    let text = with(twice, &entry("motion"));
    let list = PluginList::parse(&text).unwrap();
    assert_eq!(list.types().collect::<Vec<_>>(), ["ptp", "tsn-cni"]);
}

#[test]
fn only_the_entry_that_says_this_is_taken_out() {
    let text = with(FLANNEL, &entry("motion"));
    let without = |entry: &Entry| {
        PluginList::parse(&text)
            .unwrap()
            .without_this(entry)
            .unwrap()
    };
    assert_eq!(without(&entry("video")), text);
    assert_eq!(without(&entry("motion")), FLANNEL);
}

#[test]
fn every_option_has_its_field() {
    let entry = Entry {
        profile: "motion".into(),
        selectable_profiles: vec!["video".into()],
        traffic_class: Some("control".into()),
        failure_policy: Some(FailurePolicy::Closed),
        deadline_ms: Some(500),
        socket: Some("/run/tsnd/control.sock".into()),
        record_directory: Some("/run/tsnd/cni".into()),
        strict_status: true,
    };
    assert_eq!(
        serde_json::to_value(entry.to_plugin()).unwrap(),
        serde_json::json!({
            "type": "tsn-cni",
            "profile": "motion",
            "selectableProfiles": ["video"],
            "trafficClass": "control",
            "failurePolicy": "closed",
            "deadlineMs": 500,
            "socket": "/run/tsnd/control.sock",
            "recordDirectory": "/run/tsnd/cni",
            "strictStatus": true,
            "capabilities": { "io.kubernetes.cri.pod-annotations": true },
        })
    );
}

#[test]
fn what_is_no_list_is_refused() {
    for (text, reason) in [
        ("", "is no list of CNI plugins: EOF"),
        ("{\"name\": \"cbr0\", \"plugins\": [", "EOF"),
        ("[]", "is no list of CNI plugins"),
        (r#"{"name":"n","type":"bridge"}"#, "missing field `plugins`"),
        (
            r#"{"name":"n","plugins":[{"name":"x"}]}"#,
            "missing field `type`",
        ),
        (
            r#"{"name":"n","plugins":[],"plugins":[]}"#,
            "duplicate field",
        ),
        (r#"{"name":"n","plugins":[]}"#, "has no plugins"),
        (
            r#"{"name":"n","cniVersion":"0.2.0","plugins":[{"type":"a"}]}"#,
            "has the cniVersion \"0.2.0\"",
        ),
        (
            r#"{"name":"n","cniVersion":"1.0.0","plugins":[{"type":"tsn-cni"}]}"#,
            "has no plugin but tsn-cni",
        ),
    ] {
        let error = PluginList::parse(text).and_then(|list| list.with(&entry("motion")));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

fn space() -> impl Strategy<Value = String> {
    "[ \t\n]{0,6}"
}

/// A list with anything in it, written in any manner.
fn list() -> impl Strategy<Value = String> {
    let plugin =
        ("[a-z]{1,8}", "[\\[\\]{},\"\\\\a-zé]{0,8}", space()).prop_map(|(kind, value, space)| {
            let value = Value::String(value);
            format!("{{{space}\"x\":{space}{value},\"type\":{space}\"{kind}\"{space}}}")
        });
    let plugins = prop::collection::vec((space(), plugin, space()), 1..4);
    (plugins, space()).prop_map(|(plugins, space)| {
        let plugins: Vec<String> = plugins
            .into_iter()
            .map(|(before, plugin, after)| format!("{before}{plugin}{after}"))
            .collect();
        let plugins = plugins.join(",");
        format!(
            "{space}{{\"disableCheck\":true,{space}\"plugins\" :[{plugins}],\"cniVersion\":\"1.1.0\",{space}\"name\":\"é\"}}{space}"
        )
    })
}

proptest! {
    #[test]
    fn any_list_gets_the_entry_as_its_last_and_is_given_back_as_it_was(text in list()) {
        let changed = with(&text, &entry("motion"));
        let mut expected: Value = serde_json::from_str(&text).unwrap();
        let ours = serde_json::to_value(entry("motion").to_plugin()).unwrap();
        expected["plugins"].as_array_mut().unwrap().push(ours);
        prop_assert_eq!(serde_json::from_str::<Value>(&changed).unwrap(), expected);
        prop_assert_eq!(without(&with(&changed, &entry("video"))), text);
    }
}
