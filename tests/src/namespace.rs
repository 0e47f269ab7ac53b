//! A network namespace of our own.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write,
    os::{fd::AsFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use nix::{
    sched::{CloneFlags, setns},
    sys::{prctl, signal::Signal},
};

use crate::scratch;

/// A network namespace with a unique name under `/run/netns`; dropping it removes it with all its devices.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    path: PathBuf,
}

impl Namespace {
    /// Creates an empty namespace whose name ends in `label`; its loopback is up, IPv6 sends nothing unasked.
    ///
    /// # Errors
    ///
    /// When the caller is not root or iproute2 is missing.
    pub fn new(label: &str) -> Result<Self> {
        scratch::sweep();
        let name = scratch::unique_name(label);
        ip(&["netns", "add", &name])?;
        let namespace = Self {
            path: Path::new("/run/netns").join(&name),
            name,
        };
        namespace.quieten_ipv6()?;
        namespace.batch("ip", "link set lo up\n")?;
        Ok(namespace)
    }

    /// A namespace that another program makes under this name; dropping it removes it unless that program has.
    pub fn of_another(name: String) -> Self {
        Self {
            path: Path::new("/run/netns").join(&name),
            name,
        }
    }

    /// Its name for iproute2.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it, as a container runtime hands it to a CNI plugin.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a closure in a thread of its own inside the namespace. Only the network namespace changes: the mounts,
    /// and with them bpffs, stay the same.
    ///
    /// # Errors
    ///
    /// When the namespace is gone. A panic of the closure goes on in the caller.
    pub fn enter<T: Send>(&self, closure: impl FnOnce() -> T + Send) -> Result<T> {
        let file = self.open()?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(file.as_fd(), CloneFlags::CLONE_NEWNET)?;
                anyhow::Ok(closure())
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
        .with_context(|| format!("enter network namespace {}", self.name))
    }

    /// A command that runs inside the namespace and dies with the thread that starts it.
    ///
    /// # Panics
    ///
    /// When the namespace is gone; the test bed removes none that it still hands out.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let file = self
            .open()
            .expect("the namespace lives as long as its handle");
        let mut command = Command::new(program);
        // SAFETY: between fork and exec this makes two system calls on a descriptor that the closure owns; neither
        // allocates nor takes a lock.
        unsafe {
            command.pre_exec(move || {
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                setns(file.as_fd(), CloneFlags::CLONE_NEWNET)?;
                Ok(())
            });
        }
        command
    }

    /// Runs lines of iproute2's batch language inside the namespace; `program` is `ip`, `bridge` or `tc`.
    ///
    /// # Errors
    ///
    /// With what the program wrote, when a line fails.
    pub fn batch(&self, program: &str, lines: &str) -> Result<()> {
        run_batch(self.command(program), lines)
            .with_context(|| format!("{program} -batch in {}", self.name))
    }

    /// Writes a sysctl of the namespace, such as `net/ipv6/conf/all/accept_ra`.
    ///
    /// # Errors
    ///
    /// When there is no such sysctl or the value is refused.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(key);
        self.enter(|| std::fs::write(&path, value))?
            .with_context(|| format!("set {key} to {value}"))
    }

    fn quieten_ipv6(&self) -> Result<()> {
        let settings = [
            ("accept_dad", "0"),
            ("accept_ra", "0"),
            ("autoconf", "0"),
            ("router_solicitations", "0"),
        ];
        self.enter(|| {
            for scope in ["all", "default"] {
                for (key, value) in settings {
                    std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/{key}"), value)
                        .with_context(|| format!("set IPv6 {key} to {value}"))?;
                }
            }
            Ok(())
        })?
    }

    fn open(&self) -> Result<File> {
        File::open(&self.path).with_context(|| format!("open {}", self.path.display()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.path.exists() {
            return;
        }
        if let Err(error) = ip(&["netns", "delete", &self.name]) {
            eprintln!("{error:#}");
        }
    }
}

/// Runs `ip` in the caller's own namespace.
fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("run ip (package iproute2)")?;
    if !output.status.success() {
        bail!(
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Runs batch lines with `-batch -`; links of several namespaces are made from outside them all.
pub(crate) fn run_batch(mut command: Command, lines: &str) -> Result<()> {
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start iproute2")?;
    child
        .stdin
        .take()
        .context("no standard input")?
        .write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "{}\nof:\n{lines}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_sees_only_its_own_devices_and_goes_with_its_handle() {
        let namespace = Namespace::new("self").unwrap();
        let path = namespace.path().to_path_buf();
        namespace
            .batch("ip", "link add probe0 type bridge\n")
            .unwrap();
        let output = namespace
            .command("ip")
            .args(["-brief", "link"])
            .output()
            .unwrap();
        let links = String::from_utf8(output.stdout).unwrap();
        assert!(
            links.contains("probe0") && links.lines().count() == 2,
            "{links}"
        );
        drop(namespace);
        assert!(!path.exists());
    }

    #[test]
    fn a_failing_batch_says_what_failed() {
        let namespace = Namespace::new("bad").unwrap();
        let error = namespace.batch("ip", "link set nothere0 up\n").unwrap_err();
        assert!(format!("{error:#}").contains("nothere0"), "{error:#}");
    }
}
