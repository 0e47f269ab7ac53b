//! Why a command fails, in the numbers of the CNI specification (1.1.0, "Section 5").

use serde_json::json;
use thiserror::Error;

use crate::record;
use crate::version::Version;

/// The specification's numbers, and from 100 on the plugin's own. `docs/cni.md` has the same table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Code {
    /// The version is not spoken, or the command is not in it.
    IncompatibleVersion = 1,
    /// A field of the plugin's own part that does not exist.
    UnsupportedField = 2,
    /// An environment variable is missing or wrong.
    InvalidEnvironment = 4,
    /// A file could not be read or written.
    Io = 5,
    /// The input is no JSON object.
    Undecodable = 6,
    /// A value is wrong, is missing, or asks for more than is allowed.
    InvalidConfiguration = 7,
    /// The daemon is there and cannot do it now.
    TryAgainLater = 11,
    /// Strict STATUS: no daemon serves this node.
    NotAvailable = 50,
    /// Strict STATUS: no daemon serves this node, and pods that count on it are running.
    LimitedConnectivity = 51,
    /// No daemon listens on the socket.
    DaemonAbsent = 101,
    /// The daemon did not answer in time.
    DaemonSilent = 102,
    /// The daemon answered with a failure, or not in its protocol.
    DaemonFailed = 103,
    /// CHECK: the interface was never recorded, or for another pod.
    NotRecorded = 104,
}

#[cfg(test)]
impl Code {
    pub(crate) const ALL: [Self; 13] = [
        Self::IncompatibleVersion,
        Self::UnsupportedField,
        Self::InvalidEnvironment,
        Self::Io,
        Self::Undecodable,
        Self::InvalidConfiguration,
        Self::TryAgainLater,
        Self::NotAvailable,
        Self::LimitedConnectivity,
        Self::DaemonAbsent,
        Self::DaemonSilent,
        Self::DaemonFailed,
        Self::NotRecorded,
    ];
}

/// Why a command failed: what is wrong, and the way out.
#[derive(Debug, Error)]
#[error("{message}")]
pub(crate) struct Error {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// As the runtime reads it.
    pub(crate) fn to_json(&self, version: Version) -> String {
        let error = json!({
            "cniVersion": version.as_str(),
            "code": self.code as u32,
            "msg": self.message,
        });
        format!("{error}\n")
    }
}

impl From<record::InvalidKey> for Error {
    fn from(error: record::InvalidKey) -> Self {
        let code = match &error {
            record::InvalidKey::Network(_) | record::InvalidKey::TooLong(_) => {
                Code::InvalidConfiguration
            }
            record::InvalidKey::ContainerId(_) | record::InvalidKey::Interface(_) => {
                Code::InvalidEnvironment
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<record::Error> for Error {
    fn from(error: record::Error) -> Self {
        match error {
            record::Error::Key(error) => error.into(),
            error => Self::new(Code::Io, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_all_codes_in_their_order() {
        let page = include_str!("../../docs/cni.md");
        let (_, errors) = page.split_once("\n## Errors\n").unwrap();
        let rows = errors
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split_once(' '));
        let documented: Vec<u32> = rows.filter_map(|(code, _)| code.parse().ok()).collect();
        assert_eq!(documented, Code::ALL.map(|code| code as u32));
    }

    #[test]
    fn an_error_is_one_line_of_json() {
        let error = Error::new(Code::Io, "\"a\nb\"");
        let expected = "{\"cniVersion\":\"0.3.1\",\"code\":5,\"msg\":\"\\\"a\\nb\\\"\"}\n";
        assert_eq!(error.to_json(Version::V0_3_1), expected);
    }
}
