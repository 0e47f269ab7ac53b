//! The plugin's own part of a network's configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

/// The plugin's `type`, which is also the name of its binary.
pub const PLUGIN_TYPE: &str = "tsn-cni";

/// The capability by which a runtime passes a pod's annotations to a plugin; without it no annotation counts.
const ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";

/// What the entry of the plugin says; what is left out is the plugin's own default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, clap::Args)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The profile of tsnd's configuration that pods of the network get.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub profile: String,
    /// A profile that a pod's author may choose instead; may be given several times.
    #[arg(long = "selectable-profile", value_name = "PROFILE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub selectable_profiles: Vec<String>,
    /// Only the profile's streams of this traffic class, by number or name.
    #[arg(long, value_name = "CLASS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_class: Option<String>,
    /// What becomes of a pod while tsnd does not answer: open, it starts on the kernel's path; closed, it does not start.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_policy: Option<FailurePolicy>,
    /// How long the plugin waits for tsnd, in milliseconds.
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// tsnd's control socket, as the plugin sees it on the node.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// Where the plugin leaves its records, as it sees it on the node.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_directory: Option<PathBuf>,
    /// Let STATUS fail while tsnd does not answer, which makes the whole node NotReady.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict_status: bool,
}

/// What becomes of a pod while tsnd does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FailurePolicy {
    /// It starts on the kernel's path and is attached when tsnd comes.
    Open,
    /// It does not start.
    Closed,
}

impl Entry {
    /// The entry in the words of the plugin, ready for `plugins`.
    pub fn to_plugin(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Plugin<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            #[serde(flatten)]
            entry: &'a Entry,
            capabilities: BTreeMap<&'static str, bool>,
        }
        Plugin {
            kind: PLUGIN_TYPE,
            entry: self,
            capabilities: BTreeMap::from([(ANNOTATIONS, true)]),
        }
    }
}
