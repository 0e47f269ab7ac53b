//! Two looks at a daemon that were written down: half a second apart in the third of the cycle.

use super::model::{Model, Sample};

pub fn before() -> Sample {
    serde_json::from_str(include_str!("golden/before.json")).unwrap()
}

pub fn after() -> Sample {
    serde_json::from_str(include_str!("golden/after.json")).unwrap()
}

/// After both.
pub fn model() -> Model {
    let mut model = Model::default();
    model.add(before());
    model.add(after());
    model
}
