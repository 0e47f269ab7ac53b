//! Files that are replaced as a whole, so that nobody ever reads half of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

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
    let new = NewFile::write(&path, after, metadata.mode())?;
    let file = File::open(&new.path)?;
    if (file.metadata()?.uid(), file.metadata()?.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(&file, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    if fs::read(&path)? != before {
        return Ok(Replacement::Overtaken);
    }
    new.rename_to(&path)?;
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
    NewFile::write(path, contents, mode)?.rename_to(path)
}

/// A file that waits beside another to take its place; goes with its handle if it does not.
///
/// In the same directory, since only there a rename is atomic and seen by a runtime that watches the directory. What a
/// killed run left is replaced by the next one. The name has no ending that a runtime reads.
struct NewFile {
    path: PathBuf,
}

impl NewFile {
    fn write(beside: &Path, contents: &[u8], mode: u32) -> io::Result<Self> {
        let name = beside.file_name().unwrap_or_default().to_string_lossy();
        let new = Self {
            path: beside.with_file_name(format!(".{name}.tsnctl")),
        };
        let _ = fs::remove_file(&new.path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new.path)?;
        file.write_all(contents)?;
        file.set_permissions(fs::Permissions::from_mode(mode & 0o7777))?;
        file.sync_all()?;
        Ok(new)
    }

    fn rename_to(self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        match path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Gone already where it has taken its place.
        let _ = fs::remove_file(&self.path);
    }
}
