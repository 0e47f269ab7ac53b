//! A node with an uplink of several queues, a pod, and the wire's far end.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result};
use tsn_perf::talk::TalkSummary;
use tsn_tests::{
    capture::Capture,
    clients::tsn_perf,
    daemon::Home,
    namespace::Namespace,
    process::{Process, Signal},
    topology::UPLINK,
};

/// taprio gives each traffic class queues of its own.
const QUEUES: u8 = 4;
/// Where the datagrams go; nobody listens there.
const FAR: &str = "10.71.1.2";
const FAR_MAC: &str = "02:00:00:00:02:01";
const BOUND: Duration = Duration::from_secs(60);

/// The uplink's speed in Mb/s: what a veth says of itself, and thus what taprio counts with.
pub const LINK_SPEED: u32 = 10_000;

/// Namespaces of a node, a pod on it, and the wire's far end.
pub struct Bed {
    /// Has the uplink.
    pub node: Namespace,
    /// Their `eth0` is joined to the node's `pod1` and `pod2`.
    pub pods: [Namespace; 2],
    /// Sees what arrives.
    pub far: Namespace,
    /// Of the node's daemon, if it has one.
    pub home: Home,
}

impl Bed {
    /// Builds it; neighbours are static, so that the wire carries nothing else.
    pub fn new() -> Result<Self> {
        let (node, far) = (Namespace::new("node")?, Namespace::new("far")?);
        let pods = [Namespace::new("pod1")?, Namespace::new("pod2")?];
        for namespace in [&node, &pods[0], &pods[1], &far] {
            namespace.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        }
        let queues = format!("numtxqueues {QUEUES} numrxqueues {QUEUES}");
        node.batch(
            "ip",
            &format!(
                "link add name {UPLINK} {queues} type veth peer name {UPLINK} netns {} address {FAR_MAC} {queues}\n\
                 link add name pod1 type veth peer name eth0 netns {}\n\
                 link add name pod2 type veth peer name eth0 netns {}\n\
                 link set {UPLINK} up\nlink set pod1 up\nlink set pod2 up\n",
                far.name(),
                pods[0].name(),
                pods[1].name()
            ),
        )?;
        far.batch("ip", &format!("link set {UPLINK} up\n"))?;
        for (namespace, device, address) in [
            (&node, UPLINK, "10.71.1.1"),
            (&pods[0], "eth0", "10.71.1.3"),
            (&pods[1], "eth0", "10.71.1.4"),
        ] {
            namespace.batch(
                "ip",
                &format!(
                    "link set {device} up\naddr add {address}/24 dev {device}\n\
                     neigh add {FAR} lladdr {FAR_MAC} dev {device} nud permanent\n"
                ),
            )?;
        }
        Ok(Self {
            node,
            pods,
            far,
            home: Home::new()?,
        })
    }

    /// Sees everything that comes out of the wire.
    pub fn capture(&self) -> Result<Capture> {
        Capture::start(&self.far, UPLINK)
    }
}

/// What a talker sends.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its traffic class, its priority, and the last digit of its UDP port.
    pub class: u8,
    options: Vec<&'static str>,
}

impl Stream {
    /// With these options of `tsn-perf talk` besides.
    pub fn new(class: u8, options: &[&'static str]) -> Self {
        Self {
            class,
            options: options.to_vec(),
        }
    }

    /// With these too.
    pub fn and(mut self, options: &[&'static str]) -> Self {
        self.options.extend_from_slice(options);
        self
    }

    /// The UDP port of a class.
    pub fn port(class: u8) -> u16 {
        5_000 + u16::from(class)
    }

    /// Starts it in a namespace.
    pub fn start(&self, namespace: &Namespace) -> Result<Process> {
        let mut command = tsn_perf(namespace)?;
        command.args(["talk", "--output", "json", "--udp"]);
        command.arg(format!("{FAR}:{}", Self::port(self.class)));
        command.args([
            "--priority",
            &self.class.to_string(),
            "--stream",
            &self.class.to_string(),
        ]);
        command.args(&self.options);
        Process::spawn("tsn-perf", command)
    }
}

/// Ends a talker and reads what it says.
pub fn finish(talker: Process) -> Result<TalkSummary> {
    talker.signal(Signal::SIGTERM)?;
    let said = talker.finish(BOUND)?;
    serde_json::from_str(&said).with_context(|| format!("the talker said {said:?}"))
}

/// Keeps the processor busy with what nothing has to wait for, as long as it lives. Virtual time leaps to the next timer
/// when the processor is idle, also while it only waits for a file of the host: a program's start would take seconds.
pub struct Awake {
    _spinning: Process,
}

impl Awake {
    /// Starts to spin, below all other programs.
    pub fn start() -> Result<Self> {
        let mut command = Command::new("chrt");
        command.args(["--idle", "0", "sh", "-c", "while :; do :; done"]);
        Ok(Self {
            _spinning: Process::spawn("chrt", command)?,
        })
    }
}
