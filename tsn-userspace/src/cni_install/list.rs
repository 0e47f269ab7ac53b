//! The text of a network configuration list, in which only the plugin's own entry changes.
//!
//! Everything else stays byte for byte as its owner wrote it, so that taking the entry out again gives back the text as
//! it was found, without a copy of it.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::ser::PrettyFormatter;
use serde_json::value::RawValue;
use serde_json::{Serializer, Value};
use thiserror::Error;

use super::entry::{Entry, PLUGIN_TYPE};

/// Versions of the specification in which the plugin can be called.
const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// Why a text is no list that the plugin can be chained into.
#[derive(Debug, Error)]
pub enum ListError {
    /// Not the JSON of a list.
    #[error("is no list of CNI plugins: {0}")]
    Shape(#[from] serde_json::Error),
    /// A list of nothing.
    #[error("has no plugins; tsn-cni comes after the one that makes the veth")]
    Empty,
    /// Nothing to be chained after.
    #[error(
        "has no plugin but tsn-cni, which only goes after one that makes the veth; remove or mend the file"
    )]
    OnlyOurs,
    /// A version that the plugin does not speak.
    #[error("has the cniVersion {0:?}; tsn-cni speaks {VERSIONS:?}")]
    Version(String),
}

/// A network configuration list as it is written.
pub struct PluginList<'a> {
    text: &'a str,
    name: String,
    version: String,
    plugins: Vec<Plugin<'a>>,
}

struct Plugin<'a> {
    kind: String,
    raw: &'a RawValue,
}

impl<'a> PluginList<'a> {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// When it is none, or has no plugins.
    pub fn parse(text: &'a str) -> Result<Self, ListError> {
        #[derive(Deserialize)]
        struct List<'a> {
            name: String,
            #[serde(rename = "cniVersion", default)]
            version: String,
            #[serde(borrow)]
            plugins: Vec<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "type")]
            kind: String,
        }
        let list: List<'a> = serde_json::from_str(text)?;
        let plugins = list
            .plugins
            .into_iter()
            .map(|raw| {
                let Kind { kind } = serde_json::from_str(raw.get())?;
                Ok(Plugin { kind, raw })
            })
            .collect::<Result<Vec<_>, serde_json::Error>>()?;
        if plugins.is_empty() {
            return Err(ListError::Empty);
        }
        Ok(Self {
            text,
            name: list.name,
            version: list.version,
            plugins,
        })
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `type` of each plugin, in their order.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.plugins.iter().map(|plugin| plugin.kind.as_str())
    }

    /// The text with exactly one entry of the plugin, which says what `entry` says: where the one that is there stands, if
    /// that comes after another plugin; else last.
    ///
    /// # Errors
    ///
    /// When the plugin cannot be chained into this list.
    pub fn with(&self, entry: &Entry) -> Result<String, ListError> {
        if !VERSIONS.contains(&self.version.as_str()) {
            return Err(ListError::Version(self.version.clone()));
        }
        match self.only() {
            Some(only) if self.says(only, entry)? => Ok(self.text.to_owned()),
            Some(only) if only > 0 => {
                let mut text = self.text.to_owned();
                let written = self.in_the_manner_of(only, &entry.to_plugin())?;
                text.replace_range(self.span(only), &written);
                Ok(text)
            }
            _ => {
                let base = self.without()?;
                PluginList::parse(&base)?.append(&entry.to_plugin())
            }
        }
    }

    /// The text without the plugin's entry, if there is one that says what `entry` says; any other is somebody else's.
    ///
    /// # Errors
    ///
    /// When nothing would be left.
    pub fn without_this(&self, entry: &Entry) -> Result<String, ListError> {
        match self.only() {
            Some(only) if self.says(only, entry)? => self.without(),
            _ => Ok(self.text.to_owned()),
        }
    }

    /// The text without any entry of the plugin.
    ///
    /// # Errors
    ///
    /// When nothing would be left.
    pub fn without(&self) -> Result<String, ListError> {
        let Some(ours) = self.ours().next() else {
            return Ok(self.text.to_owned());
        };
        let gap = if ours > 0 {
            self.span(ours - 1).end..self.span(ours).end
        } else if self.plugins.len() > 1 {
            self.span(ours).start..self.span(ours + 1).start
        } else {
            return Err(ListError::OnlyOurs);
        };
        let mut text = self.text.to_owned();
        text.replace_range(gap, "");
        PluginList::parse(&text)?.without()
    }

    /// The plugin's entry, if there is exactly one.
    fn only(&self) -> Option<usize> {
        let mut ours = self.ours();
        ours.next().filter(|_| ours.next().is_none())
    }

    fn says(&self, index: usize, entry: &Entry) -> Result<bool, serde_json::Error> {
        let present: Value = serde_json::from_str(self.plugins[index].raw.get())?;
        Ok(present == serde_json::to_value(entry.to_plugin())?)
    }

    fn ours(&self) -> impl Iterator<Item = usize> {
        let numbered = self.types().enumerate();
        numbered.filter_map(|(index, kind)| (kind == PLUGIN_TYPE).then_some(index))
    }

    /// Where a plugin stands in the text.
    fn span(&self, index: usize) -> Range<usize> {
        let part = self.plugins[index].raw.get();
        // A borrowed raw value is a part of the text.
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        start..start + part.len()
    }

    /// Puts a plugin behind the last one, in the manner in which that one is written.
    fn append(&self, plugin: &impl Serialize) -> Result<String, ListError> {
        let last = self.plugins.len() - 1;
        let written = self.in_the_manner_of(last, plugin)?;
        let mut text = self.text.to_owned();
        let space = self.space_before(last);
        text.insert_str(self.span(last).end, &format!(",{space}{written}"));
        Ok(text)
    }

    /// A plugin's text, on one line or indented as the one with this index is.
    fn in_the_manner_of(
        &self,
        index: usize,
        plugin: &impl Serialize,
    ) -> Result<String, serde_json::Error> {
        match self.space_before(index).rsplit_once('\n') {
            None => serde_json::to_string(plugin),
            Some((_, indent)) => pretty(plugin, indent),
        }
    }

    fn space_before(&self, index: usize) -> &str {
        let before = &self.text[..self.span(index).start];
        &before[before.trim_end().len()..]
    }
}

/// Over several lines; `indent` is that of the first one, two levels deep.
fn pretty(plugin: &impl Serialize, indent: &str) -> Result<String, serde_json::Error> {
    let unit = match indent.len() {
        0 => "  ",
        length => &indent[..length.div_ceil(2)],
    };
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(unit.as_bytes());
    plugin.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.replace('\n', &format!("\n{indent}")))
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
