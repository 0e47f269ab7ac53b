//! Debian's `dpdk-testpmd`: a DPDK program not written here, for the other end of a vhost-user socket.

use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{namespace::Namespace, process::Process, scratch, wait::wait_for};

/// What it writes when it waits for a command.
const PROMPT: &str = "testpmd> ";

/// It initialises DPDK, stops a port, or waits for its peer.
const BOUND: Duration = Duration::from_secs(30);

/// Frames of one burst that [`Testpmd::send`] sends.
pub const BURST_FRAMES: u64 = 32;

/// A running `dpdk-testpmd`; dropping it kills it.
#[derive(Debug)]
pub struct Testpmd {
    process: Process,
    _runtime_directory: TempDir,
}

/// Where a [`Testpmd`] runs, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its DPDK devices such as `net_virtio_user0,path=/run/pod.sock`, port 0 first.
    pub devices: &'a [&'a str],
    /// The core of both of its threads.
    pub cpu: usize,
    /// Whether its 128 MB of memory are hugepages.
    pub hugepages: bool,
}

/// What it has counted of a port since it was started.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PortStats {
    /// Frames that it received.
    pub received: u64,
    /// Bytes that it received, without FCS.
    pub received_bytes: u64,
    /// Frames that the device took for transmission.
    pub sent: u64,
}

impl Testpmd {
    /// Starts it in a namespace on a DPDK device such as `net_virtio_user0,path=/run/pod.sock`, without hugepages, and
    /// waits until it takes commands. `options` are testpmd's own, such as `--eth-peer=0,02:00:00:00:02:01`.
    ///
    /// # Errors
    ///
    /// With its output, when it is not installed (`cargo xtask setup` does that), has no port or is not ready in time.
    pub fn start(namespace: &Namespace, device: &str, options: &[&str]) -> Result<Self> {
        let mut testpmd = Self::spawn(namespace, device, options)?;
        testpmd.wait_ready()?;
        Ok(testpmd)
    }

    /// Starts it and waits for nothing: with `server=1` its device is only there once a peer has connected.
    ///
    /// # Errors
    ///
    /// When it is not installed.
    pub fn spawn(namespace: &Namespace, device: &str, options: &[&str]) -> Result<Self> {
        let place = Place {
            devices: &[device],
            // The worker under test has another.
            cpu: 0,
            hugepages: false,
        };
        Self::spawn_at(namespace, place, options)
    }

    /// As [`start`](Self::start), with as many devices as are wanted, on any core.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_at(namespace: &Namespace, place: Place<'_>, options: &[&str]) -> Result<Self> {
        let mut testpmd = Self::spawn_at(namespace, place, options)?;
        testpmd.wait_ready()?;
        Ok(testpmd)
    }

    fn spawn_at(namespace: &Namespace, place: Place<'_>, options: &[&str]) -> Result<Self> {
        // Written by lines, so that an answer is whole when the prompt comes, which is not buffered.
        let mut command = namespace.command("stdbuf");
        command.args(["--output=L", "dpdk-testpmd"]);
        command.arg(format!("--lcores=(0,1)@{}", place.cpu));
        command.args(["-m", "128", "--no-pci"]);
        if place.hugepages {
            // One file, so one memory region: vhost-user takes at most eight.
            command.args(["--in-memory", "--single-file-segments"]);
        } else {
            command.arg("--no-huge");
        }
        // DPDK leaves directories there.
        let runtime_directory = scratch::directory("testpmd")?;
        command.env("RUNTIME_DIRECTORY", runtime_directory.path());
        for device in place.devices {
            command.arg(format!("--vdev={device}"));
        }
        command.args(["--", "--interactive", "--forward-mode=rxonly"]);
        command.args(["--total-num-mbufs=4096", "--no-flush-rx"]);
        command.args(options);
        let process = Process::interactive("testpmd", command)?;
        Ok(Self {
            process,
            _runtime_directory: runtime_directory,
        })
    }

    /// Waits until it takes commands.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_prompt(0)?;
        let ports = self.command("show port info all")?;
        ports
            .contains("Infos for port 0")
            .then_some(())
            .with_context(|| format!("testpmd has no port\n{}", self.process.log()))
    }

    /// Receives from now on.
    ///
    /// # Errors
    ///
    /// With its output, when it does not answer.
    pub fn receive(&mut self) -> Result<()> {
        self.command("start").map(drop)
    }

    /// Sends so many bursts, one after the other, and receives from then on. What finds no room in the ring is not
    /// [`sent`](PortStats::sent).
    ///
    /// # Errors
    ///
    /// With its output, when it does not answer.
    pub fn send(&mut self, bursts: u64) -> Result<()> {
        self.command("stop")?;
        self.command(&format!("start tx_first {bursts}")).map(drop)
    }

    /// What it has counted of port 0.
    ///
    /// # Errors
    ///
    /// With its output, when it does not answer with counters.
    pub fn stats(&mut self) -> Result<PortStats> {
        self.stats_of(0)
    }

    /// What it has counted of a port.
    ///
    /// # Errors
    ///
    /// With its output, when it does not answer with counters.
    pub fn stats_of(&mut self, port: usize) -> Result<PortStats> {
        let answer = self.command(&format!("show port stats {port}"))?;
        let stats = PortStats {
            received: number_behind(&answer, "RX-packets:")?,
            received_bytes: number_behind(&answer, "RX-bytes:")?,
            sent: number_behind(&answer, "TX-packets:")?,
        };
        Ok(stats)
    }

    /// Time that its forwarding thread has spent on bursts with frames since the last `start`, if it was told to
    /// `set record-core-cycles on` before.
    ///
    /// # Errors
    ///
    /// With its output, when it does not answer with such a time.
    pub fn busy_time(&mut self) -> Result<Duration> {
        let answer = self.command("show fwd stats all")?;
        let cycles = number_behind(&answer, "total cycles=")?;
        let mhz = number_behind(&answer, ") at ")?;
        Ok(Duration::from_nanos(cycles * 1_000 / mhz.max(1)))
    }

    /// Gives it a command and waits for its answer.
    ///
    /// # Errors
    ///
    /// With its output, when it does not answer.
    pub fn command(&mut self, line: &str) -> Result<String> {
        let before = self.process.stdout().len();
        self.process.write_line(line)?;
        self.wait_prompt(before)?;
        Ok(self.process.stdout().split_off(before))
    }

    /// Lets it close its port and end.
    ///
    /// # Errors
    ///
    /// With its output, when it does not end well.
    pub fn quit(mut self) -> Result<()> {
        self.process.write_line("quit")?;
        self.process.finish(BOUND).map(drop)
    }

    /// Kills it, so that its peer sees nothing but the socket's end.
    ///
    /// # Errors
    ///
    /// When it has ended already.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }

    fn wait_prompt(&mut self, from: usize) -> Result<()> {
        wait_for("testpmd's prompt", BOUND, || {
            let ended = self.process.exited().is_some();
            let prompted = self.process.stdout()[from..].contains(PROMPT);
            (ended || prompted).then_some(prompted)
        })
        .and_then(|prompted| prompted.then_some(()).context("testpmd has ended"))
        .with_context(|| self.process.log())
    }
}

fn number_behind(text: &str, label: &str) -> Result<u64> {
    let (_, rest) = text
        .split_once(label)
        .with_context(|| format!("no {label} in {text:?}"))?;
    let digits = rest.split_whitespace().next().unwrap_or_default();
    digits
        .parse()
        .with_context(|| format!("{label} {digits:?} is no number"))
}
