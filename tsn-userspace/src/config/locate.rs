//! Where in a YAML text a field of the document stands.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
}

impl Position {
    /// The beginning of the text.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl From<Location> for Position {
    /// What the parser cannot tell is the beginning of the text.
    fn from(location: Location) -> Self {
        Self {
            line: location.line().max(1),
            column: location.column().max(1),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What aliases may add to a document of which positions are known, in events of the parser: some thousand entries of a
/// gate control list, and little enough that a text made to grow beyond all bounds costs nothing.
const MOST_REPLAYED_EVENTS: usize = 20_000;

/// Enough for the longest gate control list, of 65,536 entries with up to 13 nodes and 15 events each, beside the rest.
pub(super) fn budget() -> Option<serde_saphyr::Budget> {
    serde_saphyr::budget! {
        max_nodes: 1_000_000,
        max_events: 1_500_000,
    }
}

/// The positions of all fields of a document. A value that comes by an alias or a merge key stands where it is written,
/// not where it is used.
#[derive(Debug)]
pub struct Positions {
    root: Option<Node>,
}

impl Positions {
    /// Reads a text as any YAML document; of a text that is none, or that aliases make too long,
    /// everything stands at its beginning.
    pub fn of(text: &str) -> Self {
        let options = serde_saphyr::options! {
            budget: budget(),
            duplicate_keys: DuplicateKeyPolicy::PassThrough, // so that the second one is found
            alias_limits: serde_saphyr::alias_limits! {
                max_total_replayed_events: MOST_REPLAYED_EVENTS,
            },
        };
        Self {
            root: serde_saphyr::from_str_with_options(text, options).ok(),
        }
    }

    /// Where the field with a path such as `pods[0].streams[2].match` stands: its value, or the key of a list or a mapping
    /// that begins in a later line. A field that is not there stands where the innermost one around it does.
    pub fn find(&self, path: &str) -> Position {
        let Some(mut node) = self.root.as_ref() else {
            return Position::START;
        };
        let mut position = node.position;
        for step in path.split(['.', '[']) {
            let found = match (&node.content, step.strip_suffix(']')) {
                (Content::Sequence(elements), Some(index)) => index
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| elements.get(index))
                    .map(|element| (element.position, element)),
                (Content::Mapping(fields), None) => fields
                    .iter()
                    .find(|(key, _)| key.value == step)
                    .map(|(key, value)| {
                        let key = Position::from(key.defined);
                        let is_beside = value.is_single() || value.position.line == key.line;
                        (if is_beside { value.position } else { key }, value)
                    }),
                _ => None,
            };
            let Some((at, within)) = found else {
                break;
            };
            (position, node) = (at, within);
        }
        position
    }

    /// The path of the field whose value, or whose key, begins there; `None` if there is none, and for the document.
    pub(super) fn path_at(&self, position: Position, of: Part) -> Option<String> {
        let mut path = String::new();
        self.root
            .as_ref()
            .is_some_and(|root| root.lead_to(position, of, &mut path) && !path.is_empty())
            .then_some(path)
    }
}

/// A part of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
}

#[derive(Debug)]
struct Node {
    position: Position,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Scalar,
    Sequence(Vec<Node>),
    Mapping(Vec<(Spanned<String>, Node)>),
}

impl Node {
    fn is_single(&self) -> bool {
        matches!(self.content, Content::Scalar)
    }

    /// Makes `path`, which leads to this node, lead to `position`; leaves it if that is not inside.
    fn lead_to(&self, position: Position, of: Part, path: &mut String) -> bool {
        if of == Part::Value && self.position == position {
            return true;
        }
        let length = path.len();
        match &self.content {
            Content::Scalar => {}
            Content::Sequence(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    path.push_str(&format!("[{index}]"));
                    if element.lead_to(position, of, path) {
                        return true;
                    }
                    path.truncate(length);
                }
            }
            Content::Mapping(fields) => {
                for (key, value) in fields {
                    if length > 0 {
                        path.push('.');
                    }
                    path.push_str(&key.value);
                    let is_key = of == Part::Key && Position::from(key.defined) == position;
                    if is_key || value.lead_to(position, of, path) {
                        return true;
                    }
                    path.truncate(length);
                }
            }
        }
        false
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self {
            position: spanned.defined.into(),
            content: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyContent)
    }
}

struct AnyContent;

impl<'de> Visitor<'de> for AnyContent {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Content, E> {
        Ok(Content::Scalar)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Content, E> {
        Ok(Content::Scalar)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Content, E> {
        Ok(Content::Scalar)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Content, E> {
        Ok(Content::Scalar)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Content, E> {
        Ok(Content::Scalar)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Content, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Content::Sequence(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Content, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = mapping.next_entry()? {
            fields.push(field);
        }
        Ok(Content::Mapping(fields))
    }
}
