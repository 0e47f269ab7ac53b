//! The kernel programs' log.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tsn_programs::{ProgramLog, Programs};

/// Puts what the kernel programs log into the daemon's own log, in a thread that ends with the process.
///
/// # Errors
///
/// When there is no thread left. A log that cannot be read is a warning.
pub fn forward(programs: &mut Programs) -> Result<()> {
    match programs.take_logs() {
        Ok(Some(log)) => follow(log).context("no thread for the programs' log"),
        Ok(None) => {
            tracing::warn!("the kernel programs' log belongs to another process");
            Ok(())
        }
        Err(error) => {
            tracing::warn!(%error, "the kernel programs' log cannot be read");
            Ok(())
        }
    }
}

fn follow(mut log: ProgramLog) -> std::io::Result<()> {
    let follow = move || {
        loop {
            match poll(
                &mut [PollFd::new(log.as_fd(), PollFlags::POLLIN)],
                PollTimeout::NONE,
            ) {
                Ok(_) => log.flush(),
                Err(nix::Error::EINTR) => {}
                Err(error) => {
                    tracing::warn!(%error, "the kernel programs' log cannot be followed");
                    return;
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("tsnd-program-log".to_owned())
        .spawn(follow)
        .map(drop)
}
