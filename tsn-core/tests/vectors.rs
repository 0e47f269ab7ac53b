//! Runs the worked cases of `vectors/tas.json` through the public API.
//!
//! `TSN_VECTORS=FILE cargo test -p tsn-core --test vectors` runs another file of the same form. A
//! key or an expectation that this file does not know fails the test, with the id of the case;
//! texts that explain a case may have any name.

mod vector_file;

#[path = "vectors/fit.rs"]
mod fit;
#[path = "vectors/gate.rs"]
mod gate;
#[path = "vectors/launch.rs"]
mod launch;
#[path = "vectors/select.rs"]
mod select;

use serde_json::Value;

/// Texts that are part of a case; every other text explains it and is not checked.
const CHECKED_TEXTS: [&str; 5] = ["id", "kind", "action", "unit", "error"];
/// How exactly a run on a real kernel could be measured; here it is exact.
const MEASURING_TOLERANCE: &str = "tolerance_us";

#[test]
fn worked_cases() {
    let text = match std::env::var_os("TSN_VECTORS") {
        None => include_str!("vectors/tas.json").to_owned(),
        Some(path) => {
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
        }
    };
    let file: Value = serde_json::from_str(&text).expect("the file is JSON");
    let vectors = file["vectors"]
        .as_array()
        .expect("the file has an array `vectors`");

    let mut failures = Vec::new();
    let mut passed = 0;
    for vector in vectors {
        let id = vector["id"]
            .as_str()
            .expect("every vector has an id")
            .to_owned();
        let kind = vector["kind"]
            .as_str()
            .unwrap_or_else(|| panic!("{id}: no kind"))
            .to_owned();
        let mut body = vector.clone();
        strip_commentary(&mut body);
        let keys = body.as_object_mut().expect("every vector is an object");
        // What a refused sender is told is checked for each case of kind `launch`.
        keys.retain(|key, _| !["id", "kind", "error"].contains(&key.as_str()));
        let outcome = match kind.as_str() {
            "gate" => gate::check(body),
            "fit" => fit::check(body),
            "select" => select::check(body),
            "launch" | "txtime" => launch::check(body),
            _ => {
                println!("{id}: kind {kind} is not covered by this crate yet");
                continue;
            }
        };
        match outcome {
            Ok(()) => passed += 1,
            Err(message) => failures.push(format!("{id} ({kind}): {message}")),
        }
    }
    println!("{passed} passed, {} failed", failures.len());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(passed > 0, "no case of a covered kind");
}

fn strip_commentary(value: &mut Value) {
    match value {
        Value::Object(keys) => {
            keys.retain(|key, value| {
                let is_checked = !value.is_string() || CHECKED_TEXTS.contains(&key.as_str());
                is_checked && key != MEASURING_TOLERANCE
            });
            keys.values_mut().for_each(strip_commentary);
        }
        Value::Array(values) => values.iter_mut().for_each(strip_commentary),
        _ => {}
    }
}
