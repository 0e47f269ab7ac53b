//! The kernel programs on real veth pairs. Needs root.

mod forward;
mod frames;
mod lab;
mod lifecycle;
mod tagger;
mod traffic;
mod tunnel;

use std::time::Duration;

use lab::Lab;
use tsn_common::PodCounter;
use tsn_programs::{AttachedPod, Programs};

/// So long that no test can miss it by being slow.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A test's node: the lab, and programs opened inside the node's namespace.
fn with_node(test: impl FnOnce(&Lab, Programs) + Send) {
    let lab = Lab::new();
    lab.within("node", || test(&lab, open(&lab)));
}

fn open(lab: &Lab) -> Programs {
    Programs::open(&lab.bpffs.join("tsnd"), TIMEOUT).unwrap()
}

fn counter(programs: &Programs, pod: &AttachedPod, counter: PodCounter) -> u64 {
    programs.pod_counters(pod.slot).unwrap()[counter as usize]
}
