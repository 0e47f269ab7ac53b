//! The uplink: its link, its XDP program, its queues and offloads.

use std::io::ErrorKind;

use tsn_port::{DeviceKind, DeviceName};
use tsn_programs::{Device, Ethtool, Pinned};

use super::{Code, DeviceKey, Findings, Machine, Subject, wire};
use crate::config::WorkerSettings;

/// The longest MTU of native XDP without fragments, with frame buffers of 4096 bytes.
const NATIVE_XDP_MTU_BYTES: u32 = 3_506;
/// The longest MTU with frame buffers of 2048 bytes.
const SMALL_BUFFER_MTU_BYTES: u32 = 1_770;
/// The driver whose `iface=` is the interface that it makes.
const TAP: &str = "net_tap";
/// A received frame that waits longer than this for its interrupt, in microseconds, waits too long.
const COALESCING_US: u32 = 10;

/// The interface of the kernel that frames leave by.
pub struct Uplink {
    /// What rtnetlink tells.
    pub link: Device,
    /// What its driver tells.
    pub ethtool: Ethtool,
    /// Whether the kernel receives by it, so that pods' frames go through our program there. Not if it is `iface=` of a
    /// virtual device of DPDK, which takes all.
    pub kernel_receives: bool,
}

impl Uplink {
    /// A device without a bus, such as a veth or the loopback, has neither a wire nor a queue in front of it.
    pub fn is_virtual(&self) -> bool {
        self.ethtool.bus.is_none()
    }
}

/// The uplink's name, if it is known and can be one.
pub fn name(subject: &Subject, findings: &mut Findings) -> Option<DeviceName> {
    let text = subject.uplink()?;
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            missing(&error, findings);
            None
        }
    }
}

/// The interface of that name, or the one that a virtual device of DPDK works on.
pub fn find(machine: &Machine, name: &DeviceName, findings: &mut Findings) -> Option<Uplink> {
    let kernel_receives = name.kind() == DeviceKind::Interface;
    let interface = match kernel_receives {
        true => name.name(),
        false => name
            .argument("iface")
            .filter(|_| name.driver() != Some(TAP))?,
    };
    let answer = machine.kernel.device(None, DeviceKey::Name(interface));
    match &answer {
        Err(error) if error.kind() != ErrorKind::PermissionDenied => missing(error, findings),
        _ => {}
    }
    let (link, ethtool) = machine.noting(&format!("device {interface}"), answer)?;
    Some(Uplink {
        link,
        ethtool,
        kernel_receives,
    })
}

fn missing(reason: &impl ToString, findings: &mut Findings) {
    findings.bad(
        Code::DeviceMissing,
        reason.to_string(),
        "no frame can leave by it; tsnd does not start without its uplink",
        "name the uplink as `ip link` shows it (--device, or uplinks[0].device), and run this in tsnd's network \
         namespace",
    );
}

/// What is pinned; `None` if it may not be read.
pub fn pinned(machine: &Machine, subject: &Subject) -> Option<Pinned> {
    let what = format!("pins in {}", subject.pin_dir.display());
    machine.noting(&what, machine.kernel.pinned(&subject.pin_dir))
}

pub(super) fn examine(
    machine: &Machine,
    subject: &Subject,
    uplink: Option<&Uplink>,
    findings: &mut Findings,
) {
    if subject.uplink().is_none() {
        findings.bad(
            Code::DeviceUnknown,
            "the uplink is not known, so no device was looked at",
            "what is wrong with it stays unseen",
            "give --device NAME, or --config FILE",
        );
    }
    let Some(uplink) = uplink else { return };
    carrier(&uplink.link, findings);
    wire::examine(subject, uplink, findings);
    if !uplink.kernel_receives {
        return;
    }
    program(machine, subject, uplink, findings);
    mtu(subject, uplink, findings);
    receive_offloads(subject, uplink, findings);
    interrupts(uplink, findings);
}

/// Whether a device is up, for pods too.
pub fn carrier(link: &Device, findings: &mut Findings) {
    let name = &link.name;
    if link.running {
        findings.fine(Code::LinkDown, format!("{name}: up"));
    } else {
        findings.bad(
            Code::LinkDown,
            format!("{name} is down or has no carrier"),
            "frames are dropped when their time comes, as `link_down`",
            format!("ip link set {name} up, and look at the cable or the other end"),
        );
    }
}

fn program(machine: &Machine, subject: &Subject, uplink: &Uplink, findings: &mut Findings) {
    let name = &uplink.link.name;
    let pinned = pinned(machine, subject);
    xdp(
        machine,
        pinned.as_ref(),
        &uplink.link,
        "receive",
        is_served(subject),
        findings,
    );
    if uplink.link.xdp.is_some_and(|xdp| xdp.generic) {
        findings.bad(
            Code::XdpGeneric,
            format!("{name} runs its XDP program in generic mode"),
            "the kernel builds a socket buffer of every received frame first, and merges frames (GRO) that then do not \
             fit into the pod's veth",
            "use a device whose driver has native XDP, or switch merging off: ethtool -K DEVICE gro off",
        );
    } else if uplink.link.xdp.is_some() {
        findings.fine(Code::XdpGeneric, format!("{name}: XDP in native mode"));
    }
}

/// Whether the running daemon has the uplink that is looked at.
pub fn is_served(subject: &Subject) -> bool {
    let served = subject
        .answers()
        .map(|answers| &*answers.status.uplink.device);
    served.is_some() && served == subject.uplink()
}

/// Tells whether a device's XDP program is ours: the one that a pinned link attaches there.
pub fn xdp(
    machine: &Machine,
    pinned: Option<&Pinned>,
    device: &Device,
    program: &str,
    is_served: bool,
    findings: &mut Findings,
) {
    let (Some(pinned), name) = (pinned, &device.name) else {
        return;
    };
    let Some(xdp) = device.xdp else {
        if is_served {
            findings.bad(
                Code::ProgramMissing,
                format!("{name} has no XDP program, and should have {program}"),
                "its frames take the kernel's path: not scheduled, or later at the pod",
                "restart tsnd, which attaches it anew",
            );
        } else {
            findings.fine(Code::XdpForeign, format!("{name}: no XDP program"));
        }
        return;
    };
    let ours = pinned
        .programs
        .iter()
        .any(|ours| ours.id == xdp.program_id && ours.ifindex == Some(device.index));
    if ours {
        findings.fine(Code::XdpForeign, format!("{name}: XDP program {program}"));
        return;
    }
    let id = xdp.program_id;
    let whose = machine.kernel.program_name(id);
    findings.bad(
        Code::XdpForeign,
        format!(
            "{name} has the XDP program {} (id {id}), which is not tsnd's",
            whose.as_deref().unwrap_or("of unknown name")
        ),
        "tsnd cannot attach its own there, and does not take a stranger's away",
        format!(
            "ip link set dev {name} xdp off; if it stays, `bpftool link list` names the process that holds it. A tsnd \
             with another --pin-dir shows up here too: give that --pin-dir"
        ),
    );
}

fn mtu(subject: &Subject, uplink: &Uplink, findings: &mut Findings) {
    let configured = subject.configuration();
    let worker = configured.map_or_else(WorkerSettings::default, |known| known.worker.clone());
    let limit = match worker.frame_buffer_bytes {
        ..=2_048 => SMALL_BUFFER_MTU_BYTES,
        _ => NATIVE_XDP_MTU_BYTES,
    };
    let (name, mtu) = (&uplink.link.name, uplink.link.mtu);
    if mtu <= limit {
        findings.fine(
            Code::MtuTooLarge,
            format!("{name}: MTU {mtu}, of at most {limit}"),
        );
        return;
    }
    findings.bad(
        Code::MtuTooLarge,
        format!("{name} has an MTU of {mtu}; at most {limit} are possible"),
        "longer frames fit neither a frame buffer nor native XDP; the driver may refuse the program",
        if mtu <= NATIVE_XDP_MTU_BYTES {
            "set worker.frame-buffer-bytes to 4096".to_owned()
        } else {
            format!(
                "ip link set dev {name} mtu {NATIVE_XDP_MTU_BYTES}, and worker.frame-buffer-bytes 4096"
            )
        },
    );
}

fn receive_offloads(subject: &Subject, uplink: &Uplink, findings: &mut Findings) {
    let name = &uplink.link.name;
    match uplink.ethtool.lro {
        Some(true) => findings.bad(
            Code::LroOn,
            format!("{name} merges received frames (LRO)"),
            "a merged frame fits into no pod's veth, and most drivers refuse XDP beside it",
            format!("ethtool -K {name} lro off"),
        ),
        Some(false) => findings.fine(Code::LroOn, format!("{name}: LRO off")),
        None => {}
    }
    match uplink.ethtool.receive_vlan.filter(|_| is_served(subject)) {
        Some(true) => findings.bad(
            Code::ReceiveVlanOn,
            format!("{name} takes VLAN tags out of received frames"),
            "frames for pods arrive without their tag: an XDP program that redirects a frame loses what lies beside it",
            format!("ethtool -K {name} rxvlan off"),
        ),
        Some(false) => findings.fine(Code::ReceiveVlanOn, format!("{name}: VLAN tags kept")),
        None => {}
    }
}

fn interrupts(uplink: &Uplink, findings: &mut Findings) {
    let Some(coalescing) = uplink.ethtool.coalescing else {
        return;
    };
    let (name, us) = (&uplink.link.name, coalescing.receive_us);
    if !coalescing.adaptive && us <= COALESCING_US {
        findings.fine(Code::InterruptCoalescing, format!("{name}: rx-usecs {us}"));
        return;
    }
    let adaptive = if coalescing.adaptive {
        " and adapts that itself"
    } else {
        ""
    };
    findings.bad(
        Code::InterruptCoalescing,
        format!("{name} delays the interrupts of received frames by {us} us{adaptive}"),
        "frames for pods arrive later by so much; frames that leave are not concerned",
        format!("ethtool -C {name} adaptive-rx off rx-usecs 0"),
    );
}
