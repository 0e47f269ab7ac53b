//! A configuration as text: errors say file, line and column.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_saphyr::localizer::Localizer;
use serde_saphyr::{Error as YamlError, Location, MessageFormatter, UserMessageFormatter};

use super::locate::Part;
use super::{Configuration, Position, Positions};

/// What is wrong in a configuration's text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextError {
    /// Where in the text.
    pub position: Position,
    /// Path of the field; empty where there is none, as in a text that is no YAML.
    pub place: String,
    /// What is wrong and what to do.
    pub reason: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.position)?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for TextError {}

/// Why a configuration file is refused.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such file, or it is none of text.
    #[error("{file}: cannot be read: {cause}", file = .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{file}:{error}", file = .file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// What, and where.
        error: TextError,
    },
}

impl Configuration {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    ///
    /// [`FileError`]: the first that is wrong, as `FILE:LINE:COLUMN: path: reason`.
    pub fn from_file(file: &Path) -> Result<Self, FileError> {
        let text = std::fs::read_to_string(file).map_err(|cause| FileError::Unreadable {
            file: file.to_owned(),
            cause,
        })?;
        Self::from_yaml(&text).map_err(|error| FileError::Refused {
            file: file.to_owned(),
            error,
        })
    }

    /// Reads and checks a configuration file's text.
    ///
    /// # Errors
    ///
    /// The first that is wrong.
    pub fn from_yaml(text: &str) -> Result<Self, TextError> {
        let configuration = Self::parse(text)?;
        match configuration.check() {
            Ok(()) => Ok(configuration),
            Err(error) => Err(TextError {
                position: Positions::of(text).find(&error.place),
                place: error.place,
                reason: error.reason,
            }),
        }
    }

    /// Reads a configuration file's text without looking at its values.
    ///
    /// # Errors
    ///
    /// A text that is no YAML or not of this shape.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let options = serde_saphyr::options! { budget: super::locate::budget() };
        serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| shape_error(text, &error))
    }
}

fn shape_error(text: &str, error: &YamlError) -> TextError {
    let mut innermost = error;
    while let YamlError::AliasError { error, .. } | YamlError::WithSnippet { error, .. } = innermost
    {
        innermost = error;
    }
    let position = innermost
        .location()
        .or_else(|| error.location())
        .map_or(Position::START, Position::from);
    let positions = Positions::of(text);
    let value = || positions.path_at(position, Part::Value);
    let key = || positions.path_at(position, Part::Key);
    let (position, place) = match innermost {
        YamlError::SerdeUnknownField { .. } | YamlError::DuplicateMappingKey { .. } => {
            (position, key())
        }
        // The parser names a neighbour of what is missing.
        YamlError::SerdeMissingField { .. } => match key() {
            Some(neighbour) => {
                let around = neighbour.rsplit_once('.').map_or("", |(around, _)| around);
                (positions.find(around), Some(around.to_owned()))
            }
            None => (position, value()),
        },
        _ => (position, value()),
    };
    TextError {
        position,
        place: place.unwrap_or_default(),
        reason: innermost.render_with_formatter(&Words),
    }
}

/// What the parser says, in words of the document rather than of the program.
struct Words;

impl MessageFormatter for Words {
    fn localizer(&self) -> &dyn Localizer {
        self
    }

    fn format_message<'a>(&self, error: &'a YamlError) -> Cow<'a, str> {
        let expected = match error {
            YamlError::InvalidScalar { ty, .. } => match *ty {
                "u8" => "a whole number from 0 to 255",
                "u16" => "a whole number from 0 to 65535",
                "u32" => "a whole number from 0 to 4294967295",
                "u64" => "a whole number, 0 or more",
                other => other,
            },
            YamlError::InvalidBooleanStrict { .. } => "true or false",
            YamlError::Unexpected { expected, .. } => match *expected {
                "mapping start" => "fields (`name: value`)",
                "sequence start" => "a list (`- element`, or `[element, element]`)",
                other => other,
            },
            _ => return UserMessageFormatter.format_message(error),
        };
        format!("expected {expected}").into()
    }
}

impl Localizer for Words {
    /// The position is told once, in front of the message.
    fn attach_location<'a>(&self, message: Cow<'a, str>, _: Location) -> Cow<'a, str> {
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLINK: &str = "uplinks:\n  - device: a\n";

    #[track_caller]
    fn refused(text: &str, said: &str) {
        let error = Configuration::from_yaml(text).expect_err(text).to_string();
        assert!(error.starts_with(said), "{error}\nfor:\n{text}");
    }

    #[test]
    fn text_that_is_no_configuration_is_refused_where_it_is_wrong() {
        for (text, said) in [
            ("", "1:1: unexpected end of file"),
            ("uplinks: [", "1:10: unclosed bracket"),
            ("\0", "1:1: unexpected character"),
            ("- a list\n", "1:1: expected fields"),
            ("uplinks: *a\n", "1:10: reference to unknown value"),
            ("uplinks:\n  device: a\n", "2:3: uplinks: expected a list"),
            (
                "uplinks: []\nuplinks: []\n",
                "2:1: uplinks: duplicate mapping key",
            ),
            ("pods: []\n", "1:1: missing field `uplinks`"),
            (
                "uplinks:\n  - link-speed: 1\n",
                "2:5: uplinks[0]: missing field `device`",
            ),
            (
                "uplinks:\n  - {}\n",
                "2:5: uplinks[0]: missing field `device`",
            ),
            (
                "wroker: 1\n",
                "1:1: wroker: unknown field `wroker`, expected one of uplinks,",
            ),
        ] {
            refused(text, said);
        }
        for (text, said) in [
            (
                "    link-speed: fast\n",
                "3:17: uplinks[0].link-speed: expected a whole number",
            ),
            (
                "    link-speed: -1\n",
                "3:17: uplinks[0].link-speed: expected a whole number",
            ),
            (
                "clock: { on-sync-loss: maybe }\n",
                "3:24: clock.on-sync-loss: unknown variant `maybe`",
            ),
            (
                "    gate-parameters:\n      admin-control-list:\n        - { gate-states-value: 256 }\n",
                "5:32: uplinks[0].gate-parameters.admin-control-list[0].gate-states-value: ",
            ),
            (
                "    gate-parameters:\n      admin-control-list:\n        - { gate-states-value: 255 }\n",
                "5:11: uplinks[0].gate-parameters.admin-control-list[0]: missing field `time-",
            ),
            (
                "    gate-parameters: { admin-base-time: { seconds: 1, x: 0 } }\n",
                "3:55: uplinks[0].gate-parameters.admin-base-time.x: unknown field `x`",
            ),
        ] {
            refused(&format!("{UPLINK}{text}"), said);
        }
    }

    #[test]
    fn a_value_is_refused_where_it_is_written() {
        for (text, said) in [
            ("    link-speed: 0\n", "3:17: uplinks[0].link-speed: 0 Mb/s"),
            // By an alias: where it is written, not where it is used.
            (
                "    traffic-classes: [&c { number: 9 }, *c]\n",
                "3:36: uplinks[0].traffic-classes[0].number: traffic class 9",
            ),
            // By a merge key.
            (
                "pods:\n  - <<: &b { name: a/b, netns: /x }\n    streams: []\n",
                "4:20: pods[0].name: `a/b`",
            ),
            // In characters, not in bytes.
            (
                "pods:\n  - { name: \"ü\", netns: /x, streams: [] }\n",
                "4:13: pods[0].name: `ü`",
            ),
            (
                "pods:\n  - { name: u, netns: /ü, streams: [] }\n",
                "4:36: pods[0].streams: there are 0",
            ),
            (
                "    gate-parameters:\n      admin-cycle-time: { numerator: 1, denominator: 0 }\n      \
                 admin-control-list: [{ gate-states-value: 1, time-interval-value: 1 }]\n",
                "4:25: uplinks[0].gate-parameters.admin-cycle-time: 0 is not a denominator",
            ),
        ] {
            refused(&format!("{UPLINK}{text}"), said);
        }
        refused(
            "\u{feff}uplinks:\r\n  - device: a\r\n    link-speed: 0\r\n",
            "3:17: ",
        );
        // A list that begins below its key stands at the key.
        let pods = format!("pods:\n  - name: a\n    streams:\n      - name: b\n{UPLINK}");
        let find = |path| Positions::of(&pods).find(path).to_string();
        assert_eq!(
            [
                find("pods"),
                find("pods[0]"),
                find("pods[0].streams[0].name")
            ],
            ["1:1", "2:5", "4:15"]
        );
        // A default: there is nothing to point at but what is around it.
        let position = Positions::of(UPLINK).find("uplinks[0].gate-parameters.admin-gate-states");
        assert_eq!(position.to_string(), "2:5");
    }

    /// Whether the position of a field behind aliases of aliases, five of them to each and so many deep, is known.
    fn is_found_behind_aliases(depth: usize) -> bool {
        let lists: String = (1..=depth)
            .map(|level| {
                let below = level - 1;
                format!(
                    "a{level}: &a{level} [*a{below}, *a{below}, *a{below}, *a{below}, *a{below}]\n"
                )
            })
            .collect();
        let text = format!("a0: &a0 [0, 0, 0, 0, 0]\n{lists}last: 1\n");
        Positions::of(&text).find("last").line == depth as u64 + 2
    }

    #[test]
    fn aliases_cannot_make_the_search_for_positions_long() {
        assert!(is_found_behind_aliases(3));
        // Nearly 100,000 values, 2 million, and more than any memory holds.
        for depth in [6, 8, 60] {
            assert!(!is_found_behind_aliases(depth), "{depth}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_found_at_once() {
        let text = format!(
            "{UPLINK}    link-speed: 0\nworker: {{ stall-threshold: 0 }}\npods:\n  - {{ name: p, netns: x, \
             interface: a b, streams: [{{ name: '', match: {{ pcp: 8 }}, traffic-class: radio }}] }}\n"
        );
        let faults = Configuration::parse(&text).unwrap().faults();
        let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(
            places,
            [
                "worker.stall-threshold",
                "uplinks[0].link-speed",
                "pods[0].netns",
                "pods[0].interface",
                "pods[0].streams[0].name",
                "pods[0].streams[0].traffic-class",
                "pods[0].streams[0].match.pcp",
            ]
        );
    }

    /// Asserts that a text is read or refused without a panic, with positions that are inside it.
    fn positions_are_inside(text: &str) {
        let lines: Vec<&str> = text.split(['\n', '\r']).collect();
        let inside = |position: Position| {
            let line = usize::try_from(position.line - 1).ok();
            let line = line.and_then(|line| lines.get(line));
            let column = usize::try_from(position.column - 1).unwrap();
            assert!(
                line.is_some_and(|line| column <= line.chars().count()),
                "{position} is outside of:\n{text:?}"
            );
        };
        match Configuration::parse(text) {
            Err(error) => inside(error.position),
            Ok(configuration) => {
                let positions = Positions::of(text);
                for fault in configuration.faults() {
                    inside(positions.find(&fault.place));
                }
            }
        }
    }

    #[test]
    fn a_position_is_always_inside_the_text() {
        let text = include_str!("../../../examples/tsnd.yaml").replace("100us", "&ü 100us");
        let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        for &at in boundaries.iter().step_by(5) {
            positions_are_inside(&text[..at]);
        }
        let pieces = [
            "\r", "\n", "\t", "\0", "ü", "[", "}", ": ", "- ", "*ü", "&ü ", "<<: ", "!", "0", "#",
            "'",
        ];
        let mut random = 1_u64;
        for &at in boundaries.iter().step_by(7) {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let piece = pieces[(random >> 33) as usize % pieces.len()];
            positions_are_inside(&format!("{}{piece}{}", &text[..at], &text[at..]));
            let next = at + text[at..].chars().next().map_or(0, char::len_utf8);
            positions_are_inside(&format!("{}{piece}{}", &text[..at], &text[next..]));
        }
    }
}
