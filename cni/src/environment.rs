//! The environment variables of a call (CNI specification 1.1.0, "Section 2").

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Code, Error};
use crate::version::Version;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Add,
    Del,
    Check,
    Status,
    Gc,
    Version,
}

impl Command {
    const ALL: [Self; 6] = [
        Self::Add,
        Self::Del,
        Self::Check,
        Self::Status,
        Self::Gc,
        Self::Version,
    ];

    /// As runtimes write it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Status => "STATUS",
            Self::Gc => "GC",
            Self::Version => "VERSION",
        }
    }

    /// The version of the specification that brought it.
    pub(crate) const fn since(self) -> Version {
        match self {
            Self::Add | Self::Del | Self::Version => Version::V0_3_1,
            Self::Check => Version::V0_4_0,
            Self::Status | Self::Gc => Version::V1_1_0,
        }
    }

    /// The variables without which the command has no subject.
    const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Add | Self::Check => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
            Self::Del => &["CNI_CONTAINERID", "CNI_IFNAME"],
            Self::Status | Self::Gc | Self::Version => &[],
        }
    }
}

/// A call's environment. What a command does not need may be empty.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) command: Command,
    pub(crate) container_id: String,
    pub(crate) netns: PathBuf,
    pub(crate) interface: String,
    pub(crate) arguments: Arguments,
    /// Whether the caller knows that the namespace may be the plugin's own.
    pub(crate) netns_override: bool,
}

impl Environment {
    /// Reads it by means of `variable`.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidEnvironment`] with the names of all variables that the command needs and that are missing, or of one
    /// that is no text.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let text = |name: &str| {
            let value = variable(name).unwrap_or_default();
            value
                .into_string()
                .map_err(|value| invalid(format!("{name} is no UTF-8 text: `{}`", value.display())))
        };
        let lossy = |name: &str| {
            let value = variable(name).unwrap_or_default();
            value.to_string_lossy().into_owned()
        };
        let name = text("CNI_COMMAND")?;
        let known = Command::ALL
            .into_iter()
            .find(|known| known.as_str() == name);
        let Some(command) = known else {
            let names = Command::ALL.map(Command::as_str).join(", ");
            return Err(invalid(format!(
                "CNI_COMMAND is `{name}`, must be one of {names}; tsn-cni is a CNI plugin, to be called by a container \
                 runtime"
            )));
        };
        let is_missing = |name: &&str| variable(name).is_none_or(|value| value.is_empty());
        let missing: Vec<_> = command.needs().iter().copied().filter(is_missing).collect();
        if !missing.is_empty() {
            return Err(invalid(format!("{name} needs {}", missing.join(", "))));
        }
        let text_if_needed = |name: &str| match command.needs().contains(&name) {
            true => text(name),
            false => Ok(String::new()),
        };
        Ok(Self {
            command,
            container_id: text_if_needed("CNI_CONTAINERID")?,
            netns: variable("CNI_NETNS").unwrap_or_default().into(),
            interface: text_if_needed("CNI_IFNAME")?,
            arguments: Arguments(lossy("CNI_ARGS")),
            netns_override: matches!(
                lossy("CNI_NETNS_OVERRIDE").to_ascii_lowercase().as_str(),
                "1" | "true"
            ),
        })
    }
}

fn invalid(message: String) -> Error {
    Error::new(Code::InvalidEnvironment, message)
}

/// `CNI_ARGS`: `KEY=value;KEY=value`.
#[derive(Debug, Default)]
pub(crate) struct Arguments(pub(crate) String);

impl Arguments {
    /// The value of a key. Multus gives some keys twice: the last one that is not empty counts.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let values = self
            .pairs()
            .filter(|(name, value)| *name == key && !value.is_empty());
        values.last().map(|(_, value)| value)
    }

    /// All pairs; what is none is left out, as runtimes put anything there.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split(';').filter_map(|pair| pair.split_once('='))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, Error> {
        Environment::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_command_needs_its_subject_and_no_more() {
        for (command, missing) in [
            ("ADD", "ADD needs CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME"),
            (
                "CHECK",
                "CHECK needs CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME",
            ),
            ("DEL", "DEL needs CNI_CONTAINERID, CNI_IFNAME"),
        ] {
            let error = read(&[("CNI_COMMAND", command), ("CNI_NETNS", "")]).unwrap_err();
            assert_eq!(
                (error.code, error.to_string().as_str()),
                (Code::InvalidEnvironment, missing)
            );
        }
        for command in ["STATUS", "GC", "VERSION"] {
            assert!(read(&[("CNI_COMMAND", command)]).is_ok());
        }
        let del = [
            ("CNI_COMMAND", "DEL"),
            ("CNI_CONTAINERID", "c"),
            ("CNI_IFNAME", "eth0"),
        ];
        assert_eq!(read(&del).unwrap().netns, PathBuf::new());
    }

    #[test]
    fn no_command_or_an_unknown_one_says_what_there_is() {
        for command in ["", "add", "UPDATE"] {
            let error = read(&[("CNI_COMMAND", command)]).unwrap_err();
            assert_eq!(error.code, Code::InvalidEnvironment);
            assert!(
                error
                    .to_string()
                    .contains("ADD, DEL, CHECK, STATUS, GC, VERSION"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_variable_that_is_no_text_is_named_where_it_is_needed() {
        let read = |command: &str| {
            Environment::read(|name| match name {
                "CNI_COMMAND" => Some(command.into()),
                "CNI_IFNAME" => Some(OsString::from_vec(vec![0xff])),
                _ => Some("x".into()),
            })
        };
        for command in ["ADD", "CHECK", "DEL"] {
            let error = read(command).unwrap_err();
            assert_eq!(error.code, Code::InvalidEnvironment);
            assert!(error.to_string().starts_with("CNI_IFNAME "), "{error}");
        }
        for command in ["STATUS", "GC", "VERSION"] {
            assert!(read(command).is_ok(), "{command}");
        }
    }

    #[test]
    fn the_last_of_doubled_arguments_that_says_something_counts() {
        let arguments = Arguments("IgnoreUnknown=true;A=;A=1;stray;A=2=3;A=;;B=".to_owned());
        assert_eq!(arguments.get("A"), Some("2=3"));
        assert_eq!(arguments.get("B"), None);
        assert_eq!(arguments.get("stray"), None);
    }

    #[test]
    fn the_own_namespace_is_meant_only_where_the_caller_says_so() {
        for (value, expected) in [
            ("1", true),
            ("TRUE", true),
            ("true", true),
            ("0", false),
            ("", false),
        ] {
            let environment = read(&[("CNI_COMMAND", "GC"), ("CNI_NETNS_OVERRIDE", value)]);
            assert_eq!(environment.unwrap().netns_override, expected, "{value}");
        }
    }
}
