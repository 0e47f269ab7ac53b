//! The daemon's configuration: any text is refused with an error that says where, or is a configuration that means the
//! same after it was written and read as a request of the control API.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The module itself, not its crate: that would bring AF_XDP's C libraries into the instrumented build.
#[allow(dead_code, unused_imports)]
#[path = "../../tsn-userspace/src/config/mod.rs"]
mod config;

fuzz_target!(|text: &str| {
    match config::Configuration::from_yaml(text) {
        Ok(configuration) => {
            let json = serde_json::to_string(&configuration).expect("a configuration can be written");
            let again: config::Configuration = serde_json::from_str(&json).expect("what was written can be read");
            assert_eq!(configuration, again, "changed by writing and reading: {json}");
            again.check().expect("what was checked once is good");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
