//! The follower's node: a pod, and a daemon at the wire.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use tsn_tests::{
    daemon::{self, Home},
    namespace::Namespace,
    wait::{wait_for, wait_until},
};

use crate::{
    remote::Request,
    station::{self, CARD},
};

/// UDP ports of the streams in class 7, which is critical, in class 0, and in class 2, whose gate never opens.
pub const PORTS: [u16; 3] = [5001, 5009, 5006];

/// How many frames are sent to each port each time.
pub const FRAMES: u64 = 20;

const CLOSED_CLASS: u64 = 2;
const ATTACH_BOUND: Duration = Duration::from_secs(60);
const POD: Ipv4Addr = Ipv4Addr::new(10, 71, 0, 11);
/// Nobody has this address; its frames go to the grandmaster's card, where they are counted.
const FAR: Ipv4Addr = Ipv4Addr::new(10, 71, 0, 99);

/// What keeps the follower from its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The link is down.
    Link,
    /// The grandmaster is silent.
    Grandmaster,
}

impl Cut {
    /// What the grandmaster is asked for.
    pub fn request(self) -> Request {
        match self {
            Self::Link => Request::LinkDown,
            Self::Grandmaster => Request::Silence,
        }
    }

    /// What it is asked for to end that.
    pub fn undo(self) -> Request {
        match self {
            Self::Link => Request::LinkUp,
            Self::Grandmaster => Request::Speak,
        }
    }

    /// Whether frames still arrive at the other end of the wire.
    pub fn leaves_wire(self) -> bool {
        self == Self::Grandmaster
    }
}

/// The setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSyncLoss {
    /// `hold`.
    Hold,
    /// `open`.
    Open,
    /// `drop-critical`.
    DropCritical,
}

impl OnSyncLoss {
    fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Open => "open",
            Self::DropCritical => "drop-critical",
        }
    }

    /// What becomes of frames while the clock is lost.
    pub fn seen(self) -> Seen {
        match self {
            Self::Hold => Seen::BY_SCHEDULE,
            Self::Open => Seen {
                sent: [FRAMES; 3],
                gate_never_opens: 0,
                ..Seen::BY_SCHEDULE
            },
            Self::DropCritical => Seen {
                sent: [0, FRAMES, 0],
                clock_lost: FRAMES,
                ..Seen::BY_SCHEDULE
            },
        }
    }
}

/// What became of frames, of which as many were sent to each of [`PORTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Sent by the daemon, of each stream.
    pub sent: [u64; 3],
    /// Dropped since the clock was lost.
    pub clock_lost: u64,
    /// Refused since their gate never opens.
    pub gate_never_opens: u64,
}

impl Seen {
    /// While nothing is wrong.
    pub const BY_SCHEDULE: Self = Self {
        sent: [FRAMES, FRAMES, 0],
        clock_lost: 0,
        gate_never_opens: FRAMES,
    };

    fn total(&self) -> u64 {
        self.sent.iter().sum::<u64>() + self.clock_lost + self.gate_never_opens
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            sent: std::array::from_fn(|at| self.sent[at] - before.sent[at]),
            clock_lost: self.clock_lost - before.clock_lost,
            gate_never_opens: self.gate_never_opens - before.gate_never_opens,
        }
    }
}

/// The daemon's words for its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has followed nothing yet.
    FreeRun,
    /// It follows the grandmaster.
    Locked,
    /// It did a moment ago.
    Holdover,
    /// It did, longer ago.
    Lost,
}

/// The node with its pod.
pub struct Node {
    pod: Namespace,
    namespace: Namespace,
}

impl Node {
    /// Its pod's frames go to this Ethernet address. No bridge leads from the pod to the wire: only the daemon does.
    pub fn new(far: &str) -> Result<Self> {
        let namespace = station::node()?;
        let pod = Namespace::new("pod")?;
        namespace.batch(
            "ip",
            &format!(
                "link add pod1 type veth peer name eth0 netns {}\nlink set pod1 up\n",
                pod.name()
            ),
        )?;
        pod.batch(
            "ip",
            &format!(
                "link set eth0 up\naddr add {POD}/24 dev eth0\n\
                 neigh add {FAR} lladdr {far} dev eth0 nud permanent\n"
            ),
        )?;
        Ok(Self { pod, namespace })
    }

    /// The node's namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Starts the daemon and waits until it serves the pod. Its windows are long enough for any lead that a guest without
    /// acceleration may have.
    pub fn start(&self, on_sync_loss: OnSyncLoss) -> Result<Daemon> {
        let home = Home::new()?;
        let configuration = format!(
            "worker: {{ heartbeat-timeout: 10s }}
clock: {{ on-sync-loss: {}, holdover: 8s }}
uplinks:
  - device: {CARD}
    link-speed: 1000
    traffic-classes: [ {{ number: 7, critical: true }}, {{ number: 0 }}, {{ number: 2 }} ]
    gate-parameters:
      admin-control-list:
        - {{ gate-states-value: [7], time-interval-value: 200ms }}
        - {{ gate-states-value: [0], time-interval-value: 200ms }}
pods:
  - name: pod1
    netns: {}
    streams:
      - {{ name: critical, match: {{ udp-destination-port: {} }}, traffic-class: 7 }}
      - {{ name: rest, match: {{ udp-destination-port: {} }}, traffic-class: 0 }}
      - {{ name: closed, match: {{ udp-destination-port: {} }}, traffic-class: 2 }}
",
            on_sync_loss.name(),
            self.pod.path().display(),
            PORTS[0],
            PORTS[1],
            PORTS[2]
        );
        let running =
            daemon::Daemon::start(&self.namespace, &home, &configuration, &["--cpu", "1"])?;
        wait_until("the pod to be attached", ATTACH_BOUND, || {
            let pods = running.control.get("/v1/pods");
            pods.is_ok_and(|pods| pods[0]["attached"] == true)
        })?;
        Ok(Daemon {
            running,
            _home: home,
        })
    }

    /// Sends datagrams to each of [`PORTS`].
    pub fn send(&self) -> Result<()> {
        let socket = self.pod.enter(|| UdpSocket::bind((POD, 0)))??;
        for _ in 0..FRAMES {
            for port in PORTS {
                socket.send_to(b"two nodes", (FAR, port))?;
            }
        }
        Ok(())
    }
}

/// A running daemon.
pub struct Daemon {
    running: daemon::Daemon,
    _home: Home,
}

impl Daemon {
    /// The state of its clock.
    pub fn state(&self) -> Result<State> {
        let status = self.running.control.get("/v1/status")?;
        Ok(State::deserialize(&status["clock"]["state"])?)
    }

    /// Waits for a state of its clock.
    pub fn wait_for(&self, wanted: State, bound: Duration) -> Result<()> {
        let mut state = None;
        let waited = wait_until(&format!("{wanted:?}"), bound, || {
            state = self.state().ok();
            state == Some(wanted)
        });
        waited.with_context(|| format!("the clock is {state:?}\n{}", self.running.process.log()))
    }

    /// What has become of all frames so far.
    pub fn seen(&self) -> Result<Seen> {
        let pods = self.running.control.get("/v1/pods")?;
        let status = self.running.control.get("/v1/status")?;
        let classes = status["classes"].as_array().context("no classes")?;
        let closed = classes.iter().find(|class| class["number"] == CLOSED_CLASS);
        let number = |value: &Value| value.as_u64().with_context(|| format!("{value}"));
        let sent = |stream: usize| number(&pods[0]["streams"][stream]["sent"]);
        Ok(Seen {
            sent: [sent(0)?, sent(1)?, sent(2)?],
            clock_lost: number(&status["uplink"]["drops"]["clock_lost"])?,
            gate_never_opens: number(&closed.context("no class 2")?["drops"]["gate_never_opens"])?,
        })
    }

    /// Waits until all frames that [`Node::send`] sends have come to an end, and says to which.
    pub fn wait_for_frames(&self, before: &Seen, bound: Duration) -> Result<Seen> {
        let mut seen = None;
        wait_for("the frames to come to an end", bound, || {
            seen = Some(self.seen().ok()?.since(before));
            seen.filter(|seen| seen.total() >= 3 * FRAMES)
        })
        .with_context(|| format!("{seen:?}\n{}\n{}", self.told(), self.running.process.log()))
    }

    /// All that it tells of itself, for messages.
    fn told(&self) -> String {
        let told = ["/v1/status", "/v1/pods"].map(|path| self.running.control.get(path));
        format!("{told:?}")
    }

    /// Lets it end.
    pub fn terminate(self) -> Result<()> {
        self.running.terminate()
    }
}
