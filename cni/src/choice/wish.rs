//! What a pod's author says, in each of the places where it can be said.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Annotations, ClassName};
use crate::configuration::Fields;
use crate::environment::Arguments;
use crate::error::{Code, Error};

const UDP_DESTINATION_PORT: &str = "udp-destination-port";
/// Keys of `CNI_ARGS` that begin so are ours.
const ARGUMENT_PREFIX: &str = "TSND_";
/// The keys that there are in `CNI_ARGS`.
const ARGUMENTS: [&str; 3] = ["TSND_PROFILE", "TSND_TRAFFIC_CLASS", "TSND_UDP_PORT"];
/// Annotations that begin so are ours.
const ANNOTATION_PREFIX: &str = "tsnd.dev/";
/// The annotations that there are, each also with `.` and an interface behind it.
const ANNOTATIONS: [&str; 3] = ["profile", "traffic-class", UDP_DESTINATION_PORT];

/// What a pod wants; what is not said is left open.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wish {
    pub(super) profile: Option<String>,
    pub(super) traffic_class: Option<String>,
    pub(super) selector: Map<String, Value>,
}

impl Wish {
    /// `TSND_PROFILE=…;TSND_TRAFFIC_CLASS=…;TSND_UDP_PORT=…` of `CNI_ARGS`.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidEnvironment`] for a key that begins like ours and does not exist.
    pub(super) fn of_arguments(arguments: &Arguments) -> Result<Self, Error> {
        let mut ours = arguments
            .pairs()
            .filter(|(key, _)| key.starts_with(ARGUMENT_PREFIX));
        if let Some((key, value)) = ours.find(|(key, _)| !ARGUMENTS.contains(key)) {
            let message = format!(
                "CNI_ARGS has the unknown key `{key}` with the value `{value}`; there are {}",
                ARGUMENTS.join(", ")
            );
            return Err(Error::new(Code::InvalidEnvironment, message));
        }
        let [profile, traffic_class, port] = ARGUMENTS.map(|key| arguments.get(key));
        Ok(Self::of_text(profile, traffic_class, port))
    }

    /// The object `args.cni.tsnd` of the network configuration, which Multus makes of a pod's `cni-args`.
    ///
    /// # Errors
    ///
    /// For an unknown field or one of another type.
    pub(super) fn of_argument(values: BTreeMap<String, Box<RawValue>>) -> Result<Self, Error> {
        let mut fields = Fields::new("args.cni.tsnd.", values);
        let wish = Self {
            profile: fields.take("profile")?,
            traffic_class: fields
                .take::<ClassName>("traffic-class")?
                .map(|class| class.0),
            selector: fields.take("match")?.unwrap_or_default(),
        };
        fields.finish()?;
        Ok(wish)
    }

    /// The pod's annotations: those for this interface before those for all.
    ///
    /// # Errors
    ///
    /// [`Code::UnsupportedField`] for an annotation that begins like ours and does not exist,
    /// [`Code::InvalidConfiguration`] for one that is no text.
    pub(super) fn of_annotations(
        annotations: &Annotations,
        interface: &str,
    ) -> Result<Self, Error> {
        let ours = annotations.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix(ANNOTATION_PREFIX)?;
            Some((key, name, value))
        });
        let mut general = [None; 3];
        let mut specific = [None; 3];
        for (key, name, value) in ours {
            let (base, of) = name.split_once('.').unzip();
            let base = base.unwrap_or(name);
            let Some(index) = ANNOTATIONS.iter().position(|known| *known == base) else {
                let known = ANNOTATIONS
                    .map(|name| format!("{ANNOTATION_PREFIX}{name}"))
                    .join(", ");
                let message = format!(
                    "the pod has the unknown annotation `{key}` with the value {value}; there are {known}, each also with \
                     `.` and an interface behind it"
                );
                return Err(Error::new(Code::UnsupportedField, message));
            };
            let Some(text) = value.as_str() else {
                let message = format!("the annotation `{key}` is {value}, must be a string");
                return Err(Error::new(Code::InvalidConfiguration, message));
            };
            match of {
                None => general[index] = Some(text),
                Some(of) if of == interface => specific[index] = Some(text),
                Some(_) => {}
            }
        }
        let [profile, traffic_class, port] =
            std::array::from_fn(|index| specific[index].or(general[index]));
        Ok(Self::of_text(profile, traffic_class, port))
    }

    /// Says more, or something else.
    pub(super) fn overlay(&mut self, other: Self) {
        self.profile = other.profile.or(self.profile.take());
        self.traffic_class = other.traffic_class.or(self.traffic_class.take());
        self.selector.extend(other.selector);
    }

    fn of_text(profile: Option<&str>, traffic_class: Option<&str>, port: Option<&str>) -> Self {
        // One port is a number, as it is written in tsnd.yaml; a range is text. What is neither the daemon refuses.
        let port = port.map(|text| match text.parse::<u16>() {
            Ok(number) => number.into(),
            Err(_) => text.into(),
        });
        Self {
            profile: profile.map(str::to_owned),
            traffic_class: traffic_class.map(str::to_owned),
            selector: port
                .map(|port: Value| (UDP_DESTINATION_PORT.to_owned(), port))
                .into_iter()
                .collect(),
        }
    }
}
