//! What two pods cannot have both: an interface, a socket, an address. And whether anything is delivered to them.

use tsn_port::{DeviceKind, DeviceName, PodEnd};

use super::{Findings, Inspection};
use crate::config::Pod;

/// What a pod must have for itself.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    code: &'static str,
    /// Under the pod.
    field: &'static str,
    what: String,
    mend: &'static str,
}

pub(super) fn look(inspection: &Inspection<'_>, findings: &mut Findings) {
    look_at_claims(inspection, findings);
    look_at_delivery(inspection, findings);
}

/// Behind an interface of the kernel the kernel receives, and has no way to a vhost-user socket.
fn look_at_delivery(inspection: &Inspection<'_>, findings: &mut Findings) {
    let device = inspection.uplink.device.parse::<DeviceName>();
    if !device.is_ok_and(|device| device.kind() == DeviceKind::Interface) {
        return;
    }
    let is_vhost_user = |pod: &Pod| pod.vhost_user.is_some();
    if let Some(index) = inspection.pods.iter().position(is_vhost_user) {
        findings.warn(
            "nothing-delivered",
            format!("pods[{index}].vhost-user"),
            format!(
                "what arrives at {} does not reach pod {}: behind an interface of the kernel the kernel receives, and \
                 no vhost-user socket is delivered to",
                inspection.uplink.device, inspection.pods[index].name
            ),
            "name the uplink as a device of DPDK, such as net_af_xdp0,iface=eth1, if such pods are to receive",
        );
    }
}

fn look_at_claims(inspection: &Inspection<'_>, findings: &mut Findings) {
    for (index, pod) in inspection.pods.iter().enumerate() {
        for claim in claims(pod) {
            let earlier = inspection.pods[..index]
                .iter()
                .find(|other| claims(other).contains(&claim));
            if let Some(earlier) = earlier {
                findings.warn(
                    claim.code,
                    format!("pods[{index}].{}", claim.field),
                    format!(
                        "pod {}: its {} belongs to pod {} too; the second of them cannot be attached",
                        pod.name, claim.what, earlier.name
                    ),
                    claim.mend,
                );
            }
        }
    }
}

fn claims(pod: &Pod) -> Vec<Claim> {
    match pod.end() {
        Some(end @ PodEnd::Veth(_)) => vec![Claim {
            code: "interface-taken",
            field: "netns",
            what: format!("interface {end}"),
            mend: "put the streams of both into one pod, or name another namespace or interface",
        }],
        Some(PodEnd::VhostUser(end)) => vec![
            Claim {
                code: "socket-taken",
                field: "vhost-user.socket",
                what: format!("socket {}", end.socket.display()),
                mend: "put the streams of both into one pod, or name another socket",
            },
            Claim {
                code: "address-taken",
                field: "vhost-user.address",
                what: format!("address {}", end.address),
                mend: "give each virtio device an address of its own",
            },
        ],
        None => Vec::new(),
    }
}
