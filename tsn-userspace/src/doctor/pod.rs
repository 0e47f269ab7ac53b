//! Both ends of each pod's veth pair, or its vhost-user socket.

use std::io;

use tsn_common::STAMP_HEADER_BYTES;
use tsn_port::{PodEnd, VethEnd};
use tsn_programs::{Device, Ethtool, Pinned};

use super::device::{self, Uplink};
use super::dpdk::socket;
use super::{Code, DeviceKey, Findings, Machine, Subject};

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
                match status.pod.end() {
                    Some(PodEnd::Veth(end)) => {
                        attached(
                            machine,
                            &status.pod.name,
                            &end,
                            pinned.as_ref(),
                            uplink,
                            findings,
                        );
                    }
                    Some(PodEnd::VhostUser(end)) => {
                        socket::of_served_pod(machine, &status.pod.name, &end, findings);
                    }
                    None => {}
                }
            }
        }
        None => {
            let configured = subject.configuration().map(|known| &known.pods[..]);
            for pod in configured.unwrap_or_default() {
                match pod.end() {
                    Some(PodEnd::Veth(end)) => not_yet_attached(machine, &pod.name, &end, findings),
                    Some(PodEnd::VhostUser(end)) => {
                        socket::of_pod(machine, &pod.name, &end, findings);
                    }
                    None => {}
                }
            }
        }
    }
}

fn inside(machine: &Machine, end: &VethEnd) -> io::Result<(Device, Ethtool)> {
    let key = DeviceKey::Name(&end.interface);
    machine.kernel.device(Some(&end.netns), key)
}

/// Without a daemon: whether it would find the pod.
fn not_yet_attached(machine: &Machine, name: &str, end: &VethEnd, findings: &mut Findings) {
    let answer = inside(machine, end);
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
            format!("pod {name} cannot be attached: {reason}"),
            "its frames would take the kernel's path, unscheduled",
            "start the pod, or correct netns and interface in the configuration; tsnd tries again every second",
        ),
        None if answer.is_ok() => findings.fine(Code::PodWaits, format!("pod {name} is there")),
        None => {}
    }
    machine.noting(&format!("namespace {}", end.netns.display()), answer);
}

fn attached(
    machine: &Machine,
    pod: &str,
    end: &VethEnd,
    pinned: Option<&Pinned>,
    uplink: Option<&Uplink>,
    findings: &mut Findings,
) {
    let netns = end.netns.display();
    let what = format!("namespace {netns}");
    let Some((inside, ethtool)) = machine.noting(&what, inside(machine, end)) else {
        return;
    };
    let host = inside.peer.and_then(|peer| {
        let answer = machine.kernel.device(None, DeviceKey::Index(peer));
        machine.noting(&format!("device {peer}"), answer)
    });
    let name = format!("pod {pod}: {}", inside.name);
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
            format!("nsenter --net={netns} ethtool -K {} gro on", inside.name),
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
                "nsenter --net={netns} ip link set dev {} mtu {theirs}",
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
fn stamp(pod: &str, inside: &Device, pinned: &Pinned, findings: &mut Findings) {
    let is_there = pinned.programs.iter().any(|program| {
        program.name == "stamp" && program.owner == pod && program.ifindex == Some(inside.index)
    });
    let name = format!("pod {pod}: {}", inside.name);
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
