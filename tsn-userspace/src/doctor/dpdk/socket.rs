//! Sockets at which vhost-user's two ends meet.

use std::path::Path;

use tsn_port::{DeviceName, VhostUserEnd};

use super::super::{Code, Findings, Machine};

/// The driver whose `path=` is such a socket.
const VIRTIO_USER: &str = "net_virtio_user";
/// `__SO_ACCEPTCON` in /proc/net/unix: the socket listens.
const LISTENS: u32 = 1 << 16;

/// Of an uplink that is a virtio device on a vhost-user socket. `path=/dev/vhost-net` is the kernel's, and no socket.
pub(super) fn of_uplink(machine: &Machine, uplink: &DeviceName, findings: &mut Findings) {
    let is_virtio_user = uplink.driver() == Some(VIRTIO_USER);
    let Some(path) = uplink
        .argument("path")
        .filter(|path| is_virtio_user && !path.starts_with("/dev/"))
    else {
        return;
    };
    if uplink.argument("server") == Some("1") {
        made_by_tsnd(machine, uplink.name(), Path::new(path), findings);
    } else {
        made_by_peer(machine, uplink.name(), path, findings);
    }
}

/// Of a pod that no daemon serves yet.
pub fn of_pod(machine: &Machine, name: &str, end: &VhostUserEnd, findings: &mut Findings) {
    let who = format!("pod {name}");
    if end.peer_listens {
        made_by_peer(machine, &who, &end.socket.to_string_lossy(), findings);
    } else {
        made_by_tsnd(machine, &who, &end.socket, findings);
    }
}

/// Of a pod that the daemon serves: whether the socket is still there.
pub fn of_served_pod(machine: &Machine, name: &str, end: &VhostUserEnd, findings: &mut Findings) {
    let path = end.socket.display();
    match machine.look_for(&end.socket.to_string_lossy()) {
        Some(true) => findings.fine(Code::PodWaits, format!("pod {name}: {path} is there")),
        Some(false) => findings.bad(
            Code::PodWaits,
            format!("pod {name}: its socket {path} has been removed"),
            "the other end cannot connect any more",
            match end.peer_listens {
                true => "start the virtual machine or program that listens there".to_owned(),
                false => {
                    format!("take the pod out and add it again: DELETE and POST /v1/pods/{name}")
                }
            },
        ),
        None => {}
    }
}

/// A socket at which tsnd will listen.
fn made_by_tsnd(machine: &Machine, who: &str, path: &Path, findings: &mut Findings) {
    let directory = path.parent().unwrap_or(path).to_string_lossy().into_owned();
    let path = path.to_string_lossy();
    let (what, mend) = match machine.look_for(&directory) {
        None => return,
        Some(false) => ("does not exist", format!("mkdir -p {directory}")),
        Some(true) if !machine.is_writable(&directory) => (
            "is not writable",
            format!("chmod u+w {directory}, or name a socket elsewhere"),
        ),
        Some(true) => {
            findings.fine(
                Code::SocketDirectory,
                format!("{who}: {directory} is writable"),
            );
            return free_for_tsnd(machine, who, &path, findings);
        }
    };
    findings.bad(
        Code::SocketDirectory,
        format!("{who}: {directory}, where {path} is to be made, {what}"),
        "tsnd cannot make the socket, and nobody can connect",
        mend,
    );
}

/// Whether nobody listens where tsnd will.
fn free_for_tsnd(machine: &Machine, who: &str, path: &str, findings: &mut Findings) {
    let listens = listens(machine, path);
    match machine.look_for(path) {
        Some(true) if listens => findings.bad(
            Code::SocketTaken,
            format!("{who}: somebody listens at {path}"),
            "tsnd is to listen there itself, and cannot",
            "end that program, or name another socket",
        ),
        Some(true) => findings.fine(
            Code::SocketTaken,
            format!("{who}: {path} is left from an earlier program; tsnd removes it if nobody listens at it"),
        ),
        Some(false) => {
            findings.fine(
                Code::SocketTaken,
                format!("{who}: {path} is still to be made"),
            );
        }
        None => {}
    }
}

/// A socket at which the other end listens.
fn made_by_peer(machine: &Machine, who: &str, path: &str, findings: &mut Findings) {
    let what = match (listens(machine, path), machine.look_for(path)) {
        (true, _) => {
            return findings.fine(
                Code::SocketPeer,
                format!("{who}: somebody listens at {path}"),
            );
        }
        (false, None) => return,
        (false, Some(true)) => {
            format!("{who}: nobody of this network namespace listens at {path}")
        }
        (false, Some(false)) => format!("{who}: there is no socket {path}"),
    };
    findings.bad(
        Code::SocketPeer,
        what,
        "tsnd is to connect to it, and until it can no frame gets through",
        "start the switch, virtual machine or program that listens there",
    );
}

/// Whether a program of this network namespace listens at a socket.
fn listens(machine: &Machine, path: &str) -> bool {
    let table = machine.text("/proc/net/unix").unwrap_or_default();
    table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(*fields, [_, _, _, flags, _, _, _, of]
            if of == path && u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & LISTENS != 0))
    })
}
