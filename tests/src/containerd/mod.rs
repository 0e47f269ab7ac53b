//! containerd and runc in a node, with directories, a socket and control groups of their own.
//!
//! containerd runs in the node's network namespace, so its plugins do too. It shares the file system with the test, so
//! the daemon of the node finds the pods' network namespaces under the paths that containerd gives them.

mod image;
mod leftovers;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    clients::unpacked,
    cni::{plugins::Plugins, runtime::NetworkList},
    namespace::Namespace,
    process::{Process, Signal},
    scratch,
    wait::wait_until,
};

const BOUND: Duration = Duration::from_secs(60);

/// Name of the image with busybox and the programs that a test adds.
pub const IMAGE: &str = "localhost/programs:1";

const PAUSE_IMAGE: &str = "localhost/pause:1";

/// A running containerd. Dropping it ends it, with all pods that it still has.
#[derive(Debug)]
pub struct Containerd {
    process: Process,
    /// Its directories and control groups have this in their names, and so do the command lines of its shims.
    marker: String,
    directory: TempDir,
}

impl Containerd {
    /// Starts it in a node, with a network for its pods and an image that has `programs` in its root directory beside
    /// `/bin/busybox`.
    ///
    /// # Errors
    ///
    /// With its log, when it does not start; when it is not there (`cargo xtask setup` gets it).
    pub fn start(
        node: &Namespace,
        plugins: &Plugins,
        network: &NetworkList,
        programs: &[&Path],
    ) -> Result<Self> {
        leftovers::sweep();
        let directory = scratch::directory("containerd")?;
        let marker = directory
            .path()
            .file_name()
            .context("a directory has a name")?;
        let marker = marker.to_string_lossy().into_owned();
        fs::create_dir(directory.path().join("net.d"))?;
        let list = serde_json::to_vec(&network.to_json())?;
        fs::write(directory.path().join("net.d/10-test.conflist"), list)?;
        let configuration = directory.path().join("config.toml");
        fs::write(&configuration, configuration_in(directory.path(), plugins))?;

        let mut command = node.command(tool("bin/containerd")?);
        command.arg("--config").arg(configuration);
        command.env("PATH", search_path(plugins)?);
        let mut this = Self {
            process: Process::spawn("containerd", command)?,
            marker,
            directory,
        };
        this.wait_ready()?;
        let busybox = unpacked("containers/bin/busybox")?;
        let in_image: Vec<_> = [("bin/busybox", busybox.as_path())]
            .into_iter()
            .chain(
                programs
                    .iter()
                    .filter_map(|path| Some((path.file_name()?.to_str()?, *path))),
            )
            .collect();
        this.import(IMAGE, &in_image)?;
        let pause = this.compile_pause()?;
        this.import(PAUSE_IMAGE, &[("pause", &pause)])?;
        Ok(this)
    }

    /// Its socket, which also speaks the Container Runtime Interface.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("containerd.sock")
    }

    /// Where pods' logs go.
    pub fn logs(&self) -> PathBuf {
        self.directory.path().join("logs")
    }

    /// The control group that pods belong into.
    pub fn cgroup_parent(&self) -> String {
        format!("/{}", self.marker)
    }

    fn wait_ready(&mut self) -> Result<()> {
        wait_until("containerd to answer", BOUND, || {
            self.process.exited().is_some() || self.client(["version"]).is_ok()
        })
        .with_context(|| self.process.log())?;
        match self.process.exited() {
            Some(status) => bail!("containerd ended with {status}\n{}", self.process.log()),
            None => Ok(()),
        }
    }

    /// What every pod's first process is: it only waits.
    fn compile_pause(&self) -> Result<PathBuf> {
        let (source, program) = (
            self.directory.path().join("pause.c"),
            self.directory.path().join("pause"),
        );
        fs::write(
            &source,
            "#include <unistd.h>\nint main() { for (;;) pause(); }\n",
        )?;
        let mut gcc = Command::new("gcc");
        gcc.args(["-static", "-O2", "-o"]).args([&program, &source]);
        run(gcc)?;
        Ok(program)
    }

    fn import(&self, name: &str, files: &[(&str, &Path)]) -> Result<()> {
        let archive = self.directory.path().join("image.tar");
        image::write(&archive, name, files)?;
        self.client([
            OsStr::new("images"),
            OsStr::new("import"),
            archive.as_os_str(),
        ])
    }

    /// Runs `ctr`.
    fn client<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<()> {
        let mut command = Command::new(tool("bin/ctr")?);
        command.arg("--address").arg(self.socket());
        command.args(["--namespace", "k8s.io"]).args(arguments);
        run(command)
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let ended = self.process.signal(Signal::SIGTERM);
        if let Err(error) = ended.and_then(|()| self.process.wait(BOUND)) {
            eprintln!("{error:#}");
        }
        leftovers::end(&self.marker);
    }
}

/// `native` snapshots need nothing of the kernel. Nothing is limited, so that it runs without CAP_SYS_RESOURCE.
fn configuration_in(directory: &Path, plugins: &Plugins) -> String {
    let directory = directory.display();
    let plugins = plugins.directory().display();
    format!(
        r#"version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[debug]
level = "warn"

[grpc]
address = "{directory}/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
disable_tcp_service = true
disable_apparmor = true
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{directory}/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{directory}/runc"
"#
    )
}

fn tool(path: &str) -> Result<PathBuf> {
    unpacked(&format!("containers/usr/{path}"))
}

/// For the shim and runc, and for what plugins execute.
fn search_path(plugins: &Plugins) -> Result<std::ffi::OsString> {
    let (bin, sbin) = (tool("bin")?, tool("sbin")?);
    let mut path: std::ffi::OsString = format!("{}:{}:", bin.display(), sbin.display()).into();
    path.push(plugins.search_path());
    Ok(path)
}

fn run(mut command: Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
