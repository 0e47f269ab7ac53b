//! How a stream is named on the command line and in results.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stream: the id that frames carry, and what people call it. Written `ID` or `NAME/ID`; a name has no
/// comma, quote or control character, so that it can stand in a CSV file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// What people call it; the id where nobody gave a name.
    pub name: String,
    /// What its frames carry.
    pub id: u16,
}

impl From<u16> for Stream {
    fn from(id: u16) -> Self {
        Self {
            name: id.to_string(),
            id,
        }
    }
}

impl FromStr for Stream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| {
            format!(
                "\"{text}\" is no stream: give an id from 0 to 65535, or NAME/ID as in motion/1"
            )
        };
        match text.rsplit_once('/') {
            Some((name, _)) if name.contains([',', '"']) || name.contains(char::is_control) => Err(
                format!("\"{text}\": a stream's name has no comma, quote or control character"),
            ),
            Some((name, id)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                id: id.parse().map_err(wrong)?,
            }),
            _ => text.parse().map(u16::into).map_err(wrong),
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_an_id_and_perhaps_a_name() {
        assert_eq!("7".parse(), Ok(Stream::from(7)));
        let named = Stream {
            name: "axis/x".to_owned(),
            id: 7,
        };
        assert_eq!("axis/x/7".parse(), Ok(named));
        for wrong in ["", "motion", "/1", "motion/", "1/65536", "a,b/1"] {
            assert!(wrong.parse::<Stream>().is_err(), "{wrong}");
        }
    }
}
