//! Schedules in and out of other tools' formats.
//!
//! Every conversion goes through [`Uplink`], which says all that any of the formats says of the gates of a port.
//! [`read`] and [`write()`] hand back, beside the document, each [`Loss`]: what was said and could not be carried.
//! docs/formats.md has an example each way and the table of what each format can say.

mod gates;
mod loss;
pub mod taprio;
pub mod tsnd;
pub mod tsnkit;
pub mod yang;

// The path by which fuzz/ reaches the configuration too, where this module is not part of a crate of its own.
use super::config;
use config::{ConfigurationError, TextError, Uplink};

pub use loss::Loss;

/// What a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The YAML file of `tsnd`.
    Tsnd,
    /// RFC 7951 JSON of the YANG module `ieee802-dot1dc-sched-if`.
    Yang,
    /// A `tc qdisc ... taprio` command.
    Taprio,
    /// The CSV files of the scheduling toolkit tsnkit; read only.
    Tsnkit,
}

/// Which part of a document is meant, where it has several; and what it does not say itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection<'a> {
    /// YANG: the interface, needed if several have gates. tsnkit: the device to name in the result (`eth0` by default).
    pub device: Option<&'a str>,
    /// tsnkit: the link, such as `(1, 4)`; needed.
    pub link: Option<&'a str>,
    /// tsnkit: the text of `…-OFFSET.csv`.
    pub offsets: Option<&'a str>,
    /// tsnkit: the text of `…-QUEUE.csv`.
    pub queues: Option<&'a str>,
}

/// What came of a conversion.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted<T> {
    /// The result.
    pub document: T,
    /// What it does not carry, in the order of the source.
    pub losses: Vec<Loss>,
}

/// Why a document cannot be read, or a schedule cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A value cannot be used.
    #[error("{place}: {reason}")]
    Value {
        /// Line and column, or the field's path.
        place: String,
        /// The value, the limit and the way out.
        reason: String,
    },
    /// The text is no configuration of `tsnd`.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The schedule is none that `tsnd` can run.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

impl FormatError {
    fn value(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value {
            place: place.into(),
            reason: reason.into(),
        }
    }
}

/// Reads the uplink that a document describes.
///
/// # Errors
///
/// The first thing that cannot be used; nothing that would change the schedule is passed over.
pub fn read(
    format: Format,
    text: &str,
    selection: Selection<'_>,
) -> Result<Converted<Uplink>, FormatError> {
    let text = without_mark(text);
    let converted = match format {
        Format::Tsnd => tsnd::read(text),
        Format::Yang => yang::read(text, selection.device),
        Format::Taprio => taprio::read(text),
        Format::Tsnkit => tsnkit::read(text, selection),
    }?;
    config::compile_uplink("uplinks[0]", &converted.document).map_err(|error| {
        let place = in_words_of(format, &error.place);
        FormatError::value(place, error.reason)
    })?;
    Ok(converted)
}

/// Reads a document and writes it in another format. What is said of it is said in its own words.
///
/// # Errors
///
/// Those of [`read`] and [`write()`].
pub fn convert(
    from: Format,
    to: Format,
    text: &str,
    selection: Selection<'_>,
) -> Result<Converted<String>, FormatError> {
    let source = read(from, text, selection)?;
    let mut target = write(to, &source.document).map_err(|error| match error {
        FormatError::Value { place, reason } => {
            FormatError::value(in_words_of(from, &place), reason)
        }
        other => other,
    })?;
    for loss in &mut target.losses {
        loss.field = in_words_of(from, &loss.field);
    }
    target.losses.splice(0..0, source.losses);
    Ok(target)
}

/// A path of `tsnd` in the words of the format that the uplink was read from.
fn in_words_of(format: Format, place: &str) -> String {
    let words: &[(&str, &str)] = match format {
        Format::Tsnd => &[],
        Format::Yang => &yang::WORDS,
        Format::Taprio => &taprio::WORDS,
        Format::Tsnkit => &tsnkit::WORDS,
    };
    let replaced = |place: String, (ours, theirs): &(&str, &str)| place.replace(ours, theirs);
    words.iter().fold(place.to_owned(), replaced)
}

/// Writes an uplink in a format. What is lost is named in the words of `tsnd`.
///
/// # Errors
///
/// What the format cannot say and nothing like it either; [`Format::Tsnkit`] is not written at all.
pub fn write(format: Format, uplink: &Uplink) -> Result<Converted<String>, FormatError> {
    match format {
        Format::Tsnd => Ok(Converted {
            document: tsnd::write(uplink),
            losses: Vec::new(),
        }),
        Format::Yang => yang::write(uplink),
        Format::Taprio => taprio::write(uplink),
        Format::Tsnkit => Err(FormatError::value(
            "tsnkit",
            "is only read, since its files describe a whole network; write tsnd, yang or taprio",
        )),
    }
}

/// The text without the byte order mark that some editors put in front of it.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The format of a text by its unmistakable words; `None` if there are none, or those of several.
pub fn guess(text: &str) -> Option<Format> {
    let text = without_mark(text);
    let words_of = |wanted: &str| {
        text.lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .any(|line| line.split_whitespace().any(|word| word == wanted))
    };
    let signs = [
        (Format::Tsnd, text.lines().any(is_uplinks_of_tsnd)),
        (
            Format::Yang,
            text.contains("\"ietf-interfaces:interfaces\""),
        ),
        (Format::Taprio, words_of("tc") && words_of("taprio")),
        (Format::Tsnkit, text.starts_with(tsnkit::GATES_HEADER)),
    ];
    let mut found = signs.into_iter().filter(|(_, sign)| *sign);
    match (found.next(), found.next()) {
        (Some((format, _)), None) => Some(format),
        _ => None,
    }
}

/// `uplinks:` at the beginning of a line, as YAML also lets it be written.
fn is_uplinks_of_tsnd(line: &str) -> bool {
    ["uplinks", "\"uplinks\"", "'uplinks'"].iter().any(|key| {
        let rest = line.strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
    })
}
