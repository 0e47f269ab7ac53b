//! Who sends: `tsnd`, or a queueing discipline of the kernel.

use anyhow::{Context, Result};
use serde_json::json;
use tsn_tests::{daemon::Daemon, namespace::Namespace, process::Process, topology::UPLINK};

use crate::{
    bed::{Bed, LINK_SPEED, Stream},
    schedule::{BULK, CONTROL, Schedule, VIDEO},
};

/// Priority n of a socket is traffic class n, and each class has a queue; without offload.
const CLASSES: &str = "num_tc 3 map 0 1 2 0 0 0 0 0 0 0 0 0 0 0 0 0 queues 1@0 1@1 1@2";

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Over AF_XDP.
    Tsnd,
    /// Gates alone: the talker keeps the launch time itself.
    Taprio,
    /// Gates and launch times: `txtime-assist`, with ETF below.
    TaprioEtf,
    /// Launch times alone.
    Etf,
    /// Launch times alone, of CLOCK_MONOTONIC.
    Fq,
}

impl Subject {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::Tsnd,
        Self::Taprio,
        Self::TaprioEtf,
        Self::Etf,
        Self::Fq,
    ];

    /// Its name in the figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tsnd => "tsnd",
            Self::Taprio => "taprio",
            Self::TaprioEtf => "taprio-etf",
            Self::Etf => "etf",
            Self::Fq => "fq",
        }
    }

    /// What `--launch-time` of the talker's timed stream this one needs, and the notice.
    pub fn launch_options(self) -> &'static [&'static str] {
        match self {
            Self::Taprio => &["--launch-time", "none", "--notice", "0us"],
            Self::Fq => &["--launch-time", "monotonic", "--notice", "500us"],
            _ => &["--launch-time", "tai", "--notice", "500us"],
        }
    }

    /// Where its talkers are: a pod's priority is lost on the kernel's way to the uplink, so that a queueing discipline
    /// gets the friendliest place, the node itself.
    pub fn place(self, bed: &Bed, class: u8) -> &Namespace {
        match self {
            Self::Tsnd if class == BULK => &bed.pods[1],
            Self::Tsnd => &bed.pods[0],
            _ => &bed.node,
        }
    }

    /// Starts what runs all the time; it has no gates yet.
    pub fn start(self, bed: &Bed) -> Result<Running> {
        let daemon = match self {
            Self::Tsnd => Some(Daemon::start(
                &bed.node,
                &bed.home,
                &configuration(bed),
                &[],
            )?),
            _ => None,
        };
        Ok(Running {
            subject: self,
            daemon,
            tc: None,
        })
    }

    fn taprio(self, schedule: &Schedule) -> String {
        let words = schedule.taprio();
        let end = match self {
            Self::TaprioEtf => "flags 0x1 txtime-delay 500000 clockid CLOCK_TAI",
            _ => "clockid CLOCK_TAI",
        };
        format!(
            "qdisc replace dev {UPLINK} parent root handle 100: taprio {CLASSES} {words} {end}\n"
        )
    }

    /// Whether it has gates.
    pub fn has_gates(self) -> bool {
        matches!(self, Self::Tsnd | Self::Taprio | Self::TaprioEtf)
    }
}

/// A subject at work.
pub struct Running {
    subject: Subject,
    /// `tsnd`.
    pub daemon: Option<Daemon>,
    /// Waits for a line, so that a change does not wait for a program to start.
    tc: Option<Process>,
}

impl Running {
    /// Sets the schedule that is in force at first, as far as it takes one.
    pub fn set_up(&mut self, bed: &Bed, schedule: &Schedule, etf_delta_ns: u64) -> Result<()> {
        if let Some(daemon) = &self.daemon {
            let off = json!({ "gate-enabled": false, "admin-control-list": [] });
            for gates in [off, schedule.tsnd()] {
                daemon
                    .control
                    .request("PUT", "/v1/gates", &gates.to_string())?
                    .json()?;
            }
            return Ok(());
        }
        let etf = |queue: u8, more: &str| {
            format!(
                "qdisc replace dev {UPLINK} parent 100:{queue} etf clockid CLOCK_TAI delta {etf_delta_ns}{more}\n"
            )
        };
        let mqprio = || {
            format!("qdisc replace dev {UPLINK} parent root handle 100: mqprio {CLASSES} hw 0\n")
        };
        let (root, below) = match self.subject {
            Subject::Taprio => (self.subject.taprio(schedule), String::new()),
            Subject::TaprioEtf => (
                self.subject.taprio(schedule),
                [1, 2, 3]
                    .map(|queue| etf(queue, " skip_sock_check"))
                    .concat(),
            ),
            Subject::Etf => (mqprio(), etf(3, "")),
            _ => (
                mqprio(),
                format!("qdisc replace dev {UPLINK} parent 100:3 fq timer_slack 1\n"),
            ),
        };
        let _ = bed
            .node
            .batch("tc", &format!("qdisc delete dev {UPLINK} root\n"));
        bed.node
            .batch("tc", &(root + &below))
            .context("set the queueing disciplines up")?;
        let mut command = bed.node.command("tc");
        command.args(["-batch", "-"]);
        self.tc = Some(Process::interactive("tc", command)?);
        Ok(())
    }

    /// Asks for another schedule. The refusal, if `tsnd` refuses it.
    pub fn change(&mut self, schedule: &Schedule) -> Result<Option<String>> {
        if let Some(daemon) = &self.daemon {
            let answer =
                daemon
                    .control
                    .request("PUT", "/v1/gates", &schedule.tsnd().to_string())?;
            return Ok((answer.status != 200).then_some(answer.body));
        }
        if self.subject.has_gates() {
            let line = self.subject.taprio(schedule);
            self.tc
                .as_mut()
                .context("no tc")?
                .write_line(line.trim_end())?;
        }
        Ok(None)
    }

    /// What `tc` said against the change, if it did.
    pub fn refusal(&mut self) -> Result<Option<String>> {
        let Some(tc) = self.tc.take() else {
            return Ok(None);
        };
        let said = tc.stderr();
        // Its warnings are no refusal.
        let errors = said
            .lines()
            .filter(|line| line.starts_with("Error") || line.starts_with("RTNETLINK"));
        let said: Vec<_> = errors.collect();
        Ok((!said.is_empty()).then(|| said.join("; ")))
    }

    /// What `tsnd` says became of the frames since it started, for the message of a failure.
    pub fn account(&self) -> Result<String> {
        let Some(daemon) = &self.daemon else {
            return Ok(String::new());
        };
        let (status, pods) = (
            daemon.control.get("/v1/status")?,
            daemon.control.get("/v1/pods")?,
        );
        Ok(format!("{status:#}\n{pods:#}\n{}", daemon.process.log()))
    }

    /// Ends it.
    pub fn finish(self) -> Result<()> {
        self.daemon.map_or(Ok(()), Daemon::terminate)
    }
}

fn configuration(bed: &Bed) -> String {
    let streams: Vec<_> = [CONTROL, VIDEO, BULK]
        .map(|class| {
            json!({ "name": format!("class-{class}"), "match": { "udp-destination-port": Stream::port(class) }, "traffic-class": class, "late": "send" })
        })
        .into();
    let pods: Vec<_> = bed
        .pods
        .iter()
        .enumerate()
        .map(|(place, pod)| json!({ "name": format!("pod{}", place + 1), "netns": pod.path(), "streams": streams }))
        .collect();
    json!({
        "worker": { "realtime-priority": 50 },
        "uplinks": [{
            "device": UPLINK,
            "link-speed": LINK_SPEED,
            "traffic-classes": [{ "number": CONTROL }, { "number": VIDEO }, { "number": BULK }],
        }],
        "pods": pods,
    })
    .to_string()
}
