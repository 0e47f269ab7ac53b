//! The daemon: whether it answers, what it says of itself, and the pods that wait.

use std::io::ErrorKind;

use tsn_common::LAYOUT;

use super::{Answers, Code, Daemon, Findings, Machine, Subject, device, dpdk, drops, processes};

/// A lead beyond this, in nanoseconds, is no wake-up of a device that works. On a veth it is 2 to 3.7 µs.
const LONGEST_LEAD_NS: u64 = 50_000;

pub(super) fn examine(machine: &Machine, subject: &Subject, findings: &mut Findings) {
    match &subject.configuration {
        Some(Err(reason)) => findings.bad(
            Code::ConfigurationInvalid,
            reason,
            "tsnd does not start with it, and does not apply it",
            "correct the field that the message names",
        ),
        Some(Ok(_)) => findings.fine(
            Code::ConfigurationInvalid,
            "the configuration file is right",
        ),
        None => {}
    }
    layout(machine, subject, findings);
    match &subject.daemon {
        Daemon::Silent {
            reason,
            socket_exists,
        } => silent(machine, subject, reason, *socket_exists, findings),
        Daemon::NotAllowed => {
            let what = format!("the daemon at {}", subject.control.display());
            machine.noting::<()>(&what, Err(ErrorKind::PermissionDenied.into()));
        }
        Daemon::Answers(answers) => answering(answers, findings),
    }
}

fn silent(
    machine: &Machine,
    subject: &Subject,
    reason: &str,
    socket_exists: bool,
    findings: &mut Findings,
) {
    let runs = processes::all_names(machine)
        .iter()
        .any(|name| name == "tsnd");
    if socket_exists {
        findings.bad(
            Code::DaemonDead,
            reason,
            "pods keep their network, but their frames take the kernel's path: no gates, no launch times",
            "start tsnd again; its log or `journalctl -u tsnd` tells how it ended",
        );
        return;
    }
    let control = subject.control.display();
    let (what, mend) = if runs {
        (
            format!("no socket at {control}, though a tsnd runs"),
            "give this command the --control that tsnd was started with".to_owned(),
        )
    } else {
        let needs_dpdk = subject.uplink().is_some_and(dpdk::drives);
        let backend = if needs_dpdk { "dpdk" } else { "afxdp" };
        (
            format!("no tsnd at {control}"),
            format!("start it: tsnd --backend {backend} --config /etc/tsnd.yaml --cpu N"),
        )
    };
    findings.bad(
        Code::DaemonAbsent,
        what,
        "pods' frames take the kernel's path: no gates, no launch times",
        mend,
    );
}

fn layout(machine: &Machine, subject: &Subject, findings: &mut Findings) {
    let pinned = device::pinned(machine, subject);
    let Some(theirs) = pinned.and_then(|pinned| pinned.layout) else {
        return;
    };
    if theirs == LAYOUT {
        findings.fine(Code::LayoutDiffers, format!("pins are of layout {LAYOUT}"));
    } else {
        findings.bad(
            Code::LayoutDiffers,
            format!("what is pinned is of layout {theirs}, this version's is {LAYOUT}"),
            "the next start of this version detaches all pods first; until they are attached anew their frames take the \
             kernel's path",
            "plan the restart of tsnd for a quiet moment",
        );
    }
}

fn answering(answers: &Answers, findings: &mut Findings) {
    let (status, ours) = (&answers.status, env!("CARGO_PKG_VERSION"));
    let what = format!(
        "tsnd {} answers, backend {}",
        status.version, status.backend
    );
    if status.version == ours {
        findings.fine(Code::VersionDiffers, what);
    } else {
        findings.bad(
            Code::VersionDiffers,
            format!("{what}; this tsnctl is {ours}"),
            "what this diagnosis says of the daemon may be wrong",
            "restart tsnd, or use the tsnctl that came with it",
        );
    }
    for pod in &answers.pods {
        match &pod.waits_for {
            Some(reason) => findings.bad(
                Code::PodWaits,
                format!("pod {} waits: {reason}", pod.pod.name),
                "its frames take the kernel's path, unscheduled",
                "do what the reason says; tsnd tries again every second",
            ),
            None => findings.fine(Code::PodWaits, format!("pod {} is served", pod.pod.name)),
        }
    }
    drops::examine(answers, findings);
    lead(answers, findings);
    match status.clock_steps {
        0 => findings.fine(Code::ClockStepped, "the clock was not set while tsnd ran"),
        steps => findings.bad(
            Code::ClockStepped,
            format!("the clock was set {steps} times while tsnd ran"),
            "gates and launch times jump with it",
            "let the clock be slewed: phc2sys with -S 0, or chrony's makestep only in the first updates",
        ),
    }
}

fn lead(answers: &Answers, findings: &mut Findings) {
    let uplink = &answers.status.uplink;
    let (lead_ns, seen) = (uplink.lead_ns, uplink.lead_observations);
    if uplink.hardware_launch_time {
        let what = format!(
            "the device holds frames until their launch times, with a lead of {lead_ns} ns"
        );
        return findings.fine(Code::Lead, what);
    }
    let what = format!("the lead is {lead_ns} ns, over {seen} wake-ups");
    if seen == 0 || lead_ns == 0 {
        findings.bad(
            Code::Lead,
            "there is no lead",
            "frames reach the wire by a wake-up later than they should: 2.8 us (median) on a veth",
            "set uplinks[0].lead-probes (64 by default) and restart tsnd while the link is up",
        );
    } else if lead_ns > LONGEST_LEAD_NS {
        findings.bad(
            Code::Lead,
            what,
            format!(
                "each gate's window is {} us shorter by it, and frames may start that much early",
                lead_ns / 1_000
            ),
            "isolate the worker's core and restart tsnd, which measures it anew",
        );
    } else {
        findings.fine(Code::Lead, what);
    }
}
