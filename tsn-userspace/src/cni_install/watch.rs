//! Keeps the plugin's entry where it is while network add-ons rewrite their files.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, timeout};

use super::replace::is_unfinished;
use super::{InstallError, Installation};

/// How often it is looked at all the same: links lead to directories that are not watched.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// How often, while a directory that is to be watched is not there.
const WAIT_FOR_DIRECTORY: Duration = Duration::from_secs(1);
/// Left to a writer to finish what it has begun.
const SETTLE: Duration = Duration::from_millis(50);

/// Puts binary and entry in their places, and again whenever somebody else rewrites them. Waits while there is no list;
/// tells what it does and what it waits for, each time once.
///
/// # Errors
///
/// When the directories cannot be watched.
pub async fn watch(
    installation: &Installation,
    mut tell: impl FnMut(&str),
) -> Result<Infallible, InstallError> {
    let mut fights = Fights::default();
    let mut told = String::new();
    loop {
        // Before the look: what changes after it is an event.
        let events = events([
            &installation.configuration_directory,
            &installation.binary_directory,
        ])?;
        let looked = match installation.install().await {
            Ok(None) => Ok("in its place".to_owned()),
            Ok(Some(change)) if change.is_none() => {
                Ok(format!("in its place in {}", change.path.display()))
            }
            Ok(Some(change)) => {
                tell(&format!("added to {}", change.path.display()));
                let pause = fights.repaired(Instant::now());
                if !pause.is_zero() {
                    tell(&format!(
                        "something else takes it out of {} again and again; that file is left alone for {pause:?}",
                        change.path.display()
                    ));
                    sleep(pause).await;
                }
                continue;
            }
            Err(error) => Err(error.to_string()),
        };
        let (Ok(state) | Err(state)) = looked;
        if state != told {
            tell(&state);
            told = state;
        }
        match events {
            // The end of the time is as good as an event.
            Some(events) => {
                let _ = timeout(LOOK_INTERVAL, changed(&events)).await;
                sleep(SETTLE).await;
            }
            None => sleep(WAIT_FOR_DIRECTORY).await,
        }
    }
}

/// What the kernel tells of directories.
struct Events(Inotify);

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Events of files of the directories that have another content, name or place; `None` if one is not there.
fn events(directories: [&Path; 2]) -> Result<Option<AsyncFd<Events>>, InstallError> {
    let [first, _] = directories;
    let failed = |path: &Path, source| InstallError::Watch {
        path: path.to_owned(),
        source,
    };
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
        .map_err(|errno| failed(first, errno.into()))?;
    for directory in directories {
        let watched = inotify.add_watch(
            directory,
            AddWatchFlags::IN_CLOSE_WRITE
                | AddWatchFlags::IN_MOVE
                | AddWatchFlags::IN_DELETE
                | AddWatchFlags::IN_DELETE_SELF
                | AddWatchFlags::IN_MOVE_SELF,
        );
        match watched {
            Ok(_) => {}
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(failed(directory, errno.into())),
        }
    }
    // SAFETY: the descriptor is open, owned by the `Events`, and always the same one until that is dropped, which is
    // with the `AsyncFd`.
    unsafe { AsyncFd::register(Events(inotify)) }
        .map(Some)
        .map_err(|error| failed(first, error.into()))
}

/// Ends when something is another. What is being written here does not count: where that fails, each attempt would be
/// the reason for the next one.
async fn changed(events: &AsyncFd<Events>) -> io::Result<()> {
    loop {
        let mut ready = events.readable().await?;
        match ready.get_inner().0.read_events() {
            Ok(events) => {
                let is_own =
                    |event: &InotifyEvent| event.name.as_deref().is_some_and(is_unfinished);
                if !events.iter().all(is_own) {
                    return Ok(());
                }
            }
            Err(Errno::EAGAIN) => ready.clear_ready(),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Bounds a fight with somebody who takes the entry out each time: first at once, then ever more rarely.
#[derive(Debug, Default)]
struct Fights {
    repairs: u32,
    last: Option<Instant>,
}

/// Repairs at once, as an add-on's restart may need some.
const AT_ONCE: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// After so long without a repair it is no fight.
const PEACE: Duration = Duration::from_secs(600);

impl Fights {
    /// Notes a repair, and says how long the file is to be left alone after it.
    fn repaired(&mut self, now: Instant) -> Duration {
        if self.last.is_none_or(|last| now - last > PEACE) {
            self.repairs = 0;
        }
        self.repairs += 1;
        self.last = Some(now);
        match self.repairs.checked_sub(AT_ONCE + 1) {
            None => Duration::ZERO,
            Some(more) => Duration::from_secs(1 << more.min(16)).min(LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_own_unfinished_files_are_no_event() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let events = events([path, path]).unwrap().unwrap();
        for _ in 0..2 {
            std::fs::write(path.join(".10-flannel.conflist.x.tsnctl"), "half").unwrap();
            std::fs::remove_file(path.join(".10-flannel.conflist.x.tsnctl")).unwrap();
            let moment = Duration::from_millis(50);
            assert!(timeout(moment, changed(&events)).await.is_err());
        }
        std::fs::write(path.join("10-flannel.conflist"), "whole").unwrap();
        let bound = Duration::from_secs(20);
        timeout(bound, changed(&events)).await.unwrap().unwrap();
    }

    #[test]
    fn a_fight_is_fought_ever_more_rarely_and_ends_in_peace() {
        let mut fights = Fights::default();
        let mut now = Instant::now();
        for _ in 0..AT_ONCE {
            assert_eq!(fights.repaired(now), Duration::ZERO);
        }
        let mut longest = Duration::ZERO;
        for _ in 0..100 {
            let pause = fights.repaired(now);
            assert!(pause >= longest && !pause.is_zero(), "{pause:?}");
            longest = pause;
            now += pause;
        }
        assert_eq!(longest, LONGEST_PAUSE);
        now += PEACE + Duration::from_secs(1);
        assert_eq!(fights.repaired(now), Duration::ZERO);
    }
}
