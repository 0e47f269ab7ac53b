//! The daemon's configuration: any text is refused with an error that says where, or is a configuration that means the
//! same after it was written and read as a request of the control API.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The module itself, not its crate: that would bring AF_XDP's C libraries into the instrumented build.
#[allow(dead_code, unused_imports)]
#[path = "../../tsn-userspace/src/config/mod.rs"]
mod config;

/// Scalars with a syntax of their own; one is as deep as a mutation of a whole document seldom gets.
const SCALARS: [&str; 4] = ["INTERVAL", "INSTANT", "PORTS", "GATES"];

/// A document with a place for each of the scalars.
const TEMPLATE: &str = r#"
uplinks:
  - device: eth0
    gate-parameters:
      admin-base-time: "INSTANT"
      admin-cycle-time: "INTERVAL"
      admin-control-list: [{ gate-states-value: "GATES", time-interval-value: "INTERVAL" }]
pods:
  - name: pod1
    netns: /run/netns/pod1
    streams: [{ name: a, match: { udp-destination-port: "PORTS" }, traffic-class: 6, late-tolerance: "INTERVAL" }]
profiles:
  - name: motion
    streams: [{ name: a, match: { udp-destination-port: "PORTS" }, traffic-class: 6 }]
"#;

/// Whole documents as they are; a text that begins with a digit is one of the scalars.
fn document(text: &str) -> String {
    let Some(which) = text.chars().next().and_then(|first| first.to_digit(10)) else {
        return text.to_owned();
    };
    let fuzzed = SCALARS[which as usize % SCALARS.len()];
    let escaped = text[1..].escape_default().to_string();
    let document = TEMPLATE.replace(fuzzed, &escaped);
    let usual = SCALARS.into_iter().zip(["1ms", "1s", "5000-5010", "0xff"]);
    usual.fold(document, |document, (scalar, value)| {
        document.replace(scalar, value)
    })
}

fuzz_target!(|text: &str| {
    let document = document(text);
    match config::Configuration::from_yaml(&document) {
        Ok(configuration) => {
            let json =
                serde_json::to_string(&configuration).expect("a configuration can be written");
            let again = serde_json::from_str(&json).expect("what was written can be read");
            assert_eq!(
                configuration, again,
                "changed by writing and reading: {json}"
            );
            again.check().expect("what was checked once is good");
        }
        Err(error) => {
            assert!(!error.reason.is_empty());
            // A line ends as YAML says (5.4): with either of the two, or with both.
            let line = document
                .replace("\r\n", "\n")
                .split(['\n', '\r'])
                .nth(error.position.line as usize - 1)
                .map(str::to_owned);
            let columns = line.expect("the line is in the document").chars().count() as u64;
            assert!(error.position.column <= columns + 1, "{error}");
        }
    }
});
