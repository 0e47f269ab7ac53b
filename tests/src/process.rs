//! A child process whose output is kept and whose end is certain.

use std::{
    fs::{self, File},
    io::{Seek, Write},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{sys::signal, unistd::Pid};
use tempfile::TempDir;

pub use nix::sys::signal::Signal;

use crate::{scratch, wait::wait_for};

/// A running program. Dropping it kills it; if a test is failing then, its output is printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    directory: TempDir,
}

impl Process {
    /// Starts `command` with its output going to files. It should come from
    /// [`Namespace::command`](crate::namespace::Namespace::command), so that it dies with this thread.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn spawn(name: &str, command: Command) -> Result<Self> {
        Self::start(name, command, Stdio::null())
    }

    /// As [`spawn`](Self::spawn), for a program that reads its standard input to the end.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn with_input(name: &str, command: Command, input: &[u8]) -> Result<Self> {
        let mut file = tempfile::tempfile()?;
        file.write_all(input)?;
        file.rewind()?;
        Self::start(name, command, file.into())
    }

    /// As [`spawn`](Self::spawn), for a program that takes commands from its standard input.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn interactive(name: &str, command: Command) -> Result<Self> {
        Self::start(name, command, Stdio::piped())
    }

    fn start(name: &str, mut command: Command, stdin: Stdio) -> Result<Self> {
        let directory = scratch::directory(name)?;
        let stdout = File::create(directory.path().join("stdout"))?;
        let stderr = File::create(directory.path().join("stderr"))?;
        let child = command
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("start {name}: {:?}", command.get_program()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            directory,
        })
    }

    /// Writes a line to an [`interactive`](Self::interactive) program.
    ///
    /// # Errors
    ///
    /// With its output, when it does not read any more.
    pub fn write_line(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut();
        let written = stdin.map_or(Ok(()), |stdin| writeln!(stdin, "{line}"));
        written.with_context(|| format!("write {line:?} to {}\n{}", self.name, self.log()))
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it and to nothing else.
    ///
    /// # Errors
    ///
    /// When it has ended and its end was seen.
    pub fn signal(&self, which: Signal) -> Result<()> {
        signal::kill(Pid::from_raw(self.child.id().cast_signed()), which)
            .with_context(|| format!("send {which} to {}", self.name))
    }

    /// Its exit status, if it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end, however it ends.
    ///
    /// # Errors
    ///
    /// With its output, when `bound` passes first.
    pub fn wait(&mut self, bound: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait_for(&what, bound, || self.exited()).with_context(|| self.log())
    }

    /// Waits for its successful end and gives its standard output.
    ///
    /// # Errors
    ///
    /// With its output, when it fails or `bound` passes first.
    pub fn finish(mut self, bound: Duration) -> Result<String> {
        let status = self.wait(bound)?;
        if !status.success() {
            bail!("{} ended with {status}\n{}", self.name, self.log());
        }
        Ok(self.stdout())
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    ///
    /// When it is not ours to wait for.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child
            .kill()
            .with_context(|| format!("kill {}", self.name))?;
        self.child
            .wait()
            .with_context(|| format!("wait for {}", self.name))
    }

    /// Its whole output, for messages.
    pub fn log(&self) -> String {
        format!(
            "--- {} stdout ---\n{}--- {} stderr ---\n{}",
            self.name,
            self.stdout(),
            self.name,
            self.stderr()
        )
    }

    fn read(&self, stream: &str) -> String {
        let path: PathBuf = self.directory.path().join(stream);
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprint!("{}", self.log());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_kept_and_a_failure_tells_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let error = Process::spawn("sh", command)
            .unwrap()
            .finish(Duration::from_secs(10))
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("out\n") && text.contains("err\n") && text.contains('3'),
            "{text}"
        );
    }

    #[test]
    fn a_stopped_process_is_waited_for_only_so_long_and_killed_by_drop() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let mut process = Process::spawn("sleep", command).unwrap();
        process.signal(Signal::SIGSTOP).unwrap();
        assert!(process.wait(Duration::from_millis(20)).is_err());
        let id = process.id();
        drop(process);
        assert!(!PathBuf::from(format!("/proc/{id}")).exists());
    }
}
