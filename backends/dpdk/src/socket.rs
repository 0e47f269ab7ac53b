//! Places of vhost-user sockets that DPDK is to listen at.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::BackendError;

/// For how long the port of a pod that was detached may still be on its way back from the worker.
const CLOSING_PATIENCE: Duration = Duration::from_secs(1);
const CLOSING_PAUSE: Duration = Duration::from_millis(5);
const PEER_PAUSE: Duration = Duration::from_millis(20);

/// Removes a socket that a killed daemon left behind. Waits for one whose port is just being closed.
///
/// # Errors
///
/// When another program listens there, or the directory cannot be read.
pub fn clear(path: &Path) -> Result<(), BackendError> {
    let start = Instant::now();
    let cleared = loop {
        match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                break std::fs::remove_file(path);
            }
            Err(error) => break Err(error),
            Ok(_) if start.elapsed() >= CLOSING_PATIENCE => {
                break Err(io::ErrorKind::AddrInUse.into());
            }
            Ok(_) => std::thread::sleep(CLOSING_PAUSE),
        }
    };
    cleared.map_err(|source| refused(path, source))
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
    let listener = UnixListener::bind(path).map_err(|source| refused(path, source))?;
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
}
