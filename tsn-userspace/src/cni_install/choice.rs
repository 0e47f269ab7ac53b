//! Which file of a directory the runtime takes its network from.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::InstallError;
use super::list::PluginList;

/// Endings of the files that runtimes read (libcni, `ConfFiles`); any other is nobody's.
const ENDINGS: [&str; 3] = ["conf", "conflist", "json"];

/// Types of plugins whose file is not that of a pod network: Multus delegates to the one that comes next and reads it
/// again when it changes, and a loopback device has no host end.
const NO_POD_NETWORK: [&str; 3] = ["multus", "multus-shim", "loopback"];

/// A configuration list and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// What was in it.
    pub text: String,
}

/// The list of the network with this name, or else that of the pod network: the first file by name, as runtimes take it.
///
/// # Errors
///
/// When there is none, or when it cannot be read, or is no list.
pub fn choose(directory: &Path, network: Option<&str>) -> Result<Found, InstallError> {
    let mut others = Vec::new();
    for path in files(directory)? {
        let Some(text) = read(&path)? else { continue };
        let (name, is_pod_network) = match look(&path, &text) {
            Ok(seen) => seen,
            // Another network's file is no matter to one that is named.
            Err(_) if network.is_some() => continue,
            Err(error) => return Err(error),
        };
        if network.map_or(is_pod_network, |network| name == network) {
            return match is_list(&path) {
                true => Ok(Found { path, text }),
                false => Err(InstallError::SinglePlugin { path, name }),
            };
        }
        others.push(name);
    }
    Err(match network {
        Some(network) => InstallError::NoSuchNetwork {
            directory: directory.to_owned(),
            network: network.to_owned(),
            others,
        },
        None => InstallError::NoNetwork {
            directory: directory.to_owned(),
        },
    })
}

/// All lists of a directory that can be read as such.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn lists(directory: &Path) -> Result<Vec<Found>, InstallError> {
    let mut found = Vec::new();
    for path in files(directory)? {
        if is_list(&path)
            && let Some(text) = read(&path)?
        {
            found.push(Found { path, text });
        }
    }
    Ok(found)
}

/// The network's name, and whether it is a pod network.
fn look(path: &Path, text: &str) -> Result<(String, bool), InstallError> {
    #[derive(Deserialize)]
    struct Single {
        #[serde(default)]
        name: String,
        #[serde(rename = "type")]
        kind: String,
    }
    if is_list(path) {
        let list = PluginList::parse(text).map_err(|reason| InstallError::List {
            path: path.to_owned(),
            reason,
        })?;
        let is_pod_network = !list.types().any(|kind| NO_POD_NETWORK.contains(&kind));
        return Ok((list.name().to_owned(), is_pod_network));
    }
    let single: Single = serde_json::from_str(text).map_err(|reason| InstallError::Plugin {
        path: path.to_owned(),
        reason,
    })?;
    let is_pod_network = !NO_POD_NETWORK.contains(&single.kind.as_str());
    Ok((single.name, is_pod_network))
}

fn is_list(path: &Path) -> bool {
    ending(path) == Some("conflist")
}

fn ending(path: &Path) -> Option<&str> {
    let name = path.file_name().and_then(OsStr::to_str)?;
    Some(name.rsplit_once('.')?.1)
}

/// What runtimes read, in the order in which they do.
fn files(directory: &Path) -> Result<Vec<PathBuf>, InstallError> {
    let failed = |source| InstallError::Directory {
        path: directory.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_read = ending(&path).is_some_and(|ending| ENDINGS.contains(&ending));
        // A link that leads nowhere counts: the runtime fails at it too.
        if is_read && fs::metadata(&path).map_or(true, |metadata| metadata.is_file()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The text of a file; `None` where somebody has just removed it.
fn read(path: &Path) -> Result<Option<String>, InstallError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(None),
        Err(source) => Err(InstallError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}
