//! The plugin's place on a node: its binary among the other plugins, and its entry in the configuration of the pods'
//! network.
//!
//! The entry is put into the list that the network's own add-on wrote, and nothing else of it is touched. Files are
//! replaced as a whole. What others rewrite is repaired by [`watch()`].

mod choice;
mod diff;
mod entry;
mod list;
mod replace;
mod watch;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;
use tokio::time::sleep;

use choice::Found;
use list::PluginList;
use replace::Replacement;

pub use entry::{Entry, FailurePolicy, PLUGIN_TYPE};
pub use list::ListError;
pub use watch::watch;

/// Why the plugin is not in its place.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The directory of the networks' configurations.
    #[error(
        "{path} cannot be read: {source}; give the directory that the container runtime reads its networks from"
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in it.
    #[error("{path} cannot be read: {source}; if it is a link, what it leads to must be here too")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file whose name says that it is a list.
    #[error("{path} {reason}; mend or remove it, or name another network with --network")]
    List {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: ListError,
    },
    /// A file whose name says that it is one plugin's configuration.
    #[error(
        "{path} is no configuration of a CNI plugin: {reason}; mend or remove it, or name another network with --network"
    )]
    Plugin {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: serde_json::Error,
    },
    /// A network of one plugin, behind which none can be chained.
    #[error(
        "{path} configures one plugin (network `{name}`), and only a list can hold a second one. Write it as a list into a \
         file that ends in .conflist: {{\"cniVersion\": …, \"name\": \"{name}\", \"plugins\": [ … ]}}, with what the file \
         has now, less cniVersion and name, as the one plugin; then remove this file, which would come first"
    )]
    SinglePlugin {
        /// The file.
        path: PathBuf,
        /// The network.
        name: String,
    },
    /// Nothing to be chained into yet.
    #[error(
        "{directory} has no configuration of a pod network yet; install the cluster's network add-on first, or wait for it with --watch"
    )]
    NoNetwork {
        /// The directory.
        directory: PathBuf,
    },
    /// None of the networks is the one that was named.
    #[error("{directory} has no network `{network}`; there are {others:?}")]
    NoSuchNetwork {
        /// The directory.
        directory: PathBuf,
        /// The one that was named.
        network: String,
        /// Those there are.
        others: Vec<String>,
    },
    /// A file that cannot be replaced.
    #[error(
        "{path} cannot be written: {source}; it takes root and a directory that is mounted writable"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is never the same for long enough.
    #[error("{path} is being rewritten by something else all the time")]
    Restless {
        /// The file.
        path: PathBuf,
    },
    /// The directory cannot be watched.
    #[error(
        "{path} cannot be watched: {source}; raise fs.inotify.max_user_instances and max_user_watches"
    )]
    Watch {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A file's text, and what it is to become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    before: String,
    after: String,
}

/// How often a file is looked at again that somebody else is just writing.
const ATTEMPTS: u32 = 20;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

impl Change {
    /// Whether there is anything to be done.
    pub fn is_none(&self) -> bool {
        self.before == self.after
    }

    /// The lines that go and come.
    pub fn diff(&self) -> String {
        diff::diff(&self.path.to_string_lossy(), &self.before, &self.after)
    }

    fn apply(&self) -> Result<Replacement, InstallError> {
        if self.is_none() {
            return Ok(Replacement::Done);
        }
        replace::replace(&self.path, self.before.as_bytes(), self.after.as_bytes()).map_err(
            |source| InstallError::Write {
                path: self.path.clone(),
                source,
            },
        )
    }
}

/// Where the plugin is to be, and what it is to be told.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The plugin's binary.
    pub binary: PathBuf,
    /// Where the runtime looks for plugins.
    pub binary_directory: PathBuf,
    /// Where the runtime looks for networks.
    pub configuration_directory: PathBuf,
    /// The network's name; else the one that the runtime takes for pods.
    pub network: Option<String>,
    /// The plugin's entry in the network's list; `None` where only the binary is wanted.
    pub entry: Option<Entry>,
}

impl Installation {
    /// What putting the entry into the network's list would change; `None` without an entry.
    ///
    /// # Errors
    ///
    /// When there is no such list, or none that the plugin can be chained into.
    pub fn plan(&self) -> Result<Option<Change>, InstallError> {
        self.plan_with(|list, entry| list.with(entry))
    }

    /// What an edit would change in the network's list.
    fn plan_with(
        &self,
        edit: impl Fn(&PluginList<'_>, &Entry) -> Result<String, ListError>,
    ) -> Result<Option<Change>, InstallError> {
        let Some(entry) = &self.entry else {
            return Ok(None);
        };
        let network = self.network.as_deref();
        let Found { path, text } = choice::choose(&self.configuration_directory, network)?;
        match PluginList::parse(&text).and_then(|list| edit(&list, entry)) {
            Ok(after) => Ok(Some(Change {
                path,
                before: text,
                after,
            })),
            Err(reason) => Err(InstallError::List { path, reason }),
        }
    }

    /// Puts the binary to the other plugins, then the entry into the network's list, and gives what that changed there.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan), and when a file cannot be replaced. A file that somebody is just writing is looked at
    /// again for a second.
    pub async fn install(&self) -> Result<Option<Change>, InstallError> {
        self.install_binary()?;
        self.carry_out(|list, entry| list.with(entry)).await
    }

    /// Takes the entry out of the network's list, if it says there what it was to say, and gives what that changed. What
    /// others wrote, an entry of the plugin too, stays.
    ///
    /// # Errors
    ///
    /// When the list cannot be read or replaced.
    pub async fn take_out(&self) -> Result<Option<Change>, InstallError> {
        match self.carry_out(|list, entry| list.without_this(entry)).await {
            Err(
                InstallError::NoNetwork { .. }
                | InstallError::NoSuchNetwork { .. }
                | InstallError::SinglePlugin { .. },
            ) => Ok(None),
            taken => Ok(taken?.filter(|change| !change.is_none())),
        }
    }

    /// Changes the network's list, once nobody else does.
    async fn carry_out(
        &self,
        edit: impl Fn(&PluginList<'_>, &Entry) -> Result<String, ListError>,
    ) -> Result<Option<Change>, InstallError> {
        let mut attempt = 1;
        loop {
            match self.plan_with(&edit) {
                Ok(None) => return Ok(None),
                Ok(Some(change)) => match change.apply()? {
                    Replacement::Done => return Ok(Some(change)),
                    Replacement::Overtaken if attempt < ATTEMPTS => {}
                    Replacement::Overtaken => {
                        return Err(InstallError::Restless { path: change.path });
                    }
                },
                Err(InstallError::List { .. } | InstallError::Plugin { .. })
                    if attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
            attempt += 1;
            sleep(BETWEEN_ATTEMPTS).await;
        }
    }

    fn install_binary(&self) -> Result<(), InstallError> {
        let contents = fs::read(&self.binary).map_err(|source| InstallError::Read {
            path: self.binary.clone(),
            source,
        })?;
        let path = self.binary_directory.join(PLUGIN_TYPE);
        replace::put_program(&path, &contents)
            .map_err(|source| InstallError::Write { path, source })
    }
}

/// What taking the plugin's entries out of all lists of a directory would change. A file that is no list is left alone.
///
/// # Errors
///
/// When the directory or a list cannot be read.
pub fn plan_uninstall(directory: &Path) -> Result<Vec<Change>, InstallError> {
    let mut changes = Vec::new();
    for Found { path, text } in choice::lists(directory)? {
        // Where it is the only one, the file is somebody's own and useless without it.
        if let Ok(after) = PluginList::parse(&text).and_then(|list| list.without())
            && after != text
        {
            changes.push(Change {
                path,
                before: text,
                after,
            });
        }
    }
    Ok(changes)
}

/// Takes the plugin's entries out of all lists of a directory, and gives what that changed.
///
/// # Errors
///
/// As [`plan_uninstall`], and when a file cannot be replaced.
pub async fn uninstall(directory: &Path) -> Result<Vec<Change>, InstallError> {
    let mut done = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut is_overtaken = false;
        for change in plan_uninstall(directory)? {
            match change.apply()? {
                Replacement::Done => done.push(change),
                Replacement::Overtaken => is_overtaken = true,
            }
        }
        if !is_overtaken {
            return Ok(done);
        }
        sleep(BETWEEN_ATTEMPTS).await;
    }
    Err(InstallError::Restless {
        path: directory.to_owned(),
    })
}
