//! Places of vhost-user sockets that DPDK is to listen at.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::stat::{Mode, umask};

use crate::BackendError;

/// For how long the port of a pod that was detached may still be on its way back from the worker.
const CLOSING_PATIENCE: Duration = Duration::from_secs(1);
const CLOSING_PAUSE: Duration = Duration::from_millis(5);
const PEER_PAUSE: Duration = Duration::from_millis(20);

/// Removes a socket that a killed daemon left behind. Waits for one of this process whose port is just being closed.
///
/// # Errors
///
/// When somebody listens there, when it is no socket, or when the directory cannot be read.
pub fn clear(path: &Path) -> Result<(), BackendError> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Ok(found) => found.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(refused(path, source)),
    };
    if !is_socket {
        return Err(BackendError::NoSocket {
            path: path.to_owned(),
        });
    }
    let cleared = match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
        Ok(stream) if is_own(&stream) => wait_until_gone(path),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    };
    cleared.map_err(|source| refused(path, source))
}

/// Whether it is this process that listens.
fn is_own(stream: &UnixStream) -> bool {
    getsockopt(stream, PeerCredentials)
        .is_ok_and(|listener| u32::try_from(listener.pid()) == Ok(std::process::id()))
}

fn wait_until_gone(path: &Path) -> io::Result<()> {
    let start = Instant::now();
    while path.symlink_metadata().is_ok() {
        if start.elapsed() >= CLOSING_PATIENCE {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::thread::sleep(CLOSING_PAUSE);
    }
    Ok(())
}

/// Does something during which a socket is made, so that only the daemon's user may connect to it: who may is trusted by
/// DPDK with the whole process.
pub fn privately<T>(make: impl FnOnce() -> T) -> T {
    let old = umask(Mode::from_bits_truncate(0o177));
    let made = make();
    umask(old);
    made
}

/// Waits until somebody connects to a socket, and leaves its place free again.
///
/// DPDK's virtio device waits for its peer without end while it is made. A peer that has been here is one that connects
/// again, as Open vSwitch does every second.
///
/// # Errors
///
/// When the socket cannot be made, or nobody has connected in that time.
pub fn wait_for_peer(path: &Path, patience: Duration) -> Result<(), BackendError> {
    clear(path)?;
    let listener =
        privately(|| UnixListener::bind(path)).map_err(|source| refused(path, source))?;
    let connected = accept(&listener, patience);
    // Fails only when somebody else has removed it.
    let _ = std::fs::remove_file(path);
    match connected {
        Ok(true) => Ok(()),
        Ok(false) => Err(BackendError::NoPeer {
            path: path.to_owned(),
            waited_s: patience.as_secs(),
        }),
        Err(source) => Err(refused(path, source)),
    }
}

fn accept(listener: &UnixListener, patience: Duration) -> io::Result<bool> {
    listener.set_nonblocking(true)?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if start.elapsed() >= patience => return Ok(false),
            Err(_) => std::thread::sleep(PEER_PAUSE),
        }
    }
}

fn refused(path: &Path, source: io::Error) -> BackendError {
    BackendError::Socket {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_waited_for_only_so_long_and_the_place_is_free_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switch.sock");
        drop(UnixListener::bind(&path).unwrap()); // of a killed program
        let error = wait_for_peer(&path, Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("switch.sock"), "{error}");
        assert!(!path.exists());

        let peer = std::thread::spawn({
            let path = path.clone();
            move || while UnixStream::connect(&path).is_err() {}
        });
        wait_for_peer(&path, Duration::from_secs(20)).unwrap();
        peer.join().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_program_that_listens_there_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switch.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let error = wait_for_peer(&path, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, BackendError::Socket { .. }), "{error}");
        assert!(path.exists());
    }

    #[test]
    fn only_a_socket_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passwd");
        std::fs::write(&path, "precious").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for path in [&path, &link, &directory.path().to_owned()] {
            let error = clear(path).unwrap_err();
            assert!(matches!(error, BackendError::NoSocket { .. }), "{error}");
            assert!(error.to_string().contains(&path.display().to_string()));
        }
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "precious");
    }

    #[test]
    fn a_socket_of_this_process_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pod.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let closing = std::thread::spawn({
            let path = path.clone();
            move || {
                listener.accept().unwrap(); // somebody looks whether it listens
                std::fs::remove_file(path).unwrap();
            }
        });
        clear(&path).unwrap();
        closing.join().unwrap();
    }
}
