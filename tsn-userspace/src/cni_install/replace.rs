//! Files that are replaced as a whole, so that nobody ever reads half of one.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;

/// Ending of a file that is being written.
const UNFINISHED: &str = ".tsnctl";
/// After this, nobody is still writing it: its process was killed.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// What became of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// The file is the new one.
    Done,
    /// Somebody else has changed the file in the meantime; it is left as it is.
    Overtaken,
}

/// Replaces a file that still holds `before`; its mode and owner stay, and a link stays a link.
///
/// # Errors
///
/// When it cannot be read or written; it is as it was then.
pub fn replace(path: &Path, before: &[u8], after: &[u8]) -> io::Result<Replacement> {
    let path = fs::canonicalize(path)?;
    let metadata = fs::metadata(&path)?;
    let new = write_beside(&path, after, metadata.mode())?;
    let made = new.as_file().metadata()?;
    if (made.uid(), made.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(new.as_file(), Some(metadata.uid()), Some(metadata.gid()))?;
    }
    if fs::read(&path)? != before {
        return Ok(Replacement::Overtaken);
    }
    rename(new, &path)?;
    Ok(Replacement::Done)
}

/// Puts a program in its place, unless it is there already.
///
/// # Errors
///
/// When it cannot be written; what was there before stays then.
pub fn put_program(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mode = 0o755;
    match fs::read(path) {
        Ok(present) if present == contents && fs::metadata(path)?.mode() & 0o777 == mode => {
            return Ok(());
        }
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    rename(write_beside(path, contents, mode)?, path)
}

/// A file that waits beside another to take its place; goes with its handle if it does not.
///
/// In the same directory, since only there a rename is atomic and seen by a runtime that watches the directory. Its name
/// is no other process's and has no ending that a runtime reads.
fn write_beside(path: &Path, contents: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let directory = path.parent().unwrap_or(Path::new("."));
    sweep(directory);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut new = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(UNFINISHED)
        .tempfile_in(directory)?;
    new.write_all(contents)?;
    let file = new.as_file();
    file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    file.sync_all()?;
    Ok(new)
}

fn rename(new: NamedTempFile, path: &Path) -> io::Result<()> {
    new.persist(path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Whether it is the name of a file of [`write_beside`].
pub fn is_unfinished(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(UNFINISHED.as_bytes())
}

/// Removes what killed runs left half written. Nothing depends on it, so what fails is left for the next time.
fn sweep(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_unfinished(&entry.file_name())) {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.map(|time| time.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age > ABANDONED_AFTER) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
