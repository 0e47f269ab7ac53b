//! A real daemon in a node.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    backend::Backend,
    bpffs::Bpffs,
    clients::binary,
    control::{Control, NotifySocket},
    namespace::Namespace,
    process::{Process, Signal},
    scratch,
};

const READY_BOUND: Duration = Duration::from_secs(30);
const END_BOUND: Duration = Duration::from_secs(30);

/// What a node's daemon leaves to its next start: its configuration, its state and what it pinned.
#[derive(Debug)]
pub struct Home {
    backend: Backend,
    bpffs: Bpffs,
    directory: TempDir,
}

impl Home {
    /// An empty one, with the backend of this run.
    ///
    /// # Errors
    ///
    /// When the caller is not root.
    pub fn new() -> Result<Self> {
        Self::with_backend(Backend::of_run()?)
    }

    /// An empty one.
    ///
    /// # Errors
    ///
    /// When the caller is not root.
    pub fn with_backend(backend: Backend) -> Result<Self> {
        Ok(Self {
            backend,
            bpffs: Bpffs::mount()?,
            directory: scratch::directory("tsnd")?,
        })
    }

    /// The backend of its daemon.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Where the daemon pins its kernel programs and maps.
    pub fn pin_directory(&self) -> PathBuf {
        self.bpffs.path().join("tsnd")
    }

    /// Where the CNI plugin leaves its records.
    pub fn record_directory(&self) -> PathBuf {
        self.file("cni")
    }

    /// A file in the home, such as the configuration.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The client of its control socket.
    pub fn control(&self) -> Control {
        Control::new(self.file("control.sock"))
    }
}

/// A running `tsnd`. Dropping it kills it; what it pinned goes with its [`Home`].
#[derive(Debug)]
pub struct Daemon {
    /// The process, for signals and its log.
    pub process: Process,
    /// The client of its control socket.
    pub control: Control,
    notify: NotifySocket,
}

impl Daemon {
    /// Starts it in a node's namespace with a configuration and waits until it says that it is ready. `options` come
    /// after those that every daemon gets; without `--backend` among them it is AF_XDP's.
    ///
    /// # Errors
    ///
    /// With its log, when it ends or is not ready in time.
    pub fn start(
        node: &Namespace,
        home: &Home,
        configuration: &str,
        options: &[&str],
    ) -> Result<Self> {
        let mut daemon = Self::spawn(node, home, configuration, options)?;
        daemon.wait_ready()?;
        Ok(daemon)
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    ///
    /// When it has not been built or cannot be started.
    pub fn spawn(
        node: &Namespace,
        home: &Home,
        configuration: &str,
        options: &[&str],
    ) -> Result<Self> {
        let file = home.file("tsnd.yaml");
        fs::write(&file, configuration).with_context(|| format!("write {}", file.display()))?;
        let state = home.file("state");
        fs::create_dir_all(&state)?;
        let control = home.control();
        let notify_path = home.file("notify.sock");
        let _ = fs::remove_file(&notify_path); // of the start before
        let notify = NotifySocket::bind(notify_path)?;
        let mut command = node.command(binary("tsnd")?);
        if !options.contains(&"--backend") {
            command.args(["--backend", home.backend.name()]);
        }
        command.arg("--config").arg(&file);
        command.arg("--control").arg(control.socket());
        command.arg("--pin-dir").arg(home.pin_directory());
        command.arg("--state-dir").arg(&state);
        command.arg("--cni-dir").arg(home.record_directory());
        command.args(options);
        command.env("NOTIFY_SOCKET", notify.path());
        command.env("RUNTIME_DIRECTORY", home.directory.path()); // where DPDK leaves a directory
        Ok(Self {
            process: Process::spawn("tsnd", command)?,
            control,
            notify,
        })
    }

    /// Waits for `READY=1`.
    ///
    /// # Errors
    ///
    /// With its log, when it ends or the bound passes first.
    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_notified("READY=1", READY_BOUND)
    }

    /// Waits for a line such as `STOPPING=1` or `WATCHDOG=1` at the notification socket; earlier ones are passed over.
    ///
    /// # Errors
    ///
    /// With its log, when it ends or the bound passes first.
    pub fn wait_notified(&mut self, line: &str, bound: Duration) -> Result<()> {
        let start = std::time::Instant::now();
        loop {
            while let Some(message) = self.notify.next() {
                if message.lines().any(|candidate| candidate == line) {
                    return Ok(());
                }
            }
            if let Some(status) = self.process.exited() {
                bail!(
                    "tsnd ended with {status} before {line}\n{}",
                    self.process.log()
                );
            }
            if start.elapsed() > bound {
                bail!(
                    "tsnd did not say {line} in {bound:?}\n{}",
                    self.process.log()
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Asks it to drain and end, as systemd does, and waits until it has.
    ///
    /// # Errors
    ///
    /// With its log, when it does not end well in 30 seconds.
    pub fn terminate(mut self) -> Result<()> {
        self.process.signal(Signal::SIGTERM)?;
        let status = self.process.wait(END_BOUND)?;
        if !status.success() {
            bail!(
                "tsnd ended with {status} on SIGTERM\n{}",
                self.process.log()
            );
        }
        Ok(())
    }

    /// Kills it, as the kernel does when memory is short.
    ///
    /// # Errors
    ///
    /// When it has ended already.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill().map(drop)
    }
}
