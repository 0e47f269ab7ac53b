//! What a conversion could not carry.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::config::{TrafficClassSettings, Uplink};

/// Something that the source says and the target cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The field: in the words of the source, or of `tsnd` where [`write()`](super::write()) alone was asked.
    pub field: String,
    /// Its value.
    pub value: String,
    /// Why it is not carried, and what to do where something can be done.
    pub why: String,
}

impl Loss {
    pub(super) fn new(
        field: impl Into<String>,
        value: impl fmt::Display,
        why: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            value: value.to_string(),
            why: why.into(),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.field, self.value, self.why)
    }
}

/// A loss for each member of `settings` that is not what it is by default.
pub(super) fn changed_settings<T: Serialize>(
    place: &str,
    settings: &T,
    default: &T,
    why: &str,
) -> Vec<Loss> {
    let members = |settings: &T| match serde_json::to_value(settings) {
        Ok(Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let default = members(default);
    members(settings)
        .into_iter()
        .filter(|(name, value)| default.get(name) != Some(value))
        .map(|(name, value)| Loss::new(format!("{place}.{name}"), value, why))
        .collect()
}

/// What only `tsnd` says of an uplink: how its daemon sends and queues, and the names of the classes.
pub(super) fn settings_of_tsnd(uplink: &Uplink) -> Vec<Loss> {
    const WHY: &str = "a setting of tsnd's own";
    // What the other formats say is made equal, so that only the rest differs.
    let default = Uplink {
        traffic_classes: uplink.traffic_classes.clone(),
        gate_parameters: uplink.gate_parameters.clone(),
        ..Uplink::on_device(&uplink.device)
    };
    let mut losses = changed_settings("uplinks[0]", uplink, &default, WHY);
    for (index, class) in uplink.traffic_classes.iter().enumerate() {
        let default = TrafficClassSettings {
            queue_max_sdu: class.queue_max_sdu,
            ..TrafficClassSettings::numbered(class.number)
        };
        let place = format!("uplinks[0].traffic-classes[{index}]");
        losses.extend(changed_settings(&place, class, &default, WHY));
    }
    losses
}
