//! Processes and threads, as /proc shows them.

use super::{Machine, Subject};

/// A thread that is marked so is the kernel's (`PF_KTHREAD` of linux/sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;
/// `SCHED_FIFO` and `SCHED_RR`.
const REALTIME_POLICIES: [u64; 2] = [1, 2];

/// What `/proc/PID/task/TID/stat` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its name.
    pub name: String,
    /// Whether it is one of the kernel's own.
    pub of_kernel: bool,
    /// The core that it ran on last.
    pub last_cpu: usize,
    /// Whether it has a real-time policy.
    pub realtime: bool,
}

impl Thread {
    /// The thread whose files are in a directory such as `/proc/1/task/1`.
    pub fn read(machine: &Machine, directory: &str) -> Option<Self> {
        let stat = machine.text(&format!("{directory}/stat"))?;
        // The name is in parentheses and may hold any character; the third field follows it.
        let (head, rest) = stat.rsplit_once(')')?;
        let fields: Vec<u64> = rest
            .split_whitespace()
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            name: head.split_once('(')?.1.to_owned(),
            of_kernel: field(9)? & KERNEL_THREAD != 0,
            last_cpu: usize::try_from(field(39)?).ok()?,
            realtime: REALTIME_POLICIES.contains(&field(41)?),
        })
    }
}

/// The directories of all threads.
pub fn all_threads(machine: &Machine) -> Vec<String> {
    let processes = all_processes(machine).into_iter();
    processes
        .flat_map(|process| threads_of(machine, &process))
        .collect()
}

/// The numbers of all processes.
pub fn all_processes(machine: &Machine) -> Vec<String> {
    let mut processes = machine.names("/proc");
    processes.retain(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    processes
}

/// The names of all processes.
pub fn all_names(machine: &Machine) -> Vec<String> {
    let processes = all_processes(machine).into_iter();
    processes
        .filter_map(|process| machine.text(&format!("/proc/{process}/comm")))
        .collect()
}

fn threads_of(machine: &Machine, process: &str) -> Vec<String> {
    let tasks = format!("/proc/{process}/task");
    let threads = machine.names(&tasks).into_iter();
    threads.map(|thread| format!("{tasks}/{thread}")).collect()
}

/// The daemon's worker, as far as it can be seen.
#[derive(Debug, Default)]
pub struct Worker {
    /// Its directory in /proc, and what that tells.
    pub thread: Option<(String, Thread)>,
    /// The cores that it may run on.
    pub allowed: Vec<usize>,
}

/// Finds the worker of the daemon that answers.
pub fn worker(machine: &Machine, subject: &Subject) -> Worker {
    let process = subject.answers().and_then(|answers| answers.process_id);
    let found = process.and_then(|process| {
        threads_of(machine, &process.to_string())
            .into_iter()
            .filter_map(|directory| Some((Thread::read(machine, &directory)?, directory)))
            .find(|(thread, _)| thread.name == "tsnd-worker")
    });
    let Some((thread, directory)) = found else {
        return Worker::default();
    };
    let status = machine.text(&format!("{directory}/status"));
    Worker {
        allowed: status
            .as_deref()
            .and_then(|status| value_of(status, "Cpus_allowed_list"))
            .map_or(Vec::new(), |list| machine.cpu_list(list)),
        thread: Some((directory, thread)),
    }
}

impl Worker {
    /// The core to look at: as asked for, else the only one that the worker may run on.
    pub fn cpu(&self, subject: &Subject) -> Option<usize> {
        match self.allowed[..] {
            _ if subject.cpu.is_some() => subject.cpu,
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether it has a real-time policy, or the configuration gives it one.
    pub fn is_realtime(&self, subject: &Subject) -> bool {
        let configured = || subject.configuration()?.worker.realtime_priority;
        match &self.thread {
            Some((_, thread)) => thread.realtime,
            None => configured().is_some(),
        }
    }
}

/// The value of a `Name: value` line.
pub fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}
