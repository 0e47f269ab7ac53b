//! What the worker asks of the operating system for its thread.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Why the thread could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ThreadError {
    /// No such core, or not one of those that this process may use.
    #[error(
        "--cpu {cpu}: the worker cannot be pinned to this core ({cause}); see `taskset -pc $$` for those it may use"
    )]
    Pin {
        /// The core.
        cpu: usize,
        /// The kernel's reason.
        cause: nix::Error,
    },
    /// No right, or no budget of the control group, for real-time scheduling.
    #[error(
        "worker.realtime-priority {priority}: SCHED_FIFO was refused ({cause}); it needs CAP_SYS_NICE, and with \
         RT_GROUP_SCHED a real-time budget of the control group (cpu.rt_runtime_us). Leave the setting out otherwise"
    )]
    Realtime {
        /// The priority asked for.
        priority: u8,
        /// The kernel's reason.
        cause: nix::Error,
    },
}

/// Pins the calling thread to a core.
///
/// # Errors
///
/// [`ThreadError::Pin`].
pub fn pin(cpu: usize) -> Result<(), ThreadError> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|cause| ThreadError::Pin { cpu, cause })
}

/// Gives the calling thread the real-time policy `SCHED_FIFO`.
///
/// # Errors
///
/// [`ThreadError::Realtime`].
pub fn make_realtime(priority: u8) -> Result<(), ThreadError> {
    let parameters = libc::sched_param {
        sched_priority: priority.into(),
    };
    // SAFETY: `parameters` is valid for the length of the call; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) };
    nix::Error::result(result)
        .map(drop)
        .map_err(|cause| ThreadError::Realtime { priority, cause })
}

/// Lets the calling thread's sleeps end when they should: the kernel adds 50 µs to those of ordinary threads.
pub fn sharpen_timers() {
    // SAFETY: takes a number, no pointers. It cannot fail for the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}
