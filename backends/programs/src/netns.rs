//! Work inside another network namespace.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::sched::{CloneFlags, setns};

use super::ProgramError;

/// Runs `work` in a thread of its own inside the network namespace at `path`; the caller's thread never leaves its own.
///
/// What sysfs shows is bound to its mount, not to the thread: use sockets inside.
pub fn within<T: Send>(
    path: &Path,
    work: impl FnOnce() -> Result<T, ProgramError> + Send,
) -> Result<T, ProgramError> {
    let failed = |source| ProgramError::Netns {
        path: path.to_owned(),
        source,
    };
    // A path that is no namespace may be a pipe, whose opening would wait for ever.
    let namespace = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(failed)?;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("netns".into());
        let handle = thread.spawn_scoped(scope, move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|errno| failed(errno.into()))?;
            work()
        });
        match handle.map_err(failed)?.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
