//! What two pods cannot have both: an interface, a socket, an address.

use tsn_port::PodEnd;

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
