//! One plugin, executed once.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{namespace::Namespace, process::Process};

/// Plugins of other projects run iptables, which waits for its lock.
const BOUND: Duration = Duration::from_secs(60);

/// What a plugin is executed with; CNI specification, section 2, "Parameters" and "Result Types".
#[derive(Debug, Clone)]
pub struct Execution {
    /// The plugin.
    pub program: PathBuf,
    /// `CNI_COMMAND` and the other variables.
    pub environment: BTreeMap<&'static str, OsString>,
    /// Its configuration, on standard input.
    pub configuration: Value,
    /// Where it finds programs that it executes itself.
    pub search_path: OsString,
}

impl Execution {
    /// Starts it in a node.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(&self, node: &Namespace) -> Result<Process> {
        let mut command = node.command(&self.program);
        command.envs(&self.environment);
        command.env("PATH", &self.search_path);
        Process::with_input(
            &self.name(),
            command,
            &serde_json::to_vec(&self.configuration)?,
        )
    }

    /// Executes it in a node and gives what it prints: JSON, or `null` where it prints nothing.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the plugin fails; another error when it cannot be executed, does not end, or prints no JSON.
    pub fn run(&self, node: &Namespace) -> Result<Value> {
        let mut process = self.start(node)?;
        let status = process.wait(BOUND)?;
        let text = process.stdout();
        let printed = if text.trim().is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).with_context(|| format!("not JSON\n{}", process.log()))?
        };
        if status.success() {
            return Ok(printed);
        }
        Err(Failure {
            plugin: self.name(),
            command: self.environment["CNI_COMMAND"]
                .to_string_lossy()
                .into_owned(),
            error: printed,
            log: process.stderr(),
        }
        .into())
    }

    fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// A plugin that has failed.
#[derive(Debug)]
pub struct Failure {
    /// Its name.
    pub plugin: String,
    /// `ADD` or another.
    pub command: String,
    /// The error that it printed (CNI specification, section 5, "Error"); `null` if it printed nothing.
    pub error: Value,
    /// What it wrote to standard error.
    pub log: String,
}

impl Failure {
    /// The failure that an error is.
    ///
    /// # Panics
    ///
    /// When it is another error.
    pub fn of(error: &anyhow::Error) -> &Self {
        error
            .downcast_ref()
            .unwrap_or_else(|| panic!("no failure of a plugin: {error:#}"))
    }

    /// Code of the error, such as 7 for a configuration that cannot be used; 0 if it printed none.
    pub fn code(&self) -> u64 {
        self.error["code"].as_u64().unwrap_or(0)
    }

    /// Its message and details.
    pub fn text(&self) -> String {
        let text = |field: &str| self.error[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("msg"), text("details"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plugin,
            command,
            error,
            log,
        } = self;
        write!(f, "{plugin} failed at {command}: {error}\n{log}")
    }
}

impl std::error::Error for Failure {}
