//! Whether the frame buffers do for all: no pod may be able to take those that the others need to receive.

use super::NodeError;

/// The frame buffers that a pod may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct PodNeed {
    /// In the queues: its `frame-quota`.
    pub quota: u32,
    /// In its port, to receive into. A vhost-user port has none: the other end's memory is received from.
    pub receive_slots: u32,
}

/// Whether `buffers` do for these pods beside an uplink that keeps so many to receive into.
///
/// # Errors
///
/// [`NodeError::Buffers`].
pub(super) fn check(
    buffers: u32,
    uplink_receive_slots: u32,
    pods: impl Iterator<Item = PodNeed>,
) -> Result<(), NodeError> {
    let (mut count, mut wanted) = (0, u64::from(uplink_receive_slots));
    for pod in pods {
        count += 1;
        wanted += u64::from(pod.quota) + u64::from(pod.receive_slots);
    }
    if wanted <= u64::from(buffers) {
        return Ok(());
    }
    Err(NodeError::Buffers {
        pods: count,
        wanted,
        buffers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VETH: PodNeed = PodNeed {
        quota: 512,
        receive_slots: 512,
    };
    const VHOST: PodNeed = PodNeed {
        receive_slots: 0,
        ..VETH
    };

    #[test]
    fn each_port_counts_with_what_it_keeps_to_receive_into() {
        let check = |uplink, pods: &[PodNeed]| check(2_048, uplink, pods.iter().copied()).is_ok();
        assert!(check(0, &[VETH, VETH]));
        assert!(!check(1, &[VETH, VETH]));
        assert!(check(512, &[VETH, VHOST]));
        assert!(check(512, &[VHOST; 3]));
        assert!(!check(512, &[VHOST; 4]));
    }
}
