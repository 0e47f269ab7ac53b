//! What stands between this machine and punctual frames: `tsnctl doctor`.
//!
//! [`examine`] looks at a [`Machine`] (files under a root, and a [`Kernel`] for what is no file) and at what is known of
//! the daemon ([`Subject`]), and tells [`Finding`]s. It changes nothing. Each area is a file of its own; what can be
//! found is listed in [`Code`], and in `docs/doctor.md`.

mod clock;
mod clock_programs;
mod code;
mod competitors;
mod core_time;
mod cpu;
mod daemon;
mod device;
mod dpdk;
mod drops;
mod interrupts;
mod kernel;
mod live;
mod machine;
mod memory;
mod options;
mod pod;
mod processes;
#[cfg(test)]
mod tests;
mod wire;

use std::path::PathBuf;

use serde::Serialize;

pub use code::{Area, Code, Severity};
pub use live::Live;
pub use machine::{ClockFacts, DeviceKey, Kernel, Machine};

use crate::config::Configuration;
use crate::control::api::{PodStatus, Status};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// [`Severity::Ok`], or the code's own.
    pub severity: Severity,
    /// Which part of the machine it concerns.
    pub area: Area,
    /// What was looked at.
    pub code: Code,
    /// The fact, with its value.
    pub what: String,
    /// What it costs; in microseconds where that is known. Absent if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The command or setting that mends it. Absent if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Findings as the areas tell them.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn fine(&mut self, code: Code, what: impl Into<String>) {
        self.push(code, Severity::Ok, what.into(), None, None);
    }

    fn bad(
        &mut self,
        code: Code,
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) {
        let (why, mend) = (Some(why.into()), Some(mend.into()));
        self.push(code, code.severity(), what.into(), why, mend);
    }

    fn push(
        &mut self,
        code: Code,
        severity: Severity,
        what: String,
        why: Option<String>,
        mend: Option<String>,
    ) {
        self.0.push(Finding {
            severity,
            area: code.area(),
            code,
            what,
            why,
            mend,
        });
    }
}

/// What the diagnosis is about, beside the machine.
#[derive(Debug)]
pub struct Subject {
    /// The configuration file, if there is one; or why it cannot be used.
    pub configuration: Option<Result<Configuration, String>>,
    /// The uplink, if it is not that of the daemon or the configuration.
    pub device: Option<String>,
    /// The worker's core, if it is not that of the daemon.
    pub cpu: Option<usize>,
    /// Where the kernel programs are pinned.
    pub pin_dir: PathBuf,
    /// The daemon's control socket.
    pub control: PathBuf,
    /// What the daemon answers there.
    pub daemon: Daemon,
}

/// What the daemon answers.
#[derive(Debug)]
pub enum Daemon {
    /// It runs.
    Answers(Box<Answers>),
    /// It does not answer.
    Silent {
        /// Why, as the client of the control API says it.
        reason: String,
        /// Whether a socket is there.
        socket_exists: bool,
    },
    /// This user may not ask it.
    NotAllowed,
}

/// The answers of a daemon.
#[derive(Debug)]
pub struct Answers {
    /// `GET /v1/status`.
    pub status: Status,
    /// `GET /v1/pods`.
    pub pods: Vec<PodStatus>,
    /// Its process, if that is of this PID namespace.
    pub process_id: Option<u32>,
}

impl Subject {
    fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_ref()?.as_ref().ok()
    }

    fn answers(&self) -> Option<&Answers> {
        match &self.daemon {
            Daemon::Answers(answers) => Some(answers),
            Daemon::Silent { .. } | Daemon::NotAllowed => None,
        }
    }

    /// The device that frames leave by: as asked for, else the daemon's, else the configuration's.
    fn uplink(&self) -> Option<&str> {
        let daemon = || Some(&*self.answers()?.status.uplink.device);
        let configured = || Some(&*self.configuration()?.uplinks.first()?.device);
        self.device.as_deref().or_else(daemon).or_else(configured)
    }
}

/// How many findings there are of each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// Things that are as they should be.
    pub ok: usize,
    /// Notes.
    pub notes: usize,
    /// Warnings.
    pub warnings: usize,
    /// Errors.
    pub errors: usize,
}

/// A diagnosis.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The uplink that was looked at.
    pub uplink: Option<String>,
    /// The worker's core that was looked at.
    pub cpu: Option<usize>,
    /// All findings, by area.
    pub findings: Vec<Finding>,
    /// How many of each severity.
    pub summary: Summary,
}

/// Looks at everything. Takes a fifth of a second, in which it sees what runs on the worker's core.
pub fn examine(machine: &Machine, subject: &Subject) -> Report {
    let mut findings = Findings::default();
    let worker = processes::worker(machine, subject);
    let cpu = worker.cpu(subject);
    let name = device::name(subject, &mut findings);
    let uplink = name
        .as_ref()
        .and_then(|name| device::find(machine, name, &mut findings));
    kernel::examine(machine, subject, &mut findings);
    device::examine(machine, subject, uplink.as_ref(), &mut findings);
    dpdk::examine(machine, subject, name.as_ref(), &mut findings);
    pod::examine(machine, subject, uplink.as_ref(), &mut findings);
    clock::examine(machine, uplink.as_ref(), &mut findings);
    cpu::examine(machine, subject, &worker, &mut findings);
    memory::examine(
        machine,
        subject,
        name.as_ref(),
        uplink.as_ref(),
        cpu,
        &mut findings,
    );
    daemon::examine(machine, subject, &mut findings);
    let denied = machine.denied();
    if denied.is_empty() {
        findings.fine(Code::NotReadable, "everything could be looked at");
    } else {
        findings.bad(
            Code::NotReadable,
            format!("not looked at: {}", denied.join(", ")),
            "what is wrong there stays unseen",
            "run tsnctl doctor as root",
        );
    }
    let mut findings = findings.0;
    findings.sort_by_key(|finding| finding.area);
    Report {
        uplink: subject.uplink().map(str::to_owned),
        cpu,
        summary: summary(&findings),
        findings,
    }
}

fn summary(findings: &[Finding]) -> Summary {
    let count = |severity| {
        let same = findings.iter().filter(|found| found.severity == severity);
        same.count()
    };
    Summary {
        ok: count(Severity::Ok),
        notes: count(Severity::Note),
        warnings: count(Severity::Warning),
        errors: count(Severity::Error),
    }
}
