//! Where the daemon and the records of a node are, and which interface is meant: all that DEL needs to know.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::Environment;
use crate::error::Error;
use crate::record::{DEFAULT_DIRECTORY, Directory, InvalidKey, Key};

use super::{Input, invalid};

const DEFAULT_SOCKET: &str = "/run/tsnd/control.sock";
const DEFAULT_DEADLINE_MS: u64 = 3000;
const DEADLINE_MS: std::ops::RangeInclusive<u64> = 100..=60_000;

/// Where the daemon and the records are.
#[derive(Debug)]
pub(crate) struct Site {
    /// The network's name.
    pub(crate) network: Option<String>,
    /// The interface inside the pod, where it is not that of the call.
    pub(crate) interface: Option<String>,
    /// The daemon's control socket.
    pub(crate) socket: PathBuf,
    /// How long a call may wait for the daemon, all requests together.
    pub(crate) deadline: Duration,
    pub(crate) records: Directory,
    /// Whether STATUS tells of a daemon that does not serve.
    pub(crate) strict_status: bool,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            network: None,
            interface: None,
            socket: DEFAULT_SOCKET.into(),
            deadline: Duration::from_millis(DEFAULT_DEADLINE_MS),
            records: Directory::at(DEFAULT_DIRECTORY),
            strict_status: false,
        }
    }
}

impl Site {
    /// Takes its fields from the input. A wrong one is either an error or, if `on_error` thinks so, left at its default.
    ///
    /// # Errors
    ///
    /// Those of `on_error`, which is given [`InvalidConfiguration`](crate::error::Code::InvalidConfiguration).
    pub(crate) fn take(
        input: &mut Input,
        on_error: impl Fn(Error) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut site = Self::default();
        let Input { protocol, own } = input;
        match protocol.take("name") {
            Ok(name) => site.network = name,
            Err(error) => on_error(error)?,
        }
        match own.take("interface") {
            Ok(interface) => site.interface = interface,
            Err(error) => on_error(error)?,
        }
        match own.take("socket").and_then(|path| absolute("socket", path)) {
            Ok(path) => site.socket = path.unwrap_or(site.socket),
            Err(error) => on_error(error)?,
        }
        match own.take("deadlineMs").and_then(deadline) {
            Ok(deadline) => site.deadline = deadline.unwrap_or(site.deadline),
            Err(error) => on_error(error)?,
        }
        let directory = own.take("recordDirectory");
        match directory.and_then(|path| absolute("recordDirectory", path)) {
            Ok(path) => site.records = path.map_or(site.records, Directory::at),
            Err(error) => on_error(error)?,
        }
        match own.take("strictStatus") {
            Ok(strict) => site.strict_status = strict.unwrap_or_default(),
            Err(error) => on_error(error)?,
        }
        Ok(site)
    }

    /// The interface that is meant: the configured one, or else that of the call.
    ///
    /// # Errors
    ///
    /// When a part of the key is invalid.
    pub(crate) fn key(&self, network: &str, environment: &Environment) -> Result<Key, InvalidKey> {
        let interface = self.interface.as_ref().unwrap_or(&environment.interface);
        let key = Key {
            network: network.to_owned(),
            container_id: environment.container_id.clone(),
            interface: interface.clone(),
        };
        key.check()?;
        Ok(key)
    }
}

fn deadline(milliseconds: Option<u64>) -> Result<Option<Duration>, Error> {
    match milliseconds {
        Some(value) if !DEADLINE_MS.contains(&value) => Err(invalid(format!(
            "`deadlineMs` is {value}, must be {} to {}",
            DEADLINE_MS.start(),
            DEADLINE_MS.end()
        ))),
        value => Ok(value.map(Duration::from_millis)),
    }
}

fn absolute(field: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, Error> {
    match path.as_deref().is_none_or(Path::is_absolute) {
        true => Ok(path),
        false => Err(invalid(format!(
            "`{field}` is `{}`, must be an absolute path",
            path.unwrap_or_default().display()
        ))),
    }
}
