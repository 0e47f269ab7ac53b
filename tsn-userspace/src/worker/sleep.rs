//! How the worker waits while nothing can happen.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use nix::sys::eventfd::{EfdFlags, EventFd};
use tsn_core::Nanoseconds;

/// Wakes a sleeping worker from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// A new one.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn new() -> nix::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        EventFd::from_flags(flags).map(|fd| Self(Arc::new(fd)))
    }

    /// Ends the worker's sleep, or its next one.
    pub fn wake(&self) {
        // Fails only when the counter is at its limit, and then the worker is to wake up anyway.
        let _ = self.0.write(1);
    }
}

/// Sleeps until a frame arrives, a command waits, or the time has come.
#[derive(Debug)]
pub struct Sleeper {
    waker: Waker,
    polled: Vec<libc::pollfd>,
}

impl Sleeper {
    /// Woken by `waker`; watches up to `ports` ports without allocating.
    pub fn new(waker: Waker, ports: usize) -> Self {
        let mut sleeper = Self {
            waker,
            polled: Vec::with_capacity(ports + 1),
        };
        sleeper.watch(std::iter::empty());
        sleeper
    }

    /// Watches these ports' descriptors from now on. A port must be taken out before it is closed.
    pub fn watch(&mut self, ports: impl Iterator<Item = RawFd>) {
        let watched = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        self.polled.clear();
        self.polled.push(watched(self.waker.0.as_raw_fd()));
        self.polled.extend(ports.map(watched));
    }

    /// Sleeps for `time` at most.
    pub fn sleep(&mut self, time: Nanoseconds) {
        let time = libc::timespec {
            tv_sec: (time.as_nanos() / 1_000_000_000) as libc::time_t,
            tv_nsec: (time.as_nanos() % 1_000_000_000) as libc::c_long,
        };
        // SAFETY: `polled` is a live array of as many records as the call is told, `time` lives through it, and no
        // signal mask is given. A failure (a signal) is as good as a wake-up.
        unsafe {
            libc::ppoll(
                self.polled.as_mut_ptr(),
                self.polled.len() as libc::nfds_t,
                &time,
                std::ptr::null(),
            )
        };
        if self.polled[0].revents != 0 {
            // Cannot fail: it is readable, and a failure would only mean another wake-up.
            let _ = self.waker.0.read();
        }
    }
}
