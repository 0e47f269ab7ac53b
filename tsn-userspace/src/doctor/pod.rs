//! Both ends of each pod's veth pair.

use std::io;

use tsn_common::STAMP_HEADER_BYTES;
use tsn_programs::{Device, Pinned};

use super::device::{self, Uplink};
use super::{Code, DeviceKey, Findings, Machine, Subject};
use crate::config::Pod;
use crate::ethtool::Ethtool;

pub(super) fn examine(
    machine: &Machine,
    subject: &Subject,
    uplink: Option<&Uplink>,
    findings: &mut Findings,
) {
    match subject.answers() {
        Some(answers) => {
            let pinned = device::pinned(machine, subject);
            for status in answers.pods.iter().filter(|status| status.attached) {
                attached(machine, &status.pod, pinned.as_ref(), uplink, findings);
            }
        }
        None => {
            let configured = subject.configuration().map(|known| &known.pods[..]);
            for pod in configured.unwrap_or_default() {
                not_yet_attached(machine, pod, findings);
            }
        }
    }
}

fn inside(machine: &Machine, pod: &Pod) -> io::Result<(Device, Ethtool)> {
    machine
        .kernel
        .device(Some(&pod.netns), DeviceKey::Name(&pod.interface))
}

/// Without a daemon: whether it would find the pod.
fn not_yet_attached(machine: &Machine, pod: &Pod, findings: &mut Findings) {
    let answer = inside(machine, pod);
    let reason = match &answer {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
        Err(error) => Some(error.to_string()),
        Ok((link, _)) if link.kind != "veth" => Some(format!(
            "{} is of kind `{}`, not veth",
            link.name, link.kind
        )),
        Ok(_) => None,
    };
    match reason {
        Some(reason) => findings.bad(
            Code::PodWaits,
            format!("pod {} cannot be attached: {reason}", pod.name),
            "its frames would take the kernel's path, unscheduled",
            "start the pod, or correct netns and interface in the configuration; tsnd tries again every second",
        ),
        None if answer.is_ok() => findings.fine(Code::PodWaits, format!("pod {} is there", pod.name)),
        None => {}
    }
    machine.noting(&format!("namespace {}", pod.netns.display()), answer);
}

fn attached(
    machine: &Machine,
    pod: &Pod,
    pinned: Option<&Pinned>,
    uplink: Option<&Uplink>,
    findings: &mut Findings,
) {
    let what = format!("namespace {}", pod.netns.display());
    let Some((inside, ethtool)) = machine.noting(&what, inside(machine, pod)) else {
        return;
    };
    let host = inside.peer.and_then(|peer| {
        let answer = machine.kernel.device(None, DeviceKey::Index(peer));
        machine.noting(&format!("device {peer}"), answer)
    });
    let name = format!("pod {}: {}", pod.name, inside.name);
    if !inside.running {
        device::carrier(
            &Device {
                name: name.clone(),
                ..inside.clone()
            },
            findings,
        );
    }
    match ethtool.gro {
        Some(true) => findings.fine(Code::PodGroOff, format!("{name} polls (GRO on)")),
        Some(false) => findings.bad(
            Code::PodGroOff,
            format!("{name} has GRO off, and with it its receive polling (NAPI)"),
            "frames from the uplink do not reach the pod: of 200, none arrived",
            format!(
                "nsenter --net={} ethtool -K {} gro on",
                pod.netns.display(),
                inside.name
            ),
        ),
        None => {}
    }
    if let Some(uplink) = uplink
        && inside.mtu > uplink.link.mtu
    {
        let (ours, theirs) = (inside.mtu, uplink.link.mtu);
        findings.bad(
            Code::MtuAboveUplink,
            format!(
                "{name} has an MTU of {ours}, {} of {theirs}",
                uplink.link.name
            ),
            "frames that are longer than the uplink's are dropped as `sdu_too_large`",
            format!(
                "nsenter --net={} ip link set dev {} mtu {theirs}",
                pod.netns.display(),
                inside.name
            ),
        );
    }
    if let Some(pinned) = pinned {
        stamp(pod, &inside, pinned, findings);
    }
    if let Some((host, ethtool)) = host {
        host_end(machine, &inside, &host, &ethtool, pinned, findings);
    }
}

/// Whether the stamp program is where it should be.
fn stamp(pod: &Pod, inside: &Device, pinned: &Pinned, findings: &mut Findings) {
    let is_there = pinned.programs.iter().any(|program| {
        program.name == "stamp"
            && program.owner == pod.name
            && program.ifindex == Some(inside.index)
    });
    let name = format!("pod {}: {}", pod.name, inside.name);
    if is_there {
        findings.fine(Code::ProgramMissing, format!("{name} has program stamp"));
    } else {
        findings.bad(
            Code::ProgramMissing,
            format!("{name} has no program stamp"),
            "launch times and priorities do not reach the worker",
            "restart tsnd, which attaches it anew",
        );
    }
}

fn host_end(
    machine: &Machine,
    inside: &Device,
    host: &Device,
    ethtool: &Ethtool,
    pinned: Option<&Pinned>,
    findings: &mut Findings,
) {
    device::xdp(machine, pinned, host, "redirect", true, findings);
    let (name, mtu) = (&host.name, host.mtu);
    let needed = inside.mtu + STAMP_HEADER_BYTES as u32;
    if mtu >= needed {
        findings.fine(
            Code::HostMtu,
            format!("{name}: MTU {mtu}, room for the stamp"),
        );
    } else {
        findings.bad(
            Code::HostMtu,
            format!(
                "{name} has an MTU of {mtu}; the pod's is {}, and the stamp takes {STAMP_HEADER_BYTES} bytes",
                inside.mtu
            ),
            format!(
                "time-sensitive frames of more than {} bytes vanish without a trace",
                mtu.saturating_sub(STAMP_HEADER_BYTES as u32)
            ),
            format!("ip link set dev {name} mtu {needed}"),
        );
    }
    if !host.running {
        device::carrier(host, findings);
    }
    match ethtool.channels.map(|channels| channels.receive) {
        Some(queues @ 2..) => findings.bad(
            Code::ReceiveQueues,
            format!("{name} has {queues} receive queues"),
            "only the first is served: what the others receive takes the kernel's path, and the next start refuses the pod",
            format!("ethtool -L {name} rx 1"),
        ),
        Some(_) => findings.fine(Code::ReceiveQueues, format!("{name}: one receive queue")),
        None => {}
    }
}
