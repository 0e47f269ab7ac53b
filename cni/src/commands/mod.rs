//! The commands of the protocol, one a file.

mod add;
mod check;
mod del;
mod gc;
mod status;

use std::ffi::OsString;
use std::io::Read;

use serde_json::json;

use crate::configuration::{Configuration, Input};
use crate::environment::{Command, Environment};
use crate::error::{Code, Error};
use crate::version::Version;

/// The largest input: prevResult and the attachments of a full node fit many times over.
const MAX_INPUT_BYTES: u64 = 16 << 20;

/// What the plugin answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// For standard output: a result, an error, or nothing.
    pub output: String,
    /// Whether the exit status is to be 0.
    pub success: bool,
}

/// Does what a runtime calls for: `variable` is its environment and `input` its standard input.
///
/// Never panics and never waits for the daemon beyond the configured deadline, whatever environment and input are.
pub fn answer(variable: impl Fn(&str) -> Option<OsString>, input: impl Read) -> Answer {
    // An error is told in the version that the input asks for, as soon as that is known.
    let mut version = Version::LATEST;
    match run(variable, input, &mut version) {
        Ok(output) => Answer {
            output,
            success: true,
        },
        Err(error) => Answer {
            output: error.to_json(version),
            success: false,
        },
    }
}

fn run(
    variable: impl Fn(&str) -> Option<OsString>,
    input: impl Read,
    version: &mut Version,
) -> Result<String, Error> {
    let environment = Environment::read(variable)?;
    let command = environment.command;
    match command {
        Command::Version => return Ok(versions()),
        Command::Add => {
            let configuration = Configuration::read(open(input, command, version)?)?;
            return add::add(&environment, configuration, *version);
        }
        Command::Del => {
            let mut input = decode(input);
            if let Ok(input) = &mut input {
                *version = input.version().unwrap_or(*version);
            }
            del::del(&environment, input)?;
        }
        Command::Check => {
            let configuration = Configuration::read(open(input, command, version)?)?;
            check::check(&environment, &configuration)?;
        }
        Command::Status => status::status(open(input, command, version)?)?,
        Command::Gc => gc::gc(&Configuration::read(open(input, command, version)?)?)?,
    }
    Ok(String::new())
}

/// Reads the input of a command, and tells its version as soon as that is known.
fn open(input: impl Read, command: Command, version: &mut Version) -> Result<Input, Error> {
    let mut input = decode(input)?;
    *version = input.version()?;
    let first = command.since();
    if *version < first {
        let command = command.as_str();
        let message = format!("cniVersion {version} has no {command}, which came with {first}");
        return Err(Error::new(Code::IncompatibleVersion, message));
    }
    Ok(input)
}

fn versions() -> String {
    let versions = json!({
        "cniVersion": Version::LATEST.as_str(),
        "supportedVersions": Version::ALL.map(Version::as_str),
    });
    format!("{versions}\n")
}

fn decode(input: impl Read) -> Result<Input, Error> {
    Input::decode(&read(input)?)
}

fn read(input: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    match input.take(MAX_INPUT_BYTES + 1).read_to_end(&mut bytes) {
        Ok(length) if length as u64 <= MAX_INPUT_BYTES => Ok(bytes),
        Ok(_) => {
            let message = format!("standard input is larger than {MAX_INPUT_BYTES} bytes");
            Err(Error::new(Code::Undecodable, message))
        }
        Err(error) => {
            let message = format!("cannot read standard input: {error}");
            Err(Error::new(Code::Io, message))
        }
    }
}

#[cfg(test)]
mod tests;
