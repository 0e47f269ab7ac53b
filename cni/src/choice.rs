//! What a pod wants, as far as the administrator lets it: a choice among profiles, and within one.
//!
//! The network configuration is the administrator's. All else comes from a pod's author, who may choose among the profiles
//! that the configuration names, and may say what it leaves open, but can take nothing back that it says.

mod wish;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::environment::Arguments;
use crate::error::{Code, Error};
use crate::record::Request;

use wish::Wish;

/// The largest request, far above what its fields need.
const REQUEST_BYTES: usize = 16 << 10;

/// A pod's annotations, of which only some are ours.
pub(crate) type Annotations = BTreeMap<String, Value>;

/// What the administrator lets a pod have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offer {
    /// The profile of a pod that wants nothing else.
    pub(crate) profile: String,
    /// What it may want instead.
    pub(crate) selectable_profiles: Vec<String>,
    /// Of `profile`, only the streams of this class.
    pub(crate) traffic_class: Option<String>,
    /// Of `profile`, only what matches this.
    pub(crate) selector: Map<String, Value>,
}

/// A traffic class by number or name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "NumberOrName")]
pub(crate) struct ClassName(pub(crate) String);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a traffic class, by number or name")]
enum NumberOrName {
    Number(u8),
    Name(String),
}

impl From<NumberOrName> for ClassName {
    fn from(class: NumberOrName) -> Self {
        match class {
            NumberOrName::Number(number) => Self(number.to_string()),
            NumberOrName::Name(name) => Self(name),
        }
    }
}

/// Where a pod's author can say what the pod wants.
pub(crate) struct Sources<'a> {
    /// `CNI_ARGS`, which counts least.
    pub(crate) arguments: &'a Arguments,
    /// `args.cni.tsnd`.
    pub(crate) argument: Option<BTreeMap<String, Box<RawValue>>>,
    /// The annotations, which count most.
    pub(crate) annotations: &'a Annotations,
    /// The interface, which an annotation may name.
    pub(crate) interface: &'a str,
}

/// What the daemon is asked for.
///
/// # Errors
///
/// When a pod wants what is not offered, or says it in words that do not exist.
pub(crate) fn choose(offer: &Offer, sources: Sources<'_>) -> Result<Request, Error> {
    let mut wish = Wish::of_arguments(sources.arguments)?;
    if let Some(argument) = sources.argument {
        wish.overlay(Wish::of_argument(argument)?);
    }
    wish.overlay(Wish::of_annotations(
        sources.annotations,
        sources.interface,
    )?);

    let profile = wish.profile.take().unwrap_or_else(|| offer.profile.clone());
    let mut request = if profile == offer.profile {
        Request {
            profile,
            traffic_class: offer.traffic_class.clone(),
            selector: offer.selector.clone(),
        }
    } else if offer.selectable_profiles.contains(&profile) {
        Request {
            profile,
            ..Request::default()
        }
    } else {
        return Err(not_offered(&profile, offer));
    };
    add(&mut request, wish)?;
    within_size(request)
}

/// Adds what the request leaves open.
fn add(request: &mut Request, wish: Wish) -> Result<(), Error> {
    if let Some(wanted) = wish.traffic_class {
        match &request.traffic_class {
            Some(fixed) if *fixed != wanted => {
                return Err(is_fixed("trafficClass", &wanted, fixed));
            }
            _ => request.traffic_class = Some(wanted),
        }
    }
    for (field, wanted) in wish.selector {
        match request.selector.get(&field) {
            Some(fixed) if *fixed != wanted => {
                return Err(is_fixed(&format!("match.{field}"), &wanted, fixed));
            }
            _ => request.selector.insert(field, wanted),
        };
    }
    Ok(())
}

fn not_offered(profile: &str, offer: &Offer) -> Error {
    let mut allowed = vec![offer.profile.as_str()];
    allowed.extend(offer.selectable_profiles.iter().map(String::as_str));
    invalid(format!(
        "the pod wants the profile `{profile}`; the network configuration allows {} (`profile` and `selectableProfiles`)",
        allowed.join(", ")
    ))
}

fn is_fixed(field: &str, wanted: impl std::fmt::Display, fixed: impl std::fmt::Display) -> Error {
    invalid(format!(
        "the pod wants `{field}` to be {wanted}; the network configuration sets it to {fixed}, and a pod may only choose \
         what that leaves open"
    ))
}

fn within_size(request: Request) -> Result<Request, Error> {
    match serde_json::to_vec(&request) {
        Ok(bytes) if bytes.len() <= REQUEST_BYTES => Ok(request),
        Ok(bytes) => Err(invalid(format!(
            "profile, traffic class and match together have {} bytes, at most {REQUEST_BYTES} are allowed",
            bytes.len()
        ))),
        Err(error) => Err(invalid(format!(
            "the pod's choice cannot be written: {error}"
        ))),
    }
}

fn invalid(message: String) -> Error {
    Error::new(Code::InvalidConfiguration, message)
}

#[cfg(test)]
mod tests;
