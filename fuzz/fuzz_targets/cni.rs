//! Calls of the CNI plugin: whatever environment and input are, the answer is one of the protocol.

#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

// The first line says what the variables are, divided by spaces; the rest is the input. No network namespace is named, so
// nothing is recorded, and no daemon listens.
fuzz_target!(|call: &[u8]| {
    let mut parts = call.splitn(2, |byte| *byte == b'\n');
    let mut variables = parts.next().unwrap_or_default().split(|byte| *byte == b' ');
    let mut next = || OsString::from_vec(variables.next().unwrap_or_default().to_vec());
    let [command, container_id, interface, arguments] = [next(), next(), next(), next()];
    let input = parts.next().unwrap_or_default();
    let answer = tsn_cni::answer(
        |name| match name {
            "CNI_COMMAND" => Some(command.clone()),
            "CNI_CONTAINERID" => Some(container_id.clone()),
            "CNI_IFNAME" => Some(interface.clone()),
            "CNI_ARGS" => Some(arguments.clone()),
            "CNI_NETNS" => Some("/no/such/namespace".into()),
            _ => None,
        },
        input,
    );
    if answer.output.is_empty() {
        return assert!(answer.success, "an error says why");
    }
    let output: Value = serde_json::from_str(&answer.output).expect("an answer is JSON");
    assert!(output["cniVersion"].is_string());
    assert_eq!(answer.success, output["code"].is_null());
});
