//! What a run asks of its own process: a core, a scheduling policy, a way to be stopped.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use clap::Args;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Where and how urgently to run.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Process")]
pub struct ProcessOptions {
    /// Run on this core only
    #[arg(long, value_name = "N")]
    pub cpu: Option<usize>,

    /// Run under SCHED_FIFO with this priority, 1 to 99 (needs CAP_SYS_NICE)
    #[arg(long, value_name = "PRIORITY", value_parser = clap::value_parser!(i32).range(1..=99))]
    pub realtime: Option<i32>,
}

impl ProcessOptions {
    /// Moves the calling thread to its core and gives it its policy.
    ///
    /// # Errors
    ///
    /// When the core does not exist or the policy is not permitted.
    pub fn apply(&self) -> anyhow::Result<()> {
        if let Some(cpu) = self.cpu {
            let mut set = CpuSet::new();
            set.set(cpu)
                .with_context(|| format!("--cpu {cpu} is beyond the largest core number"))?;
            sched_setaffinity(Pid::from_raw(0), &set).with_context(|| {
                format!(
                    "--cpu {cpu} is not a core that this process may use (see nproc, taskset -p $$)"
                )
            })?;
        }
        if let Some(priority) = self.realtime {
            set_fifo(priority).with_context(|| {
                format!("--realtime {priority} was refused: it needs CAP_SYS_NICE or a large enough RLIMIT_RTPRIO")
            })?;
        }
        Ok(())
    }
}

fn set_fifo(priority: i32) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: `parameters` is a valid sched_param that outlives the call; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Set by SIGINT or SIGTERM.
#[derive(Clone, Debug)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Takes over SIGINT and SIGTERM. A second SIGINT or SIGTERM ends the process at once.
    ///
    /// # Errors
    ///
    /// When a handler cannot be installed.
    pub fn on_signals() -> anyhow::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let again = Arc::clone(&asked);
            if let Err(error) = signal_hook::flag::register_conditional_shutdown(signal, 1, again) {
                bail!("cannot take over signal {signal}: {error}");
            }
            signal_hook::flag::register(signal, Arc::clone(&asked))
                .with_context(|| format!("cannot take over signal {signal}"))?;
        }
        Ok(Self(asked))
    }

    /// Whether the process was asked to stop.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
