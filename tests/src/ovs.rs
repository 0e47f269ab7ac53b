//! Open vSwitch with DPDK between a node and the VXLAN overlay that its far node is in: `tests/ovs-dpdk.sh`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    hugepages::Hugepages,
    namespace::Namespace,
    process::{Process, Signal},
    scratch,
    wait::{wait_for, wait_until},
};

/// The switch initialises DPDK; it looks for its peer once a second.
const BOUND: Duration = Duration::from_secs(60);

/// What the switch needs of 2 MB pages.
const PAGES: u64 = 80;

/// Address of the pod that is attached to `near`.
pub const NEAR_POD_MAC: &str = "02:00:00:00:01:01";
/// Its IPv4 address.
pub const NEAR_POD_IPV4: &str = "10.71.0.11";
/// Address of the pod behind the tunnel.
pub const FAR_POD_MAC: &str = "02:00:00:00:02:01";
/// Its IPv4 address.
pub const FAR_POD_IPV4: &str = "10.71.0.21";

/// The topology that is drawn at the head of the script, with its four namespaces; dropping it takes it down.
#[derive(Debug)]
pub struct Overlay {
    script: Process,
    /// Where the switch runs, and where tsnd is to run; the host's end of the pod's veth is `pod1`.
    pub near: Namespace,
    /// The pod of `near`.
    pub near_pod: Namespace,
    /// The node that the tunnel leads to, with the kernel's VXLAN.
    pub far: Namespace,
    /// The pod of `far`.
    pub far_pod: Namespace,
    directory: TempDir,
    _hugepages: Option<Hugepages>,
}

impl Overlay {
    /// Sets it up on hugepages, or without them where the machine has none to give, and says so.
    ///
    /// # Errors
    ///
    /// With the switch's output, when Open vSwitch is not there (`cargo xtask setup` gets it) or does not start.
    pub fn new() -> Result<Self> {
        let hugepages = Hugepages::allocate(PAGES);
        if let Err(error) = &hugepages {
            println!("Open vSwitch runs without hugepages: {error:#}");
        }
        let directory = scratch::directory("ovs")?;
        let mut command = Command::new("setpriv"); // it and all that it starts die with this thread
        command.args(["--pdeathsig", "KILL"]);
        command.arg(script()).arg("run").arg(directory.path());
        let name = directory
            .path()
            .file_name()
            .context("a directory has a name")?;
        let namespace =
            |label| Namespace::of_another(format!("{}-{label}", name.to_string_lossy()));
        let mut overlay = Self {
            script: Process::spawn("ovs-dpdk.sh", command)?,
            near: namespace("near"),
            near_pod: namespace("near-pod"),
            far: namespace("far"),
            far_pod: namespace("far-pod"),
            directory,
            _hugepages: hugepages.ok(),
        };
        overlay.wait_ready()?;
        Ok(overlay)
    }

    /// The DPDK device that tsnd makes for the switch to connect to.
    pub fn uplink_device(&self) -> String {
        let socket = self.directory.path().join("uplink.sock");
        format!("net_virtio_user0,path={},server=1", socket.display())
    }

    /// Waits until the switch has connected to the uplink, or has lost it.
    ///
    /// # Errors
    ///
    /// With the switch's log.
    pub fn wait_link(&self, state: &str) -> Result<()> {
        wait_until(&format!("the switch's port to be {state}"), BOUND, || {
            self.interface("tsn0", "link_state")
                .is_ok_and(|link| link == state)
        })
        .with_context(|| self.log())
    }

    /// A column of the switch's record of an interface (`ovs-vswitchd.conf.db(5)`), such as `statistics:rx_packets`.
    ///
    /// # Errors
    ///
    /// When the switch's database does not answer, or not with that.
    pub fn interface(&self, interface: &str, column: &str) -> Result<String> {
        let mut command = Command::new(script());
        command.arg("get").arg(self.directory.path());
        let output = command
            .args([interface, column])
            .output()
            .context("run ovs-dpdk.sh")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn wait_ready(&mut self) -> Result<()> {
        let ready = self.directory.path().join("ready");
        let is_up = wait_for("Open vSwitch", BOUND, || {
            let ended = self.script.exited().is_some();
            (ended || ready.exists()).then(|| ready.exists())
        })
        .with_context(|| self.log())?;
        if !is_up {
            bail!("Open vSwitch has not come up\n{}", self.log());
        }
        Ok(())
    }

    fn log(&self) -> String {
        let switch = std::fs::read_to_string(self.directory.path().join("ovs-vswitchd.log"));
        format!("{}{}", self.script.log(), switch.unwrap_or_default())
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ovs-dpdk.sh")
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // Killed only if that is in vain; then the namespaces are removed by their handles.
        let asked = self.script.signal(Signal::SIGTERM);
        if let Err(error) = asked.and_then(|()| self.script.wait(BOUND)) {
            eprintln!("{error:#}");
        }
    }
}
