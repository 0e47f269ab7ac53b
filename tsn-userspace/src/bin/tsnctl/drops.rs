//! Counters of drops, in words.

use std::collections::BTreeMap;

/// The causes that have counted anything, such as `3 late`.
pub fn named(drops: &BTreeMap<String, u64>) -> Vec<String> {
    let named = drops.iter().filter(|(_, frames)| **frames > 0);
    named
        .map(|(cause, frames)| format!("{frames} {cause}"))
        .collect()
}

/// All of them in one line, or that there are none.
pub fn listed(drops: &BTreeMap<String, u64>) -> String {
    let named = named(drops);
    if named.is_empty() {
        "none".to_owned()
    } else {
        named.join(", ")
    }
}
