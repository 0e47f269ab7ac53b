//! Frames that go round between testpmd, which sends on by one port what it gets by the other, and what is measured.
//!
//! ```text
//!        core 0                                        the worker's core
//!  ┌──────────────────┐                            ┌──────────────────┐
//!  │        ┌─▶ port 0│ virtio_user ──────▶ vhost  │ pod ─┐           │
//!  │ testpmd│         │                            │      │ forwarded │
//!  │        └── port 1│ virtio_user ◀────── vhost  │ uplink ◀┘        │
//!  └──────────────────┘                            └──────────────────┘
//! ```
//!
//! So many frames as fit into any of the rings are sent once. From then on each is offered again as soon as it has
//! arrived: the rate is the highest at which nothing is lost, and nothing has to be searched for.

use std::time::{Duration, Instant};

use anyhow::Result;
use tsn_tests::{
    backend::Backend,
    daemon::{Daemon, Home},
    namespace::Namespace,
    testpmd::{BURST_FRAMES, Place, Testpmd},
    wait::wait_until,
};

use crate::bench::session::Session;

/// Bursts under way: a queue of a virtio device has 256 slots, and all frames may be in one.
const BURSTS: u64 = 4;
/// A link between two programs is up within this once both run.
const LINK_BOUND: Duration = Duration::from_secs(10);
/// When the frames are no longer sent on, those under way are back within this.
const RETURN_BOUND: Duration = Duration::from_secs(2);

/// What forwards the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarder {
    /// Debian's `dpdk-testpmd` in io mode, over two vhost devices.
    Testpmd,
    /// tsnd from a pod's vhost-user socket to a vhost device as its uplink, with one class and all gates open.
    Tsnd,
}

/// A circle, still or turning.
pub struct Circle {
    generator: Testpmd,
    started: Instant,
    forwarder: Running,
    _home: Home,
    _namespace: Namespace,
}

enum Running {
    Testpmd { _testpmd: Testpmd },
    Tsnd(Daemon),
}

/// What is known of a circle once it stands still.
#[derive(Debug, Clone, Copy)]
pub struct Stopped {
    /// Frames that were sent and never came back.
    pub lost: u64,
    /// The part of its time that the generator was busy with frames, and did not wait for them.
    pub generator_busy: f64,
}

impl Circle {
    /// How many frames go round.
    pub const FRAMES: u64 = BURSTS * BURST_FRAMES;

    /// Starts the forwarder on the worker's core and the generator on core 0.
    ///
    /// # Errors
    ///
    /// When one of them does not start.
    pub fn new(forwarder: Forwarder, session: &Session) -> Result<Self> {
        let namespace = Namespace::new("circle")?;
        let home = Home::with_backend(Backend::Dpdk)?;
        let socket = |name: &str| home.file(name).display().to_string();
        let sockets = [socket("pod.sock"), socket("uplink.sock")];
        let forwarder = forwarder.start(&namespace, &home, &sockets, session)?;
        let devices = [0, 1].map(|port| format!("net_virtio_user{port},path={}", sockets[port]));
        let mut generator = Testpmd::start_at(
            &namespace,
            Place {
                devices: &devices.each_ref().map(String::as_str),
                cpu: 0,
                hugepages: session.hugepages,
            },
            &[],
        )?;
        generator.command("set record-core-cycles on")?;
        let circle = Self {
            generator,
            started: Instant::now(),
            forwarder,
            _home: home,
            _namespace: namespace,
        };
        if let Some(daemon) = circle.daemon() {
            wait_until("tsnd's uplink", LINK_BOUND, || {
                let status = daemon.control.get("/v1/status");
                status.is_ok_and(|status| status["uplink"]["up"] == true)
            })?;
        }
        Ok(circle)
    }

    /// The daemon, where it forwards.
    pub fn daemon(&self) -> Option<&Daemon> {
        match &self.forwarder {
            Running::Testpmd { .. } => None,
            Running::Tsnd(daemon) => Some(daemon),
        }
    }

    /// Sends the frames off, of `size_bytes` each without FCS.
    ///
    /// # Errors
    ///
    /// When the generator does not answer.
    pub fn start(&mut self, size_bytes: usize) -> Result<()> {
        let size = format!("set txpkts {size_bytes}");
        let send = format!("start tx_first {BURSTS}");
        // Sent by port 0 alone; what arrives meanwhile waits in the queue of port 1.
        for line in [
            "clear port stats all",
            &size,
            "set fwd io",
            "set portlist 0",
            &send,
            "stop",
        ] {
            self.generator.command(line)?;
        }
        self.generator.command("set portlist 0,1")?;
        self.started = Instant::now();
        self.generator.command("start").map(drop)
    }

    /// How many frames the generator has received since the start.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn arrived(&mut self) -> Result<u64> {
        Ok(self.generator.stats_of(1)?.received)
    }

    /// Stops it and takes out all frames.
    ///
    /// # Errors
    ///
    /// When the generator does not answer.
    pub fn stop(&mut self) -> Result<Stopped> {
        let generator = &mut self.generator;
        let busy = generator.busy_time()?;
        let turned = self.started.elapsed();
        for line in ["stop", "set fwd rxonly", "start"] {
            generator.command(line)?;
        }
        let sent = generator.stats_of(0)?.sent;
        let mut arrived = 0;
        // Frames may be lost for good; then the bound passes.
        let _ = wait_until("all frames", RETURN_BOUND, || {
            arrived = generator.stats_of(1).map_or(0, |stats| stats.received);
            arrived >= sent
        });
        generator.command("stop")?;
        Ok(Stopped {
            lost: sent.saturating_sub(arrived),
            generator_busy: busy.as_secs_f64() / turned.as_secs_f64(),
        })
    }
}

impl Forwarder {
    /// What the tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Testpmd => "testpmd in io mode",
            Self::Tsnd => "tsnd, poll-mode busy",
        }
    }

    fn start(
        self,
        namespace: &Namespace,
        home: &Home,
        sockets: &[String; 2],
        session: &Session,
    ) -> Result<Running> {
        let devices = [0, 1].map(|port| format!("net_vhost{port},iface={}", sockets[port]));
        match self {
            Self::Testpmd => {
                let place = Place {
                    devices: &devices.each_ref().map(String::as_str),
                    cpu: session.worker_cpu,
                    hugepages: session.hugepages,
                };
                let mut testpmd = Testpmd::start_at(namespace, place, &[])?;
                testpmd.command("set fwd io")?;
                testpmd.command("start")?;
                Ok(Running::Testpmd { _testpmd: testpmd })
            }
            Self::Tsnd => {
                let cpu = session.worker_cpu.to_string();
                let options = ["--cpu", &cpu];
                let daemon = Daemon::start(namespace, home, &configuration(sockets), &options)?;
                Ok(Running::Tsnd(daemon))
            }
        }
    }
}

/// Without a real-time priority, as testpmd has none, and with a link that is never the limit.
fn configuration([pod, uplink]: &[String; 2]) -> String {
    format!(
        "uplinks:
  - device: \"net_vhost_uplink,iface={uplink}\"
    link-speed: 1000000
    traffic-classes: [ {{ number: 0, capacity: 4096 }} ]
pods:
  - name: pod
    vhost-user: {{ socket: {pod}, address: \"02:00:00:00:01:01\" }}
    frame-quota: 4096
    streams: [ {{ name: all, match: {{}}, traffic-class: 0, late: send }} ]
worker: {{ poll-mode: busy }}
"
    )
}
