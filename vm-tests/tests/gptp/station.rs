//! The grandmaster's node.

use std::{
    fs,
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use tsn_tests::{
    capture::{Capture, CapturedFrame},
    namespace::Namespace,
};

use crate::{
    node::PORTS,
    ptp4l::{Ptp4l, Role},
    remote::{Request, serve},
};

/// The card at the wire.
pub const CARD: &str = "eth0";

/// For how long the follower may ask for nothing.
const IDLE_BOUND: Duration = Duration::from_secs(300);

const ETHERTYPE_PTP: [u8; 2] = [0x88, 0xf7];

/// The node's namespace with its card, which is up.
pub fn node() -> Result<Namespace> {
    let namespace = Namespace::new("node")?;
    let mut ip = Command::new("ip");
    let moved = ip
        .args(["link", "set", CARD, "netns", namespace.name()])
        .status()
        .context("start ip")?;
    ensure!(moved.success(), "move {CARD} into the node: {moved}");
    namespace.batch("ip", &format!("link set {CARD} up\n"))?;
    Ok(namespace)
}

/// How many frames have arrived: datagrams at each of the follower's ports, and those of gPTP.
#[derive(Debug, Clone, Copy, Default)]
struct Arrived {
    datagrams: [usize; 3],
    gptp: usize,
}

/// The grandmaster.
pub struct Station {
    ptp4l: Ptp4l,
    /// None while the link is down, which ends a capture.
    capture: Option<Capture>,
    /// What captures have seen that have ended.
    earlier: Arrived,
    node: Namespace,
    address: String,
}

impl Station {
    /// Speaks from now on.
    pub fn new() -> Result<Self> {
        // Before the card is in a namespace that is not the one of this sysfs.
        let file = format!("/sys/class/net/{CARD}/address");
        let address = fs::read_to_string(&file).context(file)?;
        let node = node()?;
        Ok(Self {
            ptp4l: Ptp4l::start(&node, Role::Grandmaster)?,
            capture: Some(Capture::start(&node, CARD)?),
            earlier: Arrived::default(),
            node,
            address: address.trim().to_owned(),
        })
    }

    /// Answers the follower until it has no more to ask.
    pub fn serve(mut self) -> Result<()> {
        serve(IDLE_BOUND, |request| self.answer(request))
    }

    fn arrived(&self) -> Arrived {
        let count = |is_wanted: &dyn Fn(&CapturedFrame) -> bool| {
            self.capture
                .as_ref()
                .map_or(0, |capture| capture.count(is_wanted))
        };
        let of_port = |at: usize| count(&|frame| frame.udp_destination() == Some(PORTS[at]));
        Arrived {
            datagrams: std::array::from_fn(|at| self.earlier.datagrams[at] + of_port(at)),
            gptp: self.earlier.gptp + count(&is_gptp),
        }
    }

    fn answer(&mut self, request: Request) -> Result<String> {
        self.ptp4l.check()?;
        let link = |state| self.node.batch("ip", &format!("link set {CARD} {state}\n"));
        match request {
            Request::LinkDown => {
                self.earlier = self.arrived();
                self.capture = None;
                link("down")?;
            }
            Request::LinkUp => {
                link("up")?;
                self.capture = Some(Capture::start(&self.node, CARD)?);
            }
            Request::Silence => self.ptp4l.set_silent(true)?,
            Request::Speak => self.ptp4l.set_silent(false)?,
            Request::End => {}
            Request::Address => return Ok(self.address.clone()),
            Request::Time => {
                return Ok(SystemTime::UNIX_EPOCH.elapsed()?.as_nanos().to_string());
            }
            Request::Datagrams => return Ok(serde_json::to_string(&self.arrived().datagrams)?),
            Request::GptpFrames => return Ok(self.arrived().gptp.to_string()),
        }
        Ok(String::new())
    }
}

fn is_gptp(frame: &CapturedFrame) -> bool {
    frame.bytes.get(12..14) == Some(&ETHERTYPE_PTP)
}
