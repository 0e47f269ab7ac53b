//! The directory of records, and its files.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use super::{InvalidKey, Key, Record};

/// Largest record, far above what a plugin writes.
const MAX_BYTES: u64 = 256 << 10;
/// Ending of a file that is being written.
const UNFINISHED: &str = ".new";
/// After this, nobody is still writing it: the plugin was killed.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// The directory that holds the records, for root alone. It is made with the first record.
#[derive(Debug, Clone)]
pub struct Directory(PathBuf);

/// A key and its record, or why it cannot be read.
pub type Entry = (Key, Result<Record, Error>);

/// Why records cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// The key cannot be a file's name.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// The system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others could have put records there.
    #[error(
        "{path} (owner {owner}, mode {mode:03o}) must be a directory of the user who runs this, and writable for no one \
         else: `chown root {path}; chmod 700 {path}`, or name another directory", path = path.display()
    )]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// Its permissions.
        mode: u32,
    },
    /// A link, a pipe, a directory.
    #[error("{0} is no ordinary file; remove it")]
    NotAFile(PathBuf),
    /// More than any record.
    #[error("{path} is larger than {MAX_BYTES} bytes, which no record is", path = .0.display())]
    TooLarge(PathBuf),
    /// Not a record, as JSON goes.
    #[error("{path} is no record: {source}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A record under the name of another.
    #[error("{path} holds the record of {found}; remove it", path = path.display())]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// Whose record it is.
        found: Key,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// What is not there is no error.
fn or_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Directory {
    /// The directory at this path, which need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a record in place of the one with the same key. Readers see the old one or the new one.
    ///
    /// # Errors
    ///
    /// When the key is invalid, the directory is open to others, or the file cannot be written; the old record stands.
    pub fn store(&self, record: &Record) -> Result<(), Error> {
        let path = self.0.join(record.key().file_name()?);
        self.make()?;
        self.sweep();
        let bytes = serde_json::to_vec_pretty(record)
            .map_err(|error| failed("write", &path)(error.into()))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::TooLarge(path));
        }
        let unfinished = self.unfinished_name();
        // No fsync: the file need not outlive the kernel, and the rename is whole for whoever this kernel runs.
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|error| {
            // Whatever became of it is in the way of nobody, and swept later if this fails as well.
            let _ = fs::remove_file(&unfinished);
            failed("write", &path)(error)
        })
    }

    /// Reads a record; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the key is invalid, the directory is open to others, or the file is there and holds no record of that key.
    pub fn load(&self, key: &Key) -> Result<Option<Record>, Error> {
        let name = key.file_name()?;
        match self.is_there()? {
            true => self.read(key, &name),
            false => Ok(None),
        }
    }

    /// Removes a record, readable or not; tells whether there was one.
    ///
    /// # Errors
    ///
    /// When the key is invalid or the file is there and cannot be removed.
    pub fn remove(&self, key: &Key) -> Result<bool, Error> {
        let path = self.0.join(key.file_name()?);
        self.sweep();
        or_none(fs::remove_file(&path))
            .map(|removed| removed.is_some())
            .map_err(failed("remove", &path))
    }

    /// All records in the order of their keys. One that cannot be read is an error in its own place; files that have no
    /// record's name are left out.
    ///
    /// The kernel does not promise to show a file that is being replaced in that moment: ask [`load`](Self::load) before
    /// taking a record for gone.
    ///
    /// # Errors
    ///
    /// When the directory is open to others or cannot be read; one that does not exist is empty.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        let keys = self.keys()?.into_iter();
        let records = keys.filter_map(|key| {
            let record = self.load(&key).transpose()?;
            Some((key, record))
        });
        Ok(records.collect())
    }

    /// The keys of all records, readable or not, in their order.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn keys(&self) -> Result<Vec<Key>, Error> {
        if !self.is_there()? {
            return Ok(Vec::new());
        }
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(failed("read", &self.0))? {
            let name = entry.map_err(failed("read", &self.0))?.file_name();
            keys.extend(name.to_str().and_then(Key::of_file_name));
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// The keys of this interface of this container in whatever network.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn find(&self, container_id: &str, interface: &str) -> Result<Vec<Key>, Error> {
        let mut keys = self.keys()?;
        keys.retain(|key| key.container_id == container_id && key.interface == interface);
        Ok(keys)
    }

    fn read(&self, key: &Key, name: &str) -> Result<Option<Record>, Error> {
        let path = self.0.join(name);
        let Some(metadata) = or_none(fs::symlink_metadata(&path)).map_err(failed("read", &path))?
        else {
            return Ok(None);
        };
        if !metadata.is_file() {
            return Err(Error::NotAFile(path));
        }
        let Some(file) = or_none(File::open(&path)).map_err(failed("read", &path))? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let length = file
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(failed("read", &path))?;
        if length as u64 > MAX_BYTES {
            return Err(Error::TooLarge(path));
        }
        let record: Record = match serde_json::from_slice(&bytes) {
            Ok(record) => record,
            Err(source) => return Err(Error::Malformed { path, source }),
        };
        match record.key() {
            found if found == *key => Ok(Some(record)),
            found => Err(Error::Misplaced { path, found }),
        }
    }

    /// Makes the directory for root alone; those above it may be open to others, as the control socket's is.
    fn make(&self) -> Result<(), Error> {
        if let Some(parent) = self.0.parent() {
            fs::create_dir_all(parent).map_err(failed("make", parent))?;
        }
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.is_there()?;
                // Whoever else made it, such as a container runtime for a mount, lets others read.
                let closed = Permissions::from_mode(0o700);
                fs::set_permissions(&self.0, closed).map_err(failed("close to others", &self.0))
            }
            made => made.map_err(failed("make", &self.0)),
        }
    }

    /// Whether it exists, and is such that only this user can have put records into it.
    fn is_there(&self) -> Result<bool, Error> {
        let path = &self.0;
        let Some(metadata) =
            or_none(fs::symlink_metadata(path)).map_err(failed("look at", path))?
        else {
            return Ok(false);
        };
        let this = Path::new("/proc/self");
        let user = fs::metadata(this).map_err(failed("look at", this))?.uid();
        if !metadata.is_dir() || metadata.uid() != user || metadata.mode() & 0o022 != 0 {
            return Err(Error::NotPrivate {
                path: path.clone(),
                owner: metadata.uid(),
                mode: metadata.mode() & 0o7777,
            });
        }
        Ok(true)
    }

    /// A name that no other process uses, also where processes of several PID namespaces write.
    fn unfinished_name(&self) -> PathBuf {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanoseconds = now.unwrap_or_default().as_nanos();
        let process = std::process::id();
        self.0.join(format!(".{process}-{nanoseconds}{UNFINISHED}"))
    }

    /// Removes what killed plugins left half written. Nothing depends on it, so what fails is left for the next time.
    fn sweep(&self) {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        for entry in entries {
            if !entry.file_name().to_str().is_some_and(is_unfinished) {
                continue;
            }
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age =
                modified.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
            if age.is_ok_and(|age| age > ABANDONED_AFTER) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Whether it is a name of [`Directory::unfinished_name`].
fn is_unfinished(name: &str) -> bool {
    let numbers = name
        .strip_prefix('.')
        .and_then(|name| name.strip_suffix(UNFINISHED));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let parts = numbers.and_then(|numbers| numbers.split_once('-'));
    parts.is_some_and(|(process, time)| is_number(process) && is_number(time))
}

#[cfg(test)]
mod tests;
