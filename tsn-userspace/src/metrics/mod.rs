//! What Prometheus reads at `/metrics`: names and units by its conventions, labels only of bounded kinds (classes,
//! causes, and the pods and streams that the operator configured). `docs/metrics.md` has the same table for people.

mod daemon;
mod pods;
mod text;
mod uplink;

use crate::control::api::{ClassStatus, PodStatus, Status, StreamStatus};

pub use text::Kind;
use text::Samples;

/// Of the text that [`encode`] makes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the metrics of one moment are made from.
#[derive(Debug)]
pub struct Moment {
    /// `GET /v1/status`.
    pub status: Status,
    /// `GET /v1/pods`.
    pub pods: Vec<PodStatus>,
}

/// One metric family.
#[derive(Debug)]
pub struct Family {
    /// Its name, with the unit at its end if it has one, and without the suffix that its kind adds.
    pub name: &'static str,
    /// What kind of values it has.
    pub kind: Kind,
    /// The names of the labels of each of its samples.
    pub labels: &'static [&'static str],
    /// What it means, in one sentence.
    pub help: &'static str,
    source: Source,
}

/// Where the values of a family come from.
#[derive(Debug)]
enum Source {
    Status(fn(&Status) -> f64),
    EachClass(fn(&ClassStatus) -> f64),
    EachPod(fn(&PodStatus) -> f64),
    EachStream(fn(&StreamStatus) -> u64),
    Other(fn(&Moment, &mut Samples<'_>)),
}

/// All families, in the order in which they are told.
pub fn families() -> impl Iterator<Item = &'static Family> {
    [daemon::FAMILIES, uplink::FAMILIES, pods::FAMILIES]
        .into_iter()
        .flatten()
}

/// The metrics of one moment as OpenMetrics text.
pub fn encode(moment: &Moment) -> String {
    let mut text = String::new();
    for family in families() {
        family.put(moment, &mut Samples::begin(&mut text, family));
    }
    text.push_str("# EOF\n");
    text
}

impl Family {
    /// The name of its samples in a query: a counter's ends in `_total`, that of information in `_info`.
    pub fn sample_name(&self) -> String {
        format!("{}{}", self.name, self.kind.suffix())
    }

    fn put(&self, moment: &Moment, to: &mut Samples<'_>) {
        match self.source {
            Source::Status(value) => to.put(&[], value(&moment.status)),
            Source::EachClass(value) => {
                for class in &moment.status.classes {
                    to.put(&[&class.number.to_string()], value(class));
                }
            }
            Source::EachPod(value) => {
                for pod in &moment.pods {
                    to.put(&[&pod.pod.name], value(pod));
                }
            }
            Source::EachStream(value) => {
                for pod in &moment.pods {
                    for stream in &pod.streams {
                        to.put(&[&pod.pod.name, &stream.name], value(stream) as f64);
                    }
                }
            }
            Source::Other(put) => put(moment, to),
        }
    }
}

const fn family(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    put: fn(&Moment, &mut Samples<'_>),
) -> Family {
    let source = Source::Other(put);
    Family {
        name,
        kind,
        labels,
        help,
        source,
    }
}

const fn one(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&Status) -> f64,
) -> Family {
    let source = Source::Status(value);
    Family {
        name,
        kind,
        labels: &[],
        help,
        source,
    }
}

const fn class(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&ClassStatus) -> f64,
) -> Family {
    let source = Source::EachClass(value);
    Family {
        name,
        kind,
        labels: &["class"],
        help,
        source,
    }
}

const fn pod(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&PodStatus) -> f64,
) -> Family {
    let source = Source::EachPod(value);
    Family {
        name,
        kind,
        labels: &["pod"],
        help,
        source,
    }
}

/// A counter for each stream.
const fn stream(name: &'static str, help: &'static str, value: fn(&StreamStatus) -> u64) -> Family {
    let (kind, source) = (Kind::Counter, Source::EachStream(value));
    Family {
        name,
        kind,
        labels: &["pod", "stream"],
        help,
        source,
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
