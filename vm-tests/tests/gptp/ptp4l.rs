//! Debian's `ptp4l` in a node.

use anyhow::{Result, bail};
use tempfile::TempDir;
use tsn_tests::{
    namespace::Namespace,
    process::{Process, Signal},
};

use crate::station::CARD;

/// The profile of IEEE 802.1AS as linuxptp's `gPTP.cfg` has it, as far as software time stamps allow: no bound on the
/// propagation delay, since such stamps see the ways through both kernels; three seconds instead of three intervals without
/// Sync until the grandmaster is given up; and constants of the servo with which it starts in seconds.
const SETTINGS: &str = "[global]
gmCapable 1
priority2 248
logAnnounceInterval 0
logSyncInterval -3
syncReceiptTimeout 24
neighborPropDelayThresh 1000000000
min_neighbor_prop_delay -20000000
assume_two_step 1
path_trace_enabled 1
follow_up_info 1
transportSpecific 0x1
ptp_dst_mac 01:80:C2:00:00:0E
network_transport L2
delay_mechanism P2P
time_stamping software
tx_timestamp_timeout 1000
pi_proportional_const 0.3
pi_integral_const 0.05
sanity_freq_limit 0
summary_interval 1
";

/// What it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its clock is the one to follow.
    Grandmaster,
    /// It follows, and is never followed.
    Follower,
}

/// A running one; it is killed when dropped.
pub struct Ptp4l {
    process: Process,
    _directory: TempDir,
}

impl Ptp4l {
    /// Starts it at a node's card.
    pub fn start(node: &Namespace, role: Role) -> Result<Self> {
        let own = match role {
            Role::Grandmaster => "priority1 100\n",
            Role::Follower => "priority1 255\nslaveOnly 1\n",
        };
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("ptp4l.conf");
        std::fs::write(&file, format!("{SETTINGS}{own}"))?;
        let mut command = node.command("/usr/sbin/ptp4l");
        command.arg("-f").arg(&file).args(["-i", CARD, "-m"]);
        Ok(Self {
            process: Process::spawn("ptp4l", command)?,
            _directory: directory,
        })
    }

    /// Stops it, or lets it go on.
    pub fn set_silent(&self, silent: bool) -> Result<()> {
        self.process.signal(if silent {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        })
    }

    /// Fails when it has ended, with what it said.
    pub fn check(&mut self) -> Result<()> {
        match self.process.exited() {
            None => Ok(()),
            Some(status) => bail!("{status}\n{}", self.process.log()),
        }
    }
}
