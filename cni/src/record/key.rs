//! What a record is found by, and the name of its file.

use std::fmt;

use thiserror::Error;

/// Longest name of a file (Linux, `NAME_MAX`).
const FILE_NAME_BYTES: usize = 255;
/// Longest name of an interface (Linux, `IFNAMSIZ` without its final zero).
const INTERFACE_BYTES: usize = 15;
const SUFFIX: &str = ".json";

/// What a record is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Name of the CNI network.
    pub network: String,
    /// Container ID, as the runtime gives it.
    pub container_id: String,
    /// Interface inside the pod.
    pub interface: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            network,
            container_id,
            interface,
        } = self;
        write!(f, "{network}:{container_id}:{interface}")
    }
}

/// A part of a key that CNI does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// The network's name is not as the specification wants it.
    #[error(
        "network `{0}` must be letters, digits, `_`, `.` and `-`, the first of them a letter or digit"
    )]
    Network(String),
    /// The container ID is not as the specification wants it.
    #[error(
        "container ID `{0}` must be letters, digits, `_`, `.` and `-`, the first of them a letter or digit"
    )]
    ContainerId(String),
    /// No interface of Linux has such a name.
    #[error(
        "interface `{0}` must be 1 to {INTERFACE_BYTES} bytes without `/`, `:`, white space or control characters, \
         and not `.` or `..`"
    )]
    Interface(String),
    /// The three make too long a file name.
    #[error("`{0}` is {len} bytes long, at most {max} fit a file's name", len = .0.len(), max = FILE_NAME_BYTES - SUFFIX.len())]
    TooLong(String),
}

impl Key {
    /// Checks the three as the specification (1.1.0, "Section 1" and "Section 2") and the kernel name them.
    ///
    /// # Errors
    ///
    /// The first part that is wrong, in the order of the fields.
    pub fn check(&self) -> Result<(), InvalidKey> {
        if !is_identifier(&self.network) {
            return Err(InvalidKey::Network(self.network.clone()));
        }
        if !is_identifier(&self.container_id) {
            return Err(InvalidKey::ContainerId(self.container_id.clone()));
        }
        if !is_interface(&self.interface) {
            return Err(InvalidKey::Interface(self.interface.clone()));
        }
        let name = self.to_string();
        if name.len() + SUFFIX.len() > FILE_NAME_BYTES {
            return Err(InvalidKey::TooLong(name));
        }
        Ok(())
    }

    pub(super) fn file_name(&self) -> Result<String, InvalidKey> {
        self.check()?;
        Ok(format!("{self}{SUFFIX}"))
    }

    /// `None` for a file that is no record, such as one that is being written.
    pub(super) fn of_file_name(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(SUFFIX)?.split(':');
        let key = Self {
            network: parts.next()?.to_owned(),
            container_id: parts.next()?.to_owned(),
            interface: parts.next()?.to_owned(),
        };
        (parts.next().is_none() && key.check().is_ok()).then_some(key)
    }
}

/// `^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$`
fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(&c))
}

fn is_interface(name: &str) -> bool {
    (1..=INTERFACE_BYTES).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(network: &str, container_id: &str, interface: &str) -> Key {
        Key {
            network: network.to_owned(),
            container_id: container_id.to_owned(),
            interface: interface.to_owned(),
        }
    }

    #[test]
    fn a_file_name_gives_its_key_back() {
        for key in [
            key("cbr0", "0a1b", "eth0"),
            key("default_motion-1.2", "cnitool-77383", "net1.100"),
            key("n", "c", "...json"),
        ] {
            let name = key.file_name().unwrap();
            assert_eq!(Key::of_file_name(&name), Some(key));
        }
    }

    #[test]
    fn names_that_would_leave_the_directory_or_confuse_are_refused() {
        let long = "x".repeat(240);
        let x = |s: &str| s.to_owned();
        for (bad, error) in [
            (key("", "c", "eth0"), InvalidKey::Network(x(""))),
            (key("../n", "c", "eth0"), InvalidKey::Network(x("../n"))),
            (key("a:b", "c", "eth0"), InvalidKey::Network(x("a:b"))),
            (key("n", ".c", "eth0"), InvalidKey::ContainerId(x(".c"))),
            (key("n", "c/d", "eth0"), InvalidKey::ContainerId(x("c/d"))),
            (key("n", "c", ""), InvalidKey::Interface(x(""))),
            (key("n", "c", ".."), InvalidKey::Interface(x(".."))),
            (key("n", "c", "a/b"), InvalidKey::Interface(x("a/b"))),
            (key("n", "c", "a\0b"), InvalidKey::Interface(x("a\0b"))),
            (
                key("n", "c", "sixteen-letters-"),
                InvalidKey::Interface(x("sixteen-letters-")),
            ),
            (
                key(&long, "container", "eth0"),
                InvalidKey::TooLong(format!("{long}:container:eth0")),
            ),
        ] {
            assert_eq!(bad.file_name(), Err(error));
        }
    }

    #[test]
    fn other_files_are_no_records() {
        for name in [
            "",
            ".json",
            "a:b.json",
            "a:b:c",
            "a:b:c:d.json",
            ".1-2.new",
            "a:b:c/d.json",
            "::.json",
        ] {
            assert_eq!(Key::of_file_name(name), None, "{name}");
        }
    }
}
